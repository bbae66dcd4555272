// SPDX-License-Identifier: GPL-2.0-only
#include "core/evidence.hpp"

#include "core/units.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace vethtrace {

namespace {

// With fewer packets nothing is said of how long they wait.
constexpr std::uint64_t enough_packets = 5;
constexpr double least_time_share = 0.01;
constexpr double least_spent_share = 0.5;

// What lies beyond `usual_ns` in each of the times, to the precision of the buckets.
double beyond(const SparseHistogram &time, double usual_ns) {
    double sum = 0;
    for (const Histogram::Bar &bar : time.bars()) {
        auto low = static_cast<double>(std::max(bar.range.low, time.min().value_or(0)));
        auto high = static_cast<double>(std::min(bar.range.high.value_or(~Nanoseconds(0)), time.max().value_or(0)));
        sum += std::max(0.0, (low + high) / 2 - usual_ns) * static_cast<double>(bar.count);
    }
    return sum;
}

// Stages in which the network is waited for; beside them time passes until the application reads.
bool is_on_the_way(Stage stage) {
    return stage != Stage::wakeup;
}

} // namespace

std::string wait_text(double ns) {
    if (ns < ns_per_ms)
        return fmt::format("{:.1f} us", ns / ns_per_us);
    return ns < ns_per_s ? fmt::format("{:.1f} ms", ns / ns_per_ms) : fmt::format("{:.1f} s", ns / ns_per_s);
}

std::string Wait::text() const {
    std::string text = fmt::format("{}, {}, {}", target, name_of(flow), name_of(stage));
    if (!spent.device.empty())
        text += " of " + spent.device;
    text += ": mean " + wait_text(spent.time.mean().value_or(0));
    if (std::optional<double> p99 = spent.time.percentile(0.99))
        text += ", p99 " + wait_text(*p99);
    if (std::optional<Nanoseconds> max = spent.time.max())
        text += ", max " + wait_text(static_cast<double>(*max));
    text += fmt::format(", {} packets", spent.packets);
    return time_share >= least_time_share
               ? text + fmt::format("; {:.0f} % of the time went by with it", time_share * percent)
               : text + fmt::format("; {:.0f} % of what they took", spent_share * percent);
}

Evidence::Evidence(const WatchWindow &window, const WatchTotals *so_far)
    : drops_(window.drops), sockets_(window.sockets), node_(window.node), duration_ns_(window.duration_ns) {
    if (so_far != nullptr)
        devices_ = so_far->devices();
    for (const Target &target : window.arrived)
        devices_[target.name] = target.devices;
    for (const WatchSeries &series : window.series)
        add(series, static_cast<std::uint64_t>(window.all_of(series.time.count())),
            window.grouping == Grouping::interface ? series.group : device_at(series.target, series.from));
}

Evidence::Evidence(const WatchTotals &totals)
    : node_(totals.node()), duration_ns_(totals.duration_ns()), devices_(totals.devices()) {
    for (const auto &[key, total] : totals.series()) {
        const auto &[target, flow, from, to] = key;
        add({target, flow, from, to, total.stage, "", total.time}, total.packets, device_at(target, from));
    }
    for (const auto &[key, count] : totals.drops()) {
        const auto &[target, flow, last, reason] = key;
        drops_.push_back({target, flow, last, reason, count});
    }
    for (const auto &[target, sockets] : totals.sockets())
        sockets_.push_back(sockets);
}

void Evidence::add(const WatchSeries &series, std::uint64_t packets, const std::string &device) {
    Spent &spent = spent_[{series.target, series.flow}];
    StageTime &stage = spent.stages[series.stage];
    stage.time.merge(series.time);
    stage.packets += packets;
    if (series.time.sum() >= stage.most) {
        stage.most = series.time.sum();
        stage.station = series.from;
        stage.device = is_at_device(series.from) ? device : "";
    }
    if (is_on_the_way(series.stage))
        spent.sum_ns += static_cast<double>(series.time.sum());
}

std::string Evidence::device_at(const std::string &target, Station station) const {
    auto known = devices_.find(target);
    if (known == devices_.end() || !is_at_device(station))
        return "";
    std::string name;
    for (const WatchedDevice &device : known->second) {
        if (device.role != role_of(station))
            continue;
        if (!name.empty())
            return "";
        name = device.name;
    }
    return name;
}

std::optional<Wait> Evidence::wait_of(const Whose &whose, const Spent &spent, Stage stage, double usual_ns) const {
    auto known = spent.stages.find(stage);
    if (known == spent.stages.end() || known->second.packets < enough_packets || duration_ns_ == 0)
        return std::nullopt;
    const StageTime &time = known->second;
    double late = beyond(time.time, usual_ns);
    double each =
        static_cast<double>(time.packets) / static_cast<double>(std::max<std::uint64_t>(time.time.count(), 1));
    Wait wait{.target = whose.first, .flow = whose.second, .stage = stage, .spent = time, .late_ns = late * each};
    wait.time_share = wait.late_ns / static_cast<double>(duration_ns_);
    if (is_on_the_way(stage) && spent.sum_ns > 0)
        wait.spent_share = late / spent.sum_ns;
    if (wait.time_share < least_time_share && wait.spent_share < least_spent_share)
        return std::nullopt;
    return wait;
}

std::optional<Wait> Evidence::longest_wait(std::initializer_list<Stage> stages, double usual_ns) const {
    std::optional<Wait> longest;
    for (const auto &[whose, spent] : spent_)
        for (Stage stage : stages)
            if (std::optional<Wait> wait = wait_of(whose, spent, stage, usual_ns))
                if (!longest || wait->late_ns > longest->late_ns)
                    longest = std::move(wait);
    return longest;
}

std::optional<Wait> Evidence::longest_wait(const std::string &target, Stage stage, double usual_ns) const {
    std::optional<Wait> longest;
    for (Flow flow : {Flow::out, Flow::in})
        if (auto known = spent_.find({target, flow}); known != spent_.end())
            if (std::optional<Wait> wait = wait_of(known->first, known->second, stage, usual_ns))
                if (!longest || wait->late_ns > longest->late_ns)
                    longest = std::move(wait);
    return longest;
}

} // namespace vethtrace
