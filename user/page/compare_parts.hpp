// SPDX-License-Identifier: GPL-2.0-only
//
// Differences, as the pages of comparisons and of diffs show them.
#pragma once

#include "page/html.hpp"
#include "report/compare_words.hpp"

#include <set>
#include <span>
#include <string>

namespace vethtrace {

void draw_verdict_sentence(Html &html, const Delta &delta);
// The verdict, and a sentence for each stage that matters. What the kernel does in a stage is told once, for all.
void draw_delta_words(Html &html, const Delta &delta, std::set<Stage> &described);

// "+2.40 µs ±50 ns", with a star where it is certain.
void difference_cell(Html &html, const std::string &label, const Difference &delta, bool certain);

// A place for a chart of each; the scripts find them by their numbers.
void draw_difference_charts(Html &html, std::span<const Delta> deltas);

} // namespace vethtrace
