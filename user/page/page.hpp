// SPDX-License-Identifier: GPL-2.0-only
//
// Results as pages of HTML: each is one file that needs nothing else, for people to whom it is sent. Without scripts
// the tables and the pictures are there all the same.
#pragma once

#include "core/diff.hpp"
#include "core/explain.hpp"
#include "core/ladder.hpp"
#include "core/result.hpp"
#include "core/watch_history.hpp"
#include "report/watch_report.hpp"

#include <string>
#include <vector>

namespace vethtrace {

[[nodiscard]] std::string to_page(const RunResult &result);
[[nodiscard]] std::string to_page(const CompareResult &result);
[[nodiscard]] std::string to_page(const DiffResult &result);
[[nodiscard]] std::string to_page(const RrResult &result);
[[nodiscard]] std::string to_page(const ExplainResult &result);
[[nodiscard]] std::string to_page(const std::vector<Choice> &choices, const Environment &environment);

// `filter`: what was filtered for, as it was typed; empty: nothing.
[[nodiscard]] std::string to_page(const WatchReport &report, const WatchHistory &history,
                                  const std::string &filter = {});

} // namespace vethtrace
