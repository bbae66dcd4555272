// SPDX-License-Identifier: GPL-2.0-only
//
// Results for a person at a terminal.
#pragma once

#include "core/diff.hpp"
#include "core/explain.hpp"
#include "core/ladder.hpp"
#include "core/result.hpp"
#include "report/style.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

[[nodiscard]] std::string to_text(const RunResult &result, const TextStyle &style);
// The largest stage, and whether tracing changes the picture.
[[nodiscard]] std::string closing_sentence(const RunResult &result, std::string_view means = "the means above");
[[nodiscard]] std::string to_text(const std::vector<Choice> &choices, const Environment &environment,
                                  const TextStyle &style);

[[nodiscard]] std::string to_text(const CompareResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const DiffResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const RrResult &result, const TextStyle &style);
// Sentences about a walk, for all who show one.
[[nodiscard]] std::string functions_text(const ExplainedStep &step);
[[nodiscard]] std::string measured_text(const MeasuredWalk &run);
[[nodiscard]] std::string host_netfilter_text(const Explanation &walk); // what it sees of the packets, and why
[[nodiscard]] std::string counted_text(const NetfilterCount &count);
[[nodiscard]] std::string to_text(const ExplainResult &result, const TextStyle &style);

// One transaction, moment by moment.
[[nodiscard]] std::string timeline_text(const Timeline &timeline, const TextStyle &style);

} // namespace vethtrace
