// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_totals.hpp"

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
        total.packets += static_cast<std::uint64_t>(std::llround(window.all_of(series.time.count())));
        stages_[key] = series.stage;
    }
    for (const WatchDrop &drop : window.drops) {
        DropKey key(drop.target, drop.flow, drop.last, drop.reason);
        if (drops_.size() >= most_series && !drops_.contains(key))
            std::get<0>(key) = everybody_else;
        drops_[key] += drop.count;
    }
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
