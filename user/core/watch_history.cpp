// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_history.hpp"

#include "core/utc.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {

constexpr std::size_t most_slowest = 10;
constexpr std::size_t most_notes = 100;
constexpr std::size_t most_reasons = 64; // the kernel has more, but no node that drops for all of them
const std::string other_reasons = "(other reasons)";

WatchPoint point_of(const WatchWindow &window) {
    WatchPoint point;
    point.first = window.number;
    point.windows = 1;
    point.begun = window.begun;
    point.duration_ns = window.duration_ns;
    point.overhead = window.overhead;
    point.sample = window.sample;
    point.targets = window.targets;
    for (const WatchSeries &series : window.series) {
        WatchTotal &total = point.stages[{series.flow, series.stage}];
        total.stage = series.stage;
        total.time.merge(series.time);
        total.packets += static_cast<std::uint64_t>(std::llround(window.all_of(series.time.count())));
    }
    for (const WatchDrop &drop : window.drops) {
        bool has_place = point.drops.size() < most_reasons || point.drops.contains(drop.reason);
        point.drops[has_place ? drop.reason : other_reasons] += drop.count;
    }
    return point;
}

void append(WatchPoint &to, const WatchPoint &next) {
    to.windows += next.windows;
    to.duration_ns += next.duration_ns;
    to.overhead = std::max(to.overhead, next.overhead);
    to.sample = std::max(to.sample, next.sample);
    to.targets = next.targets;
    for (const auto &[key, total] : next.stages) {
        WatchTotal &sum = to.stages[key];
        sum.stage = total.stage;
        sum.time.merge(total.time);
        sum.packets += total.packets;
    }
    for (const auto &[reason, count] : next.drops) {
        bool has_place = to.drops.size() < most_reasons || to.drops.contains(reason);
        to.drops[has_place ? reason : other_reasons] += count;
    }
}

} // namespace

void WatchHistory::add(const WatchWindow &window, const std::vector<Advice> &advice) {
    add_to_points(window);
    modes_ = window.modes;
    for (const SlowPacket &packet : window.slowest)
        add(packet);
    for (const Advice &piece : advice) {
        auto known = std::find_if(advice_.begin(), advice_.end(),
                                  [&](const GivenAdvice &given) { return given.advice.rule == piece.rule; });
        if (known == advice_.end())
            known = advice_.insert(known, {piece, 0, window.begun, window.begun});
        known->advice = piece;
        ++known->windows;
        known->last = window.begun;
    }
    for (const std::string &note : window.notes) {
        notes_.push_back(utc_text(window.begun) + " " + note);
        if (notes_.size() > most_notes) {
            notes_.erase(notes_.begin());
            ++notes_left_out_;
        }
    }
}

void WatchHistory::add(const SlowPacket &packet) {
    // One that was told on its own is among its window's slowest as well.
    bool known = std::any_of(slowest_.begin(), slowest_.end(), [&](const SlowPacket &one) {
        return one.total == packet.total && one.source == packet.source && one.destination == packet.destination;
    });
    if (known)
        return;
    auto slower = [](const SlowPacket &a, const SlowPacket &b) { return a.total > b.total; };
    slowest_.insert(std::upper_bound(slowest_.begin(), slowest_.end(), packet, slower), packet);
    if (slowest_.size() > most_slowest)
        slowest_.pop_back();
}

void WatchHistory::add_to_points(const WatchWindow &window) {
    WatchPoint point = point_of(window);
    if (!points_.empty() && points_.back().windows < windows_of_a_point_) {
        append(points_.back(), point);
        return;
    }
    if (points_.size() == most_points_)
        halve();
    points_.push_back(std::move(point));
}

void WatchHistory::halve() {
    std::vector<WatchPoint> pairs;
    for (std::size_t i = 0; i < points_.size(); i += 2) {
        pairs.push_back(std::move(points_[i]));
        if (i + 1 < points_.size())
            append(pairs.back(), points_[i + 1]);
    }
    points_ = std::move(pairs);
    windows_of_a_point_ *= 2;
}

} // namespace vethtrace
