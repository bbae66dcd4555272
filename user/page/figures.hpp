// SPDX-License-Identifier: GPL-2.0-only
//
// Numbers as they are written in a page: for people, and beside that exactly, for programs.
#pragma once

#include "core/histogram.hpp"
#include "page/html.hpp"

#include <optional>
#include <string>

namespace vethtrace {

// "1.97 µs", "−12 ns": as on a terminal, with a space that does not break.
[[nodiscard]] std::string time_text(double ns);
// "+1.97 µs"
[[nodiscard]] std::string change_text(double ns);
// "12.5 %"; what is no number is a dash.
[[nodiscard]] std::string percent_text(double ratio);
// A sentence in which a number and its per cent stay on one line.
[[nodiscard]] std::string unbroken(std::string text);
// A coordinate, or a length: at most one decimal.
[[nodiscard]] std::string px(double length);

// <data value="1970.123">1.97 µs</data>, the value in ns as it is in the JSON; a dash where there is none.
void time_figure(Html &html, const std::optional<double> &ns);
void change_figure(Html &html, const std::optional<double> &ns);
void count_figure(Html &html, std::uint64_t count);

// A cell of a table for each of them. On a phone, where a row is a card, `label` stands before it.
void time_cell(Html &html, const std::string &label, const std::optional<double> &ns);
void time_cell(Html &html, const std::string &label, const std::optional<Nanoseconds> &ns);
void time_cell(Html &html, const std::string &label, double ns);
void count_cell(Html &html, const std::string &label, std::uint64_t count);

// What a distribution's row has in every table.
template<typename Distribution>
void distribution_cells(Html &html, const Distribution &time) {
    count_cell(html, "n", time.count());
    time_cell(html, "mean", time.mean());
    time_cell(html, "p50", time.percentile(0.5));
    time_cell(html, "p99", time.percentile(0.99));
    time_cell(html, "max", time.max());
}

} // namespace vethtrace
