// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_totals.hpp"

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
}

double WatchTotals::mean_overhead() const {
    return duration_ns_ == 0 ? 0 : overhead_ns_ / static_cast<double>(duration_ns_);
}

} // namespace vethtrace
