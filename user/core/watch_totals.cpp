// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_totals.hpp"

#include <algorithm>

namespace vethtrace {

namespace {

// Containers that come and go must not fill the memory: beyond so many, their times go to nobody's.
constexpr std::size_t most_series = 20'000;
const std::string everybody_else = "(others)";

} // namespace

void WatchTotals::add(const WatchWindow &window) {
    if (windows_++ == 0)
        begun_ = window.begun;
    duration_ns_ += window.duration_ns;
    overhead_ns_ += window.overhead * static_cast<double>(window.duration_ns);
    conservation_ = window.conservation;
    series_dropped_ = window.series_dropped;
    slow_suppressed_ = window.slow_suppressed;
    for (const WatchSeries &series : window.series) {
        Key key(series.target, series.flow, series.from, series.to);
        if (series_.size() >= most_series && !series_.contains(key))
            std::get<std::string>(key) = everybody_else;
        WatchTotal &total = series_[key];
        total.time.merge(series.time);
        total.packets += series.time.count() * window.sample;
        stages_[key] = series.stage;
    }
    for (const WatchDrop &drop : window.drops) {
        DropKey key(drop.target, drop.flow, drop.last, drop.reason);
        if (drops_.size() >= most_series && !drops_.contains(key))
            std::get<0>(key) = everybody_else;
        drops_[key] += drop.count;
    }
    for (const WatchSockets &sockets : window.sockets)
        add(sockets);
    for (const NodeCounters::Cpu &cpu : window.node.cpus)
        add(cpu);
    for (const Target &target : window.arrived)
        if (devices_.size() < most_series || devices_.contains(target.name))
            devices_[target.name] = target.devices;
}

void WatchTotals::add(const WatchSockets &sockets) {
    bool has_place = sockets_.size() < most_series || sockets_.contains(sockets.target);
    const std::string &name = has_place ? sockets.target : everybody_else;
    WatchSockets &total = sockets_[name];
    total.target = name;
    total.delivered += sockets.delivered;
    total.read += sockets.read;
    total.waiting = std::max(total.waiting, sockets.waiting);
    total.oldest = std::max(total.oldest, sockets.oldest);
    total.listen_overflows += sockets.listen_overflows;
    total.buffer_full += sockets.buffer_full;
    total.retransmitted += sockets.retransmitted;
    total.sent_segments += sockets.sent_segments;
    total.bad_checksums += sockets.bad_checksums;
    total.throttled_periods += sockets.throttled_periods;
    total.throttled += sockets.throttled;
    if (!sockets.quota.empty())
        total.quota = sockets.quota;
}

void WatchTotals::add(const NodeCounters::Cpu &cpu) {
    auto known = std::find_if(node_.cpus.begin(), node_.cpus.end(),
                              [&](const NodeCounters::Cpu &each) { return each.id == cpu.id; });
    if (known == node_.cpus.end())
        known = node_.cpus.insert(known, NodeCounters::Cpu{.id = cpu.id});
    known->net_rx_runs += cpu.net_rx_runs;
    known->ksoftirqd_runs += cpu.ksoftirqd_runs;
    known->packets += cpu.packets;
    known->time_squeezed += cpu.time_squeezed;
    known->backlog_dropped += cpu.backlog_dropped;
}

WatchTotals WatchTotals::of(Summary summary) {
    WatchTotals totals;
    totals.series_ = std::move(summary.series);
    totals.stages_ = std::move(summary.stages);
    totals.drops_ = std::move(summary.drops);
    totals.begun_ = summary.begun;
    totals.duration_ns_ = summary.duration_ns;
    totals.windows_ = summary.windows;
    totals.overhead_ns_ = summary.mean_overhead * static_cast<double>(summary.duration_ns);
    totals.conservation_ = summary.conservation;
    totals.series_dropped_ = summary.series_dropped;
    totals.slow_suppressed_ = summary.slow_suppressed;
    return totals;
}

double WatchTotals::mean_overhead() const {
    return duration_ns_ == 0 ? 0 : overhead_ns_ / static_cast<double>(duration_ns_);
}

} // namespace vethtrace
