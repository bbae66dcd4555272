// SPDX-License-Identifier: GPL-2.0-only
//
// What the scripts of a page of `watch` read. A recording can be larger than any page should be, so this is less:
// totals, points of time, and the targets on which most time was spent.
#pragma once

#include "core/watch_history.hpp"
#include "report/watch_report.hpp"

#include <nlohmann/json.hpp>

namespace vethtrace {

// {"duration_ns",
//  "stages": [{"direction", "stage", "packets", distribution...}],
//  "targets": [{"name", "stages": {STAGE: ns spent there in all}}], the busiest first,
//  "points": [{"begun", "duration_ns", "windows", "drops": {REASON: n},
//              "stages": [{"direction", "stage", "packets", distribution without its histogram...}]}]}
[[nodiscard]] nlohmann::ordered_json watch_data(const WatchReport &report, const WatchHistory &history);

} // namespace vethtrace
