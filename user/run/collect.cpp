// SPDX-License-Identifier: GPL-2.0-only
#include "run/collect.hpp"

#include "core/ledger.hpp"
#include "core/printable.hpp"
#include "run/environment.hpp"

#include "lab_layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

namespace vethtrace {

namespace {

using namespace layout;

// Every hop of the way in its order, then the edges that nobody foresaw.
std::vector<Hop> collect_hops(const Way &way, const Snapshot &snapshot, const StretchResult &traced) {
    std::vector<Hop> hops;
    auto user_hop = [&](const HopName &name) -> const UserHop * {
        if (name.stage == Stage::application)
            return &traced.application;
        if (name.stage == Stage::wakeup)
            return &traced.wakeup.at(name.direction == Direction::request ? END_SERVER : END_CLIENT);
        return nullptr;
    };
    auto is = [](const HopName &name, const Edge &edge) {
        return name.direction == edge.direction && name.from == edge.from && name.to == edge.to;
    };

    for (const HopName &name : way.hops()) {
        Hop hop{name, {}};
        if (const UserHop *from_load = user_hop(name)) {
            hop.time = from_load->time;
            hop.events = from_load->events;
            hop.other_cpu = from_load->other_cpu;
        }
        for (const Edge &edge : snapshot.edges) {
            if (!is(name, edge))
                continue;
            hop.time = edge.time;
            hop.events = edge.events;
            hop.other_cpu = edge.other_cpu;
        }
        hops.push_back(std::move(hop));
    }
    std::vector<HopName> known = way.hops();
    for (const Edge &edge : snapshot.edges) {
        if (std::any_of(known.begin(), known.end(), [&](const HopName &name) { return is(name, edge); }))
            continue;
        hops.push_back(
            {{edge.direction, edge.from, edge.to, Stage::unforeseen, false}, edge.time, edge.events, edge.other_cpu});
    }
    return hops;
}

std::vector<StationResult> collect_stations(const Way &way, const Hooks &hooks, const std::vector<Hop> &hops,
                                            const Snapshot &snapshot) {
    constexpr std::array ends = {END_CLIENT, END_SERVER};
    std::vector<StationResult> stations;
    for (const Step &step : way.steps()) {
        auto same = [&](const StationResult &known) { return known.station == step.station; };
        if (std::any_of(stations.begin(), stations.end(), same))
            continue; // requests and responses both pass it
        StationResult station{step.station, "load", {}};
        if (const Choice *choice = hooks.of(way, step.station)) {
            station.hook = choice->used->text();
            station.tried = choice->tried;
            if (auto missed = snapshot.missed.find(choice->used->program); missed != snapshot.missed.end())
                station.missed = missed->second;
        }
        std::uint64_t arrivals = 0;
        std::uint64_t departures = 0;
        for (const Hop &hop : hops) {
            arrivals += hop.name.to == step.station && !(hop.name.from == hop.name.to) ? hop.time.count() : 0;
            departures += hop.name.from == step.station && !(hop.name.from == hop.name.to) ? hop.time.count() : 0;
        }
        station.hits = std::max(arrivals, departures);
        bool goes_on =
            std::none_of(ends.begin(), ends.end(), [&](end sender) { return way.last(sender) == step.station; });
        if (is_at_device(step.station) && goes_on && arrivals > departures)
            station.ended = arrivals - departures;
        stations.push_back(std::move(station));
    }
    return stations;
}

NetRx collect_net_rx(const Snapshot &snapshot) {
    NetRx net_rx;
    net_rx.raised = snapshot.tallies.at(TALLY_NET_RX_RAISED);
    net_rx.runs = snapshot.tallies.at(TALLY_NET_RX_RUNS);
    net_rx.inline_ = snapshot.tallies.at(TALLY_NET_RX_INLINE);
    net_rx.ksoftirqd = snapshot.tallies.at(TALLY_NET_RX_KSOFTIRQD);
    net_rx.other_cpu = snapshot.tallies.at(TALLY_NET_RX_OTHER_CPU);
    net_rx.other = snapshot.tallies.at(TALLY_NET_RX_OTHER);
    net_rx.wait = snapshot.net_rx_wait;
    net_rx.run = snapshot.net_rx_run;
    return net_rx;
}

Conservation collect_conservation(const Snapshot &snapshot) {
    constexpr std::array<std::pair<std::uint32_t, std::string_view>, 10> not_followed = {{
        {TALLY_NOT_SAMPLED, "not_sampled"},
        {TALLY_CROWDED_OUT, "crowded_out"},
        {TALLY_STALE, "died_unseen"},
        {TALLY_ACKS, "without_payload"},
        {TALLY_RETRANSMITTED, "retransmitted"},
        {TALLY_SEGMENTS, "earlier_segments"},
        {TALLY_OUTSIDE, "warm_up"},
        {TALLY_UNREGISTERED, "of_other_sockets"},
        {TALLY_MISALIGNED, "misaligned"},
        {TALLY_READY_UNJOINED, "delivered_unjoined"},
    }};
    Conservation conservation;
    conservation.entered = snapshot.tallies.at(TALLY_ENTERED);
    conservation.completed = snapshot.tallies.at(TALLY_COMPLETED);
    conservation.cloned = snapshot.tallies.at(TALLY_CLONED);
    conservation.segmented = snapshot.tallies.at(TALLY_SEGMENTED);
    conservation.merged = snapshot.tallies.at(TALLY_MERGED);
    conservation.evicted = snapshot.tallies.at(TALLY_EVICTED);
    conservation.dropped = snapshot.dropped;
    conservation.in_flight = snapshot.in_flight;
    for (const auto &[program, missed] : snapshot.missed)
        conservation.missed += missed;
    for (const auto &[tally, name] : not_followed)
        if (std::uint64_t count = snapshot.tallies.at(tally); count != 0)
            conservation.not_followed.emplace(name, count);
    return conservation;
}

std::string context_of(std::uint32_t softirq) {
    switch (softirq) {
    case TALLY_NET_RX_INLINE:
        return "softirq, inline";
    case TALLY_NET_RX_KSOFTIRQD:
        return "softirq, ksoftirqd";
    case TALLY_NET_RX_OTHER_CPU:
        return "softirq, for another CPU";
    case TALLY_NET_RX_OTHER:
        return "softirq";
    default:
        return "process";
    }
}

std::vector<Timeline> collect_timelines(const Way &way, const Notes &notes) {
    std::vector<Timeline> timelines;
    std::uint64_t transaction = 0;
    for (const timeline &line : notes.timelines) {
        Timeline timeline{transaction, {}};
        transaction += notes.timeline_stride;
        Nanoseconds begin = line.at[END_CLIENT][way.steps().front().station.id].when;
        for (end sender : {END_CLIENT, END_SERVER}) {
            for (const Step &step : way.steps(sender)) {
                const timeline_mark &mark = line.at[sender][step.station.id];
                if (mark.when == 0 || mark.when < begin)
                    continue;
                timeline.marks.push_back({step.station, mark.when - begin, mark.cpu, mark.pid,
                                          printable({mark.comm, strnlen(mark.comm, sizeof(mark.comm))}),
                                          context_of(mark.softirq)});
            }
        }
        if (begin != 0)
            timelines.push_back(std::move(timeline));
    }
    return timelines;
}

// What should be known and only the programs and the load can tell.
std::vector<Note> collect_notes(const Snapshot &snapshot, const StretchResult &traced) {
    const auto &tallies = snapshot.tallies;
    return {
        {tallies.at(TALLY_NEGATIVE), "intervals were negative: the clocks of two CPUs disagree"},
        {tallies.at(TALLY_EDGE_OVERFLOW), "hops found no room in the table of edges"},
        {tallies.at(TALLY_INTERRUPTED), "tracing events were interrupted by another one and not recorded"},
        {tallies.at(TALLY_RETRANSMITTED), "packets were retransmissions and are not in the means"},
        {traced.missed, "messages were received whose data_ready was not seen"},
    };
}

} // namespace

RunResult collect(const RunOptions &options, const Session &session, const Measured &measured) {
    const Way &way = session.way();
    const Hooks &hooks = session.hooks();
    const Snapshot snapshot = session.engine().snapshot();
    RunResult result;
    result.environment = read_environment();
    result.environment.network = session.settings();
    result.mode = options.mode;
    result.topology = options.topology;
    result.port_mode = session.lab().port_mode();
    result.load = {.transactions = measured.traced.rtt.count(),
                   .duration_ns = measured.traced.duration,
                   .request_bytes = options.load.request_bytes,
                   .response_bytes = options.load.response_bytes,
                   .flows = options.load.flows,
                   .client_cpu = options.load.client_cpu,
                   .server_cpu = options.load.server_cpu,
                   .rtt = measured.traced.rtt,
                   .sample = measured.sample,
                   .followed_rtt = measured.traced.followed_rtt};
    result.hops = collect_hops(way, snapshot, measured.traced);
    for (Hop &hop : result.hops) // each hop ends with the event at its last station
        if (const Choice *choice = hooks.of(way, hop.name.to); choice && choice->used->kind == HookKind::kprobe)
            hop.kprobes = hop.time.count();
    result.budget = measured.budget;
    result.slices = measured.slices;
    result.known = {.stamp_ns = measured.stamp_ns, .kprobe_extra_ns = hooks.kprobe_extra_ns};
    result.stations = collect_stations(way, hooks, result.hops, snapshot);
    result.net_rx = collect_net_rx(snapshot);
    result.conservation = collect_conservation(snapshot);
    result.timelines = collect_timelines(way, session.engine().notes());
    result.notes = collect_notes(snapshot, measured.traced);
    close_books(result);
    return result;
}

} // namespace vethtrace
