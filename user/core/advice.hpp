// SPDX-License-Identifier: GPL-2.0-only
//
// Advice on more than one window. What is true of a window alone is asked for by advise() of core/watch.hpp.
#pragma once

#include "core/watch.hpp"
#include "core/watch_totals.hpp"

#include <vector>

namespace vethtrace {

// By the same rules on all that was watched, so that texts, pages and JSON can end with the same advice.
[[nodiscard]] std::vector<Advice> advise(const WatchTotals &totals);

// On a window whose targets came in earlier ones: names their devices.
[[nodiscard]] std::vector<Advice> advise(const WatchWindow &window, const WatchTotals &so_far);

} // namespace vethtrace
