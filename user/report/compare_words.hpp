// SPDX-License-Identifier: GPL-2.0-only
//
// What a comparison says, in sentences: the same on a terminal and in a page.
#pragma once

#include "core/compare.hpp"

#include <string>
#include <vector>

namespace vethtrace {

// How numbers are written: on a terminal in other letters than in a page.
struct NumberWords {
    std::string (*time)(double ns);
    std::string (*change)(double ns);     // with its sign
    std::string (*percent)(double ratio); // the same
};

struct VerdictSentence {
    std::string claim; // "veth is slower than host"
    std::string rest;  // " by 2.40us (...), +12.0 % of the round trip; ..."
};
[[nodiscard]] VerdictSentence verdict_of(const Delta &delta, const NumberWords &words);

// A stage that matters for a difference, and by how much.
struct StageSentence {
    Stage stage = Stage::unforeseen;
    std::string change; // "+2.40us"
    std::string rest;   // "in backlog (+2.10us to +2.70us; 4 hops and not 2)"
};
// The largest first.
[[nodiscard]] std::vector<StageSentence> stages_that_matter(const Delta &delta, const NumberWords &words);

// "2.00 NET_RX runs a transaction (inline 2.00), which serve 4 waits in a backlog"
[[nodiscard]] std::string softirq_sentence(const RunResult &run);

// Of the rounds of a mode; 0 without any.
[[nodiscard]] double mean_of_rounds(const Side &side, double Round::*value);
[[nodiscard]] double mean_of_rounds(const Side &side, Stage stage);

// The differences from the baseline; those between the others come after them.
[[nodiscard]] std::span<const Delta> deltas_from_baseline(const CompareResult &result);
// All stages of these, each once.
[[nodiscard]] std::vector<Stage> stages_of(const CompareResult &result);
// Null if the difference does not have it.
[[nodiscard]] const StageDelta *find_stage(const Delta &delta, Stage stage);
// Whether it is more than chance, with regard to how many stages were looked at.
[[nodiscard]] bool is_certain(const StageDelta &stage);

} // namespace vethtrace
