// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/programs.hpp"

#include "core/result.hpp"
#include "layout.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <thread>

namespace vethtrace {

namespace {

// libbpf explains itself through a callback. What it says is kept for the error message of whoever called it.
thread_local std::string libbpf_said;

int keep_what_libbpf_says(libbpf_print_level level, const char *format, va_list arguments) {
    if (level != LIBBPF_WARN)
        return 0;
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): libbpf has called va_start
    char *line = nullptr;
    if (vasprintf(&line, format, arguments) >= 0)
        libbpf_said += line;
    std::free(line);
    return 0;
}

// The kernel cleans up some ticks after a hook was given back. What is measured before that is no untraced load: on 7.3
// a kprobe is still passed (1.4 us more in a round trip of 35 us), and freed tracepoints cost 1 %.
constexpr std::chrono::milliseconds until_hooks_are_gone(20);

std::uint64_t missed_by(const bpf_program *program) {
    bpf_prog_info info = {};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0)
        return 0;
    return info.recursion_misses;
}

} // namespace

tl::unexpected<Error> libbpf_failed(const std::string &object, int code) {
    if (libbpf_said.find("bpf_probe_read") != std::string::npos && (code == -EINVAL || code == -EPERM))
        return fail_errno(object, code, "kernel lockdown \"confidentiality\" lets no program read kernel memory here");
    constexpr std::size_t enough = 1000; // the verifier's log is long, and the reason stands at its end
    if (libbpf_said.size() > enough)
        libbpf_said.erase(0, libbpf_said.find('\n', libbpf_said.size() - enough) + 1);
    return fail_errno(object, code, libbpf_said.empty() ? "" : "libbpf says:\n" + libbpf_said);
}

void forget_libbpf() {
    libbpf_said.clear();
    libbpf_set_print(keep_what_libbpf_says);
}

void Programs::Destroy::operator()(bpf_link *link) const {
    bpf_link__destroy(link);
}

Result<void> Programs::select(bpf_object *object, const std::vector<Choice> &choices) {
    for (const Choice &choice : choices) {
        if (!choice.used)
            continue;
        const Rung &rung = *choice.used;
        bool again = std::any_of(selected_.begin(), selected_.end(),
                                 [&](const Selected &selected) { return selected.rung.program == rung.program; });
        if (again)
            continue;
        bpf_program *program = bpf_object__find_program_by_name(object, rung.program.c_str());
        if (program == nullptr)
            return fail(rung.program, "there is no such BPF program");
        bpf_program__set_autoload(program, true);
        if (rung.kind == HookKind::fentry)
            if (int code = bpf_program__set_attach_target(program, 0, rung.target.c_str()); code != 0)
                return libbpf_failed(rung.text(), code);
        selected_.push_back({rung, program});
    }
    return {};
}

Result<void> Programs::attach() {
    forget_libbpf();
    bool kprobes = std::any_of(selected_.begin(), selected_.end(),
                               [](const Selected &selected) { return selected.rung.kind == HookKind::kprobe; });
    RaisedPrivileges raised(kprobes ? Purpose::kprobes : Purpose::tracing);
    for (const Selected &selected : selected_) {
        std::unique_ptr<bpf_link, Destroy> link(
            selected.rung.kind == HookKind::kprobe
                ? bpf_program__attach_kprobe(selected.program, false, selected.rung.target.c_str())
                : bpf_program__attach(selected.program));
        if (!link)
            return libbpf_failed("attaching to " + selected.rung.text(), errno);
        links_.push_back(std::move(link));
    }
    return {};
}

void Programs::detach() {
    links_.clear();
    std::this_thread::sleep_for(until_hooks_are_gone);
}

std::vector<int> Programs::descriptors() const {
    std::vector<int> descriptors(selected_.size());
    std::transform(selected_.begin(), selected_.end(), descriptors.begin(),
                   [](const Selected &selected) { return bpf_program__fd(selected.program); });
    return descriptors;
}

std::map<std::string, std::uint64_t> Programs::missed() const {
    RaisedPrivileges raised(Purpose::tracing);
    std::map<std::string, std::uint64_t> missed;
    for (const Selected &selected : selected_)
        missed[selected.rung.program] = missed_by(selected.program);
    return missed;
}

std::string drop_reason_name(const std::vector<std::string> &names, std::size_t reason) {
    if (reason == layout::DROP_CONSUMED)
        return std::string(consumed_reason);
    if (reason == layout::DROP_UNNAMED)
        return "UNNAMED";
    if (reason < names.size() && !names[reason].empty())
        return names[reason];
    return fmt::format("REASON_{}", reason);
}

} // namespace vethtrace
