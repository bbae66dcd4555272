// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace.watch/2`: an object for each window, and one at the end.
#pragma once

#include "core/environment.hpp"
#include "core/watch_totals.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vethtrace {

[[nodiscard]] nlohmann::ordered_json to_json(const WatchWindow &window, const std::vector<Advice> &advice);

// `advice` is that of all windows together; `ended`: why there are no more.
[[nodiscard]] nlohmann::ordered_json final_json(const WatchTotals &totals, const std::vector<Advice> &advice,
                                                const std::string &ended, const Environment &environment);

// One that took longer than it may, on its own.
[[nodiscard]] nlohmann::ordered_json to_json(const SlowPacket &packet);

} // namespace vethtrace
