// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_totals.hpp"

#include <algorithm>
#include <cmath>

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
    windows_over_budget_ += window.over_budget ? 1 : 0;
    overhead_ns_ += window.overhead * static_cast<double>(window.duration_ns);
    conservation_ = window.conservation;
    series_dropped_ = window.series_dropped;
    slow_suppressed_ = window.slow_suppressed;
    for (const WatchSeries &series : window.series) {
        Key key(series.target, series.flow, series.from, series.to);
        if (series_.size() >= most_series && !series_.contains(key))
            std::get<std::string>(key) = everybody_else;
        WatchTotal &total = series_[key];
        total.stage = series.stage;
        total.time.merge(series.time);
        total.packets += static_cast<std::uint64_t>(std::llround(window.all_of(series.time.count())));
    }
    for (const WatchDrop &drop : window.drops) {
        DropKey key(drop.target, drop.flow, drop.last, drop.reason);
        if (drops_.size() >= most_series && !drops_.contains(key))
            std::get<0>(key) = everybody_else;
        drops_[key] += drop.count;
    }
    add_unseen(window.unseen);
    add_sockets(window.sockets);
    for (const NodeCounters::Cpu &cpu : window.node.cpus)
        add_cpu(cpu);
    for (const Target &target : window.arrived)
        if (devices_.size() < most_series || devices_.contains(target.name))
            devices_[target.name] = target.devices;
}

void WatchTotals::add_unseen(const std::vector<WatchUnseen> &unseen) {
    for (const WatchUnseen &one : unseen) {
        UnseenKey key(one.target, one.flow, one.stage);
        if (unseen_.size() >= most_series && !unseen_.contains(key))
            std::get<std::string>(key) = everybody_else;
        UnseenTotal &total = unseen_[key];
        total.promised += one.promised;
        total.seen += one.promised == 0 ? 0 : one.seen; // of an unknown number it says nothing
        total.why = one.why;
    }
}

void WatchTotals::add_sockets(const std::vector<WatchSockets> &sockets) {
    // What waited at the end of the window before need not wait any more.
    for (auto &[target, total] : sockets_) {
        total.waiting = 0;
        total.oldest = 0;
    }
    for (const WatchSockets &one : sockets) {
        bool has_place = sockets_.size() < most_series || sockets_.contains(one.target);
        const std::string &target = has_place ? one.target : everybody_else;
        WatchSockets &total = sockets_[target];
        total.target = target;
        add_up(total, one);
    }
}

void WatchTotals::add_cpu(const NodeCounters::Cpu &cpu) {
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
    totals.drops_ = std::move(summary.drops);
    totals.unseen_ = std::move(summary.unseen);
    totals.sockets_ = std::move(summary.sockets);
    totals.begun_ = summary.begun;
    totals.duration_ns_ = summary.duration_ns;
    totals.windows_ = summary.windows;
    totals.windows_over_budget_ = summary.windows_over_budget;
    totals.overhead_ns_ = summary.mean_overhead * static_cast<double>(summary.duration_ns);
    totals.conservation_ = summary.conservation;
    totals.series_dropped_ = summary.series_dropped;
    totals.slow_suppressed_ = summary.slow_suppressed;
    return totals;
}

void add_up(WatchSockets &all, const WatchSockets &more) {
    all.delivered += more.delivered;
    all.read += more.read;
    all.waiting += more.waiting;
    all.oldest = std::max(all.oldest, more.oldest);
    all.listen_overflows += more.listen_overflows;
    all.buffer_full += more.buffer_full;
    all.retransmitted += more.retransmitted;
    all.sent_segments += more.sent_segments;
    all.bad_checksums += more.bad_checksums;
    all.throttled_periods += more.throttled_periods;
    all.throttled += more.throttled;
    if (!more.quota.empty())
        all.quota = more.quota;
}

double WatchTotals::mean_overhead() const {
    return duration_ns_ == 0 ? 0 : overhead_ns_ / static_cast<double>(duration_ns_);
}

} // namespace vethtrace
