// SPDX-License-Identifier: GPL-2.0-only
//
// Two stored results against one another: what changed from the first to the second, and is it more than allowed?
#pragma once

#include "core/compare.hpp"

#include <variant>

namespace vethtrace {

using Stored = std::variant<RunResult, CompareResult>;

struct StoredResult {
    std::string name; // of its file
    Stored result;
};

struct DiffOptions {
    double threshold = 0;          // a change below this part of the round trip matters to nobody
    std::optional<double> allowed; // the untraced round trip may grow by this part
    bool anyway = false;           // even if they were measured under different conditions
};

struct DiffResult {
    std::string before;
    std::string after;
    Environment environment; // of the later one
    std::optional<double> allowed;
    std::vector<Delta> deltas;           // after - before, for each mode that both have
    std::vector<std::string> over;       // modes whose round trip grew by more than is allowed
    std::vector<std::string> conditions; // what was different when they were measured
    std::vector<std::string> warnings;
};

// A growth counts if its interval excludes zero, or if there is none. Fails if the results have no mode in common, or
// were measured under different conditions.
[[nodiscard]] Result<DiffResult> diff(const StoredResult &before, const StoredResult &after,
                                      const DiffOptions &options);

} // namespace vethtrace
