// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/engine.hpp"

#include "core/result.hpp"
#include "privileges/privileges.hpp"
#include "vethtrace.skel.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <sys/mman.h>
#include <thread>

namespace vethtrace {

namespace {

using namespace layout;

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

tl::unexpected<Error> libbpf_failed(const std::string &object, int code) {
    if (libbpf_said.find("bpf_probe_read") != std::string::npos && (code == -EINVAL || code == -EPERM))
        return fail_errno(object, code, "kernel lockdown \"confidentiality\" lets no program read kernel memory here");
    constexpr std::size_t enough = 1000; // the verifier's log is long, and the reason stands at its end
    if (libbpf_said.size() > enough)
        libbpf_said.erase(0, libbpf_said.find('\n', libbpf_said.size() - enough) + 1);
    return fail_errno(object, code, libbpf_said.empty() ? "" : "libbpf says:\n" + libbpf_said);
}

struct Destroy {
    void operator()(vethtrace_bpf *skeleton) const { vethtrace_bpf__destroy(skeleton); }
    void operator()(bpf_link *link) const { bpf_link__destroy(link); }
};

// The kernel cleans up some ticks after a hook was given back. What is measured before that is no untraced load: on 7.3
// a kprobe is still passed (1.4 us more in a round trip of 35 us), and freed tracepoints cost 1 %.
constexpr std::chrono::milliseconds until_hooks_are_gone(20);

// The elements of a mappable array, shared with the kernel.
template<typename T>
class SharedArray {
public:
    SharedArray() = default;
    SharedArray(const SharedArray &) = delete;
    SharedArray &operator=(const SharedArray &) = delete;
    ~SharedArray() {
        if (!elements_.empty())
            munmap(elements_.data(), bytes(elements_.size()));
    }

    Result<void> map(const bpf_map *map) {
        static_assert(sizeof(T) % 8 == 0, "the kernel rounds an element up to 8 bytes");
        std::size_t count = bpf_map__max_entries(map);
        void *address = mmap(nullptr, bytes(count), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
        if (address == MAP_FAILED)
            return fail_errno(fmt::format("mapping of {}", bpf_map__name(map)), errno);
        elements_ = {static_cast<T *>(address), count};
        return {};
    }

    [[nodiscard]] std::span<T> elements() const { return elements_; }

private:
    static std::size_t bytes(std::size_t count) {
        auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        return (count * sizeof(T) + page - 1) / page * page;
    }

    std::span<T> elements_;
};

} // namespace

class Engine::Implementation {
public:
    Implementation(const EngineOptions &options, std::vector<std::string> drop_reasons)
        : options_(options), drop_reasons_(std::move(drop_reasons)) {}

    Result<void> load(const std::vector<Choice> &choices) {
        libbpf_said.clear();
        libbpf_set_print(keep_what_libbpf_says);
        RaisedPrivileges raised(Purpose::tracing);
        skeleton_.reset(vethtrace_bpf__open());
        if (!skeleton_)
            return libbpf_failed("BPF object", errno);
        set_constants(choices);
        set_sizes();
        if (Result<void> selected = select(choices); !selected)
            return selected;
        if (int code = vethtrace_bpf__load(skeleton_.get()); code != 0)
            return libbpf_failed("loading of the BPF programs", code);
        return cpus_.map(skeleton_->maps.cpus)
            .and_then([&] { return slots_.map(skeleton_->maps.slots); })
            .and_then([&] { return flows_.map(skeleton_->maps.flows); })
            .and_then([&] { return timelines_.map(skeleton_->maps.timelines); })
            .map([&] { prepare_areas(); });
    }

    Result<void> attach() {
        libbpf_said.clear();
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

    void detach() {
        links_.clear();
        std::this_thread::sleep_for(until_hooks_are_gone);
    }

    void set_sample(std::uint32_t one_in) {
        for (cpu_area &cpu : cpus_.elements())
            cpu.sample_limit = sample_limit(one_in);
    }

    [[nodiscard]] std::vector<int> programs() const {
        std::vector<int> descriptors;
        for (const Selected &selected : selected_)
            descriptors.push_back(bpf_program__fd(selected.program));
        return descriptors;
    }

    Notes notes() {
        return {flows_.elements(), options_.timelines == 0 ? std::span<timeline>() : timelines_.elements(),
                options_.timeline_stride, cpus_.elements()};
    }

    [[nodiscard]] Snapshot snapshot() const {
        RaisedPrivileges raised(Purpose::tracing); // to ask what the kernel has suppressed
        Snapshot snapshot;
        std::map<std::uint32_t, std::size_t> known; // by edge_place()
        for (const cpu_area &cpu : cpus_.elements()) {
            for (std::uint32_t i = FIRST_EDGE; i < std::min<std::uint32_t>(cpu.edges_used, EDGES); ++i) {
                const edge &from_cpu = cpu.edges[i];
                std::uint32_t place = edge_place(from_cpu.sender, from_cpu.from, from_cpu.to);
                auto [entry, fresh] = known.try_emplace(place, snapshot.edges.size());
                if (fresh)
                    snapshot.edges.push_back({from_cpu.sender == END_CLIENT ? Direction::request : Direction::response,
                                              {from_cpu.from},
                                              {from_cpu.to},
                                              {}});
                Edge &edge = snapshot.edges[entry->second];
                edge.time.merge(from_cpu.time, from_cpu.buckets);
                edge.events += from_cpu.events;
                edge.other_cpu += from_cpu.other_cpu;
            }
            snapshot.net_rx_wait.merge(cpu.edges[EDGE_NET_RX_WAIT].time, cpu.edges[EDGE_NET_RX_WAIT].buckets);
            snapshot.net_rx_run.merge(cpu.edges[EDGE_NET_RX_RUN].time, cpu.edges[EDGE_NET_RX_RUN].buckets);
            snapshot.events += cpu.events & ((1ULL << EVENT_COUNT_BITS) - 1);
            for (std::size_t i = 0; i < TALLIES; ++i)
                snapshot.tallies.at(i) += cpu.tallies[i];
            for (std::size_t i = 0; i < DROP_REASONS; ++i)
                if (cpu.dropped[i] != 0)
                    snapshot.dropped[reason_name(i)] += cpu.dropped[i];
        }
        for (const slot_pair &pair : slots_.elements())
            for (const slot &slot : pair.slot)
                snapshot.in_flight += slot.skb != 0 ? 1 : 0;
        for (const Selected &selected : selected_)
            snapshot.missed[selected.rung.program] = missed_by(selected.program);
        return snapshot;
    }

private:
    struct Selected {
        Rung rung;
        bpf_program *program;
    };

    void set_constants(const std::vector<Choice> &choices) {
        auto &constants = *skeleton_->rodata;
        for (end sender : {END_CLIENT, END_SERVER}) {
            constants.entry_role[sender] = role_of(options_.way.entry(sender));
            constants.entry_netns[sender] = options_.netns.at(sender);
            constants.last_station[sender] = options_.way.last(sender).id;
            constants.message_bytes[sender] = options_.message_bytes.at(sender);
        }
        constants.timelines_wanted = options_.timelines;
        constants.timeline_stride = std::max<std::uint64_t>(options_.timeline_stride, 1);
        constants.mutation = options_.mutation;
        constants.can_cast = options_.can_cast;
        constants.through_napi = row_of(options_.way.mode()).through_napi;
        // The tracepoint at transmit speaks for those devices whose own function is not hooked.
        for (const Step &step : options_.way.steps()) {
            std::optional<std::string> ladder = ladder_name(options_.way, step.station);
            for (const Choice &choice : choices)
                if (is_at_device(step.station) && point_of(step.station) == POINT_XMIT &&
                    choice.ladder.name == ladder && choice.used && choice.used->kind == HookKind::tracepoint)
                    constants.xmit_by_tracepoint |= 1U << role_of(step.station);
        }
    }

    void set_sizes() {
        bpf_map__set_max_entries(skeleton_->maps.cpus, static_cast<__u32>(libbpf_num_possible_cpus()));
        bpf_map__set_max_entries(skeleton_->maps.flows, options_.flows);
        bpf_map__set_max_entries(skeleton_->maps.timelines, std::max(options_.timelines, 1U));
    }

    Result<void> select(const std::vector<Choice> &choices) {
        for (const Choice &choice : choices) {
            if (!choice.used)
                continue;
            const Rung &rung = *choice.used;
            bool again = std::any_of(selected_.begin(), selected_.end(),
                                     [&](const Selected &selected) { return selected.rung.program == rung.program; });
            if (again)
                continue;
            bpf_program *program = bpf_object__find_program_by_name(skeleton_->obj, rung.program.c_str());
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

    // The edges of the way come first, in its order; BPF adds what nobody foresaw.
    void prepare_areas() {
        std::uint32_t id = 0;
        for (cpu_area &cpu : cpus_.elements()) {
            cpu.events = std::uint64_t{id} << EVENT_COUNT_BITS;
            cpu.cpu = id++;
            cpu.edges_used = FIRST_EDGE;
            for (edge &edge : cpu.edges)
                edge.time.min = ~0ULL;
            for (const HopName &hop : options_.way.hops()) {
                if (ends_in_user_space(hop.to))
                    continue;
                std::uint32_t index = cpu.edges_used++;
                std::uint32_t sender = hop.direction == Direction::request ? END_CLIENT : END_SERVER;
                cpu.edges[index].from = static_cast<__u16>(hop.from.id);
                cpu.edges[index].to = static_cast<__u16>(hop.to.id);
                cpu.edges[index].sender = sender;
                cpu.edge_of[edge_place(sender, hop.from.id, hop.to.id)] = static_cast<__u8>(index);
            }
        }
        set_sample(options_.sample);
        std::uint32_t index = 0;
        for (flow &flow : flows_.elements())
            flow.index = index++;
    }

    static bool ends_in_user_space(Station station) {
        if (is_at_device(station))
            return false;
        std::uint32_t moment = (station.id - FIRST_END_STATION) % MOMENTS;
        return moment == MOMENT_APP_SEND || moment == MOMENT_APP_RECV;
    }

    [[nodiscard]] std::string reason_name(std::size_t reason) const {
        if (reason == DROP_CONSUMED)
            return std::string(consumed_reason);
        if (reason == DROP_UNNAMED)
            return "UNNAMED";
        if (reason < drop_reasons_.size() && !drop_reasons_[reason].empty())
            return drop_reasons_[reason];
        return fmt::format("REASON_{}", reason);
    }

    static std::uint64_t missed_by(const bpf_program *program) {
        bpf_prog_info info = {};
        __u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0)
            return 0;
        return info.recursion_misses;
    }

    EngineOptions options_;
    std::vector<std::string> drop_reasons_;
    std::unique_ptr<vethtrace_bpf, Destroy> skeleton_;
    SharedArray<cpu_area> cpus_;
    SharedArray<slot_pair> slots_;
    SharedArray<flow> flows_;
    SharedArray<timeline> timelines_;
    std::vector<Selected> selected_;
    std::vector<std::unique_ptr<bpf_link, Destroy>> links_; // go before the programs
};

Engine::Engine(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::load(const EngineOptions &options, const std::vector<Choice> &choices,
                                             std::vector<std::string> drop_reasons) {
    auto implementation = std::make_unique<Implementation>(options, std::move(drop_reasons));
    if (Result<void> loaded = implementation->load(choices); !loaded)
        return tl::unexpected(loaded.error());
    return std::unique_ptr<Engine>(new Engine(std::move(implementation)));
}

Result<void> Engine::attach() {
    return implementation_->attach();
}

void Engine::detach() {
    implementation_->detach();
}

void Engine::set_sample(std::uint32_t one_in) {
    implementation_->set_sample(one_in);
}

std::vector<int> Engine::programs() const {
    return implementation_->programs();
}

Notes Engine::notes() {
    return implementation_->notes();
}

Snapshot Engine::snapshot() const {
    return implementation_->snapshot();
}

} // namespace vethtrace
