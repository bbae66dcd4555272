// SPDX-License-Identifier: GPL-2.0-only
//
// What makes one mode slower than another: rounds, their differences stage by stage, and how sure those are.
//
// The sample is the round, one stretch of load in a lab of its own; packets of one round are not independent. Rounds
// are gathered in blocks of one of each mode, and differences are taken within a block, so that what the machine does
// in the meantime hits both.
#pragma once

#include "core/result.hpp"
#include "core/statistics.hpp"

#include <map>
#include <span>

namespace vethtrace {

// One round of one mode; all of it in ns a transaction.
struct Round {
    double untraced_rtt_ns = 0;
    double traced_rtt_ns = 0;
    double corrected_sum_ns = 0;    // of all stages
    std::map<Stage, double> stages; // corrected for the cost of tracing
};

[[nodiscard]] Round round_of(const RunResult &run);

// A mode in a comparison. The same mode can be in it twice, and then its label says which.
struct Side {
    std::string label;
    RunResult run; // of all rounds
    std::vector<Round> rounds;
};

// Counts and times are added up; the books of the sum are made anew over the slices of all rounds.
void add_round(Side &side, const RunResult &round);

// "veth", and "veth#2" for the second veth of the list.
[[nodiscard]] std::vector<std::string> labels_of(std::span<const Mode> modes);

struct ComparePlan {
    std::uint64_t rounds = 20; // at most
    std::uint64_t seed = 0;    // of the order within each block
    double precision = 0.01;   // enough is known when every interval is narrower than this part of the baseline's RTT
    double threshold = 0.01;   // a difference below this part of it matters to nobody
};

// After how many rounds it is looked whether enough is known. Fixed in advance: half of them and all of them, or only
// all of them where half is too few.
struct Look {
    std::uint64_t rounds = 0;
    double level = 0; // of the intervals at this look; over all looks they hold with 95 %
};
[[nodiscard]] std::vector<Look> looks_of(std::uint64_t rounds);

enum class Verdict { slower, faster, indistinguishable };
[[nodiscard]] std::string_view name_of(Verdict verdict);
[[nodiscard]] std::optional<Verdict> verdict_named(std::string_view name);

struct StageDelta {
    Stage stage = Stage::unforeseen;
    std::optional<double> mode_ns;    // null: the mode has no such stage
    std::optional<double> against_ns; // null: the other has none
    std::uint64_t mode_hops = 0;      // how many hops of a transaction are in it
    std::uint64_t against_hops = 0;
    Difference delta;
    std::optional<double> adjusted_p; // Holm, over all stages of the pair
    bool matters = false;             // certain, and a part of the difference that is worth a sentence
};

struct Delta {
    std::string mode;
    std::string against;
    double against_rtt_ns = 0; // untraced
    Difference rtt;            // untraced; the verdict is about this one
    Difference traced;
    Difference corrected;
    std::vector<StageDelta> stages; // in the packet's order
    Difference unexplained;         // what the stages' differences leave of the untraced one
    std::optional<double> explained_ratio;
    Verdict verdict = Verdict::indistinguishable;
    Verdict traced_verdict = Verdict::indistinguishable; // what the traced round trips would have said
    std::optional<double> minimum_detectable_ns;
};

struct CompareResult {
    Environment environment;
    Topology topology = Topology::wire;
    ComparePlan plan;
    std::uint64_t rounds = 0; // whole blocks that were measured
    double level = usual_level;
    bool precise = false;      // every difference from the baseline is known as well as was asked for
    std::vector<Side> sides;   // the first is the baseline
    std::vector<Delta> deltas; // first those against the baseline
    bool interrupted = false;
    bool valid = false;
    std::vector<std::string> warnings;
};

// Whether rounds belong together by their place (one comparison), or not (two stored results).
enum class Pairing { blocks, none };

// The difference of two sides, a - b.
[[nodiscard]] Delta difference_of(const Side &mode, const Side &against, Pairing pairing, double level,
                                  double threshold);

// Its verdicts, by its differences.
void judge(Delta &delta, double threshold);

// Whether at this look every difference from the first side is known well enough.
[[nodiscard]] bool is_precise(std::span<const Side> sides, double level, double precision);

// Fills in all that follows from sides, plan and level.
void conclude(CompareResult &result);

} // namespace vethtrace
