// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/engine.hpp"

#include "core/result.hpp"
#include "hooks/lab_object.hpp"
#include "hooks/programs.hpp"
#include "hooks/shared_array.hpp"

#include <algorithm>
#include <bpf/libbpf.h>
#include <optional>

namespace vethtrace {

using namespace layout;

class Engine::Implementation {
public:
    Implementation(const EngineOptions &options, std::vector<std::string> drop_reasons)
        : options_(options), drop_reasons_(std::move(drop_reasons)) {}

    Result<void> load(const std::vector<Choice> &choices) {
        Result<BpfObject<lab_bpf>> object = BpfObject<lab_bpf>::open();
        if (!object)
            return tl::unexpected(object.error());
        object_.emplace(std::move(*object));
        set_constants(choices);
        set_sizes();
        const auto &maps = object_->skeleton().maps;
        return object_->load(choices)
            .and_then([&] { return cpus_.map(maps.cpus); })
            .and_then([&] { return slots_.map(maps.slots); })
            .and_then([&] { return flows_.map(maps.flows); })
            .and_then([&] { return timelines_.map(maps.timelines); })
            .map([&] { prepare_areas(); });
    }

    [[nodiscard]] Programs &programs() { return object_->programs(); }
    [[nodiscard]] const Programs &programs() const { return object_->programs(); }

    void set_sample(std::uint32_t one_in) {
        for (cpu_area &cpu : cpus_.elements())
            cpu.sample_limit = sample_limit(one_in);
    }

    Notes notes() {
        return {flows_.elements(), options_.timelines == 0 ? std::span<timeline>() : timelines_.elements(),
                options_.timeline_stride, cpus_.elements()};
    }

    [[nodiscard]] Snapshot snapshot() const {
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
                    snapshot.dropped[drop_reason_name(drop_reasons_, i)] += cpu.dropped[i];
        }
        for (const slot_pair &pair : slots_.elements())
            for (const slot &slot : pair.slot)
                snapshot.in_flight += slot.skb != 0 ? 1 : 0;
        snapshot.missed = programs().missed();
        return snapshot;
    }

private:
    void set_constants(const std::vector<Choice> &choices) {
        auto &constants = *object_->skeleton().rodata;
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
        constants.through_napi = row_of(options_.way.mode()).special.through_napi;
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
        bpf_map__set_max_entries(object_->skeleton().maps.cpus, static_cast<__u32>(libbpf_num_possible_cpus()));
        bpf_map__set_max_entries(object_->skeleton().maps.flows, options_.flows);
        bpf_map__set_max_entries(object_->skeleton().maps.timelines, std::max(options_.timelines, 1U));
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

    EngineOptions options_;
    std::vector<std::string> drop_reasons_;
    std::optional<BpfObject<lab_bpf>> object_;
    SharedArray<cpu_area> cpus_;
    SharedArray<slot_pair> slots_;
    SharedArray<flow> flows_;
    SharedArray<timeline> timelines_;
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
    return implementation_->programs().attach();
}

void Engine::detach() {
    implementation_->programs().detach();
}

void Engine::set_sample(std::uint32_t one_in) {
    implementation_->set_sample(one_in);
}

std::vector<int> Engine::programs() const {
    return implementation_->programs().descriptors();
}

Notes Engine::notes() {
    return implementation_->notes();
}

Snapshot Engine::snapshot() const {
    return implementation_->snapshot();
}

} // namespace vethtrace
