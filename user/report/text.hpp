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
#include <vector>

namespace vethtrace {

[[nodiscard]] std::string to_text(const RunResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const std::vector<Choice> &choices, const Environment &environment,
                                  const TextStyle &style);

[[nodiscard]] std::string to_text(const CompareResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const DiffResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const RrResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const ExplainResult &result, const TextStyle &style);

// One transaction, moment by moment.
[[nodiscard]] std::string timeline_text(const Timeline &timeline, const TextStyle &style);

} // namespace vethtrace
