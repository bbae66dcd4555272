// SPDX-License-Identifier: GPL-2.0-only
//
// Results as tables for spreadsheets: RFC 4180, units in the heading, times in ns. What is text from outside can be no
// formula there.
#pragma once

#include "core/diff.hpp"
#include "core/ladder.hpp"
#include "core/result.hpp"
#include "core/watch_totals.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

// Lines of cells, each line ended by next().
class Csv {
public:
    void text(std::string_view cell);
    void number(const std::optional<double> &value);
    void number(const std::optional<std::uint64_t> &value);
    void flag(bool value);
    void empty(int cells = 1);
    void next();
    void line(const std::vector<std::string_view> &texts);
    [[nodiscard]] std::string take();

private:
    void cell(std::string_view written);

    std::string out_;
    bool begins_line_ = true;
};

// A line for each hop, one for what they leave unexplained and one for the round trip: the column per_transaction_ns of
// the former adds up to that of the latter.
[[nodiscard]] std::string to_csv(const RunResult &result);
// A line for each difference of a stage, and of the round trip.
[[nodiscard]] std::string to_csv(const CompareResult &result);
[[nodiscard]] std::string to_csv(const DiffResult &result);
[[nodiscard]] std::string to_csv(const RrResult &result);
// A line for each attempt.
[[nodiscard]] std::string to_csv(const std::vector<Choice> &choices, const Environment &environment);

// Of `watch` piece by piece, as a recording can be long: a heading, and for each window a line for each series and for
// each kind of drop.
[[nodiscard]] std::string watch_csv_heading();
[[nodiscard]] std::string to_csv(const WatchWindow &window);
// All windows as one, numbered 0, for a summary without windows.
[[nodiscard]] std::string to_csv(const WatchTotals &totals);

} // namespace vethtrace
