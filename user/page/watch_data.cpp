// SPDX-License-Identifier: GPL-2.0-only
#include "page/watch_data.hpp"

#include "core/utc.hpp"
#include "report/distribution.hpp"

#include <algorithm>

namespace vethtrace {

namespace {

using Json = nlohmann::ordered_json;
using StageTotals = std::map<std::pair<Flow, Stage>, WatchTotal>;

constexpr std::size_t most_targets = 12;

Json stages_json(const StageTotals &stages, bool with_histogram) {
    Json json = Json::array();
    for (const auto &[key, total] : stages) {
        Json stage = {{"direction", name_of(key.first)}, {"stage", name_of(key.second)}, {"packets", total.packets}};
        stage.update(distribution_json(total.time));
        if (!with_histogram)
            stage.erase("histogram");
        json.push_back(std::move(stage));
    }
    return json;
}

StageTotals stages_of(const WatchTotals &totals) {
    StageTotals stages;
    for (const auto &[key, total] : totals.series()) {
        WatchTotal &sum = stages[{std::get<Flow>(key), total.stage}];
        sum.time.merge(total.time);
        sum.packets += total.packets;
    }
    return stages;
}

// With sampling more packets spent time there than were followed, and on average as much.
double all_time(const WatchTotal &total) {
    return total.time.mean().value_or(0) * static_cast<double>(total.packets);
}

struct Busy {
    std::string name;
    std::map<Stage, double> stages;
    double all = 0;
};

Json targets_json(const WatchTotals &totals) {
    std::map<std::string, Busy> by_name;
    for (const auto &[key, total] : totals.series()) {
        Busy &busy = by_name[std::get<0>(key)];
        busy.name = std::get<0>(key);
        busy.stages[total.stage] += all_time(total);
        busy.all += all_time(total);
    }
    std::vector<Busy> busiest;
    busiest.reserve(by_name.size());
    for (auto &[name, busy] : by_name)
        busiest.push_back(std::move(busy));
    std::stable_sort(busiest.begin(), busiest.end(), [](const Busy &a, const Busy &b) { return a.all > b.all; });
    if (busiest.size() > most_targets)
        busiest.resize(most_targets);
    Json json = Json::array();
    for (const Busy &busy : busiest) {
        Json stages = Json::object();
        for (const auto &[stage, ns] : busy.stages)
            stages[std::string(name_of(stage))] = rounded(ns);
        json.push_back({{"name", busy.name}, {"stages", std::move(stages)}});
    }
    return json;
}

} // namespace

Json watch_data(const WatchReport &report, const WatchHistory &history) {
    Json points = Json::array();
    for (const WatchPoint &point : history.points())
        points.push_back({{"begun", utc_text(point.begun)},
                          {"duration_ns", point.duration_ns},
                          {"windows", point.windows},
                          {"drops", point.drops},
                          {"stages", stages_json(point.stages, false)}});
    return {{"duration_ns", report.totals.duration_ns()},
            {"stages", stages_json(stages_of(report.totals), true)},
            {"targets", targets_json(report.totals)},
            {"points", std::move(points)}};
}

} // namespace vethtrace
