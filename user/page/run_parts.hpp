// SPDX-License-Identifier: GPL-2.0-only
//
// Parts of the page of a run that other pages have as well.
#pragma once

#include "core/result.hpp"
#include "page/html.hpp"

#include <string>
#include <vector>

namespace vethtrace {

// "TCP_RR 1/1 byte", "1 flow", "CPU 1", "20,000 transactions"
[[nodiscard]] std::vector<std::string> facts_of(const LoadResult &load);

// A little square of the stage's colour and its name.
void draw_stage(Html &html, Stage stage);

// Both sizes of the picture, or a sentence in their place.
void draw_ways(Html &html, const RunResult &result);
// A small one, for several beside one another: they have one scale.
void draw_small_way(Html &html, const RunResult &result, double thickest_ns);

} // namespace vethtrace
