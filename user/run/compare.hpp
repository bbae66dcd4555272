// SPDX-License-Identifier: GPL-2.0-only
//
// Modes against one another: blocks of rounds in random order, until enough is known.
#pragma once

#include "core/compare.hpp"
#include "run/run.hpp"

namespace vethtrace {

struct CompareOptions {
    RunOptions run;          // of each round; its mode is not looked at
    std::vector<Mode> modes; // the first is the baseline
    ComparePlan plan;
    std::map<std::string, std::string> setups; // by label: a command for that side's labs
    bool skip_missing = false;                 // go on without modes that this kernel lacks
};

struct CompareProgress {
    std::uint64_t round = 0; // from 1
    std::uint64_t rounds = 0;
    std::string mode;
    std::optional<std::chrono::seconds> left; // at most, by the blocks so far
};

// `stop` ends it early; the blocks that are whole by then are the result.
[[nodiscard]] Result<CompareResult> compare_modes(const CompareOptions &options, const std::atomic<bool> &stop,
                                                  const std::function<void(const CompareProgress &)> &progress);

} // namespace vethtrace
