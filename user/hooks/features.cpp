// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/features.hpp"

#include "hooks/btf.hpp"
#include "privileges/privileges.hpp"

#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

namespace vethtrace {

class Features::Implementation {
public:
    explicit Implementation(Btf kernel) : kernel_(std::move(kernel)) {}

    Result<Probe> probe(const Rung &rung, ProbeBody body) {
        switch (rung.kind) {
        case HookKind::tracepoint: {
            int id = btf__find_by_name_kind(kernel_.get(), ("btf_trace_" + rung.target).c_str(), BTF_KIND_TYPEDEF);
            if (id <= 0)
                return fail(rung.target, "no such tracepoint in this kernel");
            return load_on_tracepoint({static_cast<std::uint32_t>(id)}, body);
        }
        case HookKind::fentry:
            return find_function(rung).and_then([&](const BtfTarget &at) { return attach_fentry(at, body); });
        case HookKind::kprobe:
            return attach_kprobe(rung.target, body);
        }
        return fail(rung.target, "unknown kind of hook");
    }

    [[nodiscard]] const btf *kernel() const { return kernel_.get(); }

private:
    struct Module {
        Fd fd;
        Btf types;
    };

    Result<BtfTarget> find_function(const Rung &rung) {
        int id = btf__find_by_name_kind(kernel_.get(), rung.target.c_str(), BTF_KIND_FUNC);
        if (id > 0)
            return BtfTarget{static_cast<std::uint32_t>(id)};
        if (rung.module.empty())
            return fail(rung.target, "no such function in this kernel's BTF (inlined, or not built)");
        Result<const Module *> module = load_module(rung.module);
        if (!module)
            return tl::unexpected(module.error());
        id = btf__find_by_name_kind((*module)->types.get(), rung.target.c_str(), BTF_KIND_FUNC);
        if (id <= 0)
            return fail(rung.target,
                        fmt::format("no such function in the BTF of module {} (inlined, or not built)", rung.module));
        return BtfTarget{static_cast<std::uint32_t>(id), (*module)->fd.get()};
    }

    Result<const Module *> load_module(const std::string &name) {
        if (auto known = modules_.find(name); known != modules_.end())
            return &known->second;
        __u32 id = 0;
        while (bpf_btf_get_next_id(id, &id) == 0) {
            Fd fd(bpf_btf_get_fd_by_id(id));
            if (!fd && errno == ENOENT)
                continue; // it went meanwhile
            if (!fd)
                return fail(name, refusal(-errno));
            std::array<char, 64> found = {};
            bpf_btf_info info = {};
            info.name = reinterpret_cast<__u64>(found.data());
            info.name_len = found.size();
            __u32 size = sizeof(info);
            if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || info.kernel_btf == 0 || name != found.data())
                continue;
            Btf types(btf__load_from_kernel_by_id_split(id, kernel_.get()));
            if (!types)
                return fail(name, refusal(-errno));
            return &modules_.emplace(name, Module{std::move(fd), std::move(types)}).first->second;
        }
        if (errno != ENOENT)
            return fail(name, refusal(-errno));
        return fail(name, fmt::format("not in the kernel, and no BTF of a module {} (not loaded: a run in its mode "
                                      "loads it; or a kernel before 5.11)",
                                      name));
    }

    Btf kernel_;
    std::map<std::string, Module> modules_;
};

Features::Features(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Features::Features(Features &&) noexcept = default;
Features &Features::operator=(Features &&) noexcept = default;
Features::~Features() = default;

Result<Features> Features::read() {
    if (Result<void> allowed = allow_bpf_memory(); !allowed)
        return tl::unexpected(allowed.error());
    libbpf_set_print(nullptr); // it would explain itself on stderr
    Btf kernel(btf__load_vmlinux_btf());
    if (!kernel)
        return fail("/sys/kernel/btf/vmlinux", "there are no types of this kernel (BTF)",
                    "vethtrace needs a kernel with CONFIG_DEBUG_INFO_BTF, and /sys");
    return Features(std::make_unique<Implementation>(std::move(kernel)));
}

Result<Probe> Features::probe(const Rung &rung, ProbeBody body) {
    return implementation_->probe(rung, body);
}

Choice Features::choose(const Ladder &ladder, const Denied &denied) {
    Choice choice{ladder, {}, std::nullopt};
    for (const Rung &rung : ladder.rungs) {
        if (denied.covers(rung)) {
            choice.tried.push_back({rung, "denied by --no-hook"});
            continue;
        }
        if (Result<Probe> allowed = probe(rung); !allowed) {
            choice.tried.push_back({rung, allowed.error().reason});
            continue;
        }
        choice.tried.push_back({rung, "used"});
        choice.used = rung;
        break;
    }
    return choice;
}

std::vector<Choice> Features::choose_all(const std::vector<Ladder> &ladders, const Denied &denied) {
    std::vector<Choice> choices;
    choices.reserve(ladders.size());
    for (const Ladder &ladder : ladders)
        choices.push_back(choose(ladder, denied));
    return choices;
}

bool Features::can_cast() const {
    return btf__find_by_name_kind(implementation_->kernel(), "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
}

std::vector<std::string> Features::drop_reasons() const {
    std::vector<std::string> names;
    const btf *types = implementation_->kernel();
    int id = btf__find_by_name_kind(types, "skb_drop_reason", BTF_KIND_ENUM);
    if (id <= 0)
        return names;
    const btf_type *type = btf__type_by_id(types, static_cast<__u32>(id));
    const struct btf_enum *values = btf_enum(type);
    for (int i = 0; i < btf_vlen(type); ++i) {
        auto value = static_cast<std::size_t>(values[i].val);
        constexpr std::size_t reasonable = 1024; // the upper bits name a subsystem
        if (value >= reasonable)
            continue;
        if (names.size() <= value)
            names.resize(value + 1);
        std::string name = btf__name_by_offset(types, values[i].name_off);
        const std::string prefix = "SKB_DROP_REASON_";
        names[value] = name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : name;
    }
    return names;
}

Result<void> check_required(const std::vector<Choice> &choices) {
    for (const Choice &choice : choices) {
        if (choice.used || !choice.ladder.required)
            continue;
        std::vector<std::string> refusals;
        for (const Attempt &attempt : choice.tried)
            refusals.push_back(attempt.rung.text() + ": " + attempt.result);
        return fail(fmt::format("no hook for {} ({})", choice.ladder.name, choice.ladder.purpose),
                    fmt::format("{}", fmt::join(refusals, "; ")), "`vethtrace features` shows what this kernel allows");
    }
    return {};
}

} // namespace vethtrace
