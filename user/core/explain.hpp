// SPDX-License-Identifier: GPL-2.0-only
//
// A walk as one kernel has it, with what was measured on it; and several walks side by side.
#pragma once

#include "core/result.hpp"
#include "core/walk.hpp"

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace vethtrace {

struct KernelSymbol {
    std::string symbol; // as in kallsyms: the compiler may have put something behind the name, ".constprop.0"
    std::string module; // empty: in the kernel itself
};

// What a kernel has of the names that were looked up.
struct KernelNames {
    std::map<std::string, KernelSymbol, std::less<>> symbols; // by the name in the source
    std::set<std::string, std::less<>> in_btf;
    std::set<std::string, std::less<>> tracepoints;
};

// A function of a step, as this kernel has it.
struct NamedCall {
    std::string function;
    std::optional<KernelSymbol> symbol; // null: inlined ...
    std::string inlined_into;           // ... into this symbol
    bool in_btf = false;
};

struct StepTime {
    std::uint64_t count = 0;
    double mean_ns = 0;
    double share = 0; // of the round trip
};

struct ExplainedStep {
    Passage passage;
    std::vector<NamedCall> calls;          // those that this kernel has, or has inlined
    std::optional<std::string> tracepoint; // that fires at its end
    std::optional<StepTime> time;
};

// Packets of one netfilter hook, by direction.
struct HookCount {
    std::string hook; // "prerouting"
    std::uint64_t requests = 0;
    std::uint64_t responses = 0;
};

// What counting rules saw of a connection from the container once it was established: data, acknowledgements, its end.
struct NetfilterCount {
    std::uint64_t transactions = 0;
    std::uint64_t sent = 0;     // by the client, at its own output
    std::uint64_t received = 0; // at its own input
    std::vector<HookCount> host;

    // The most that any hook of the host saw.
    [[nodiscard]] HookCount seen_by_host() const;
};

struct MeasuredWalk {
    std::string kernel;
    std::uint64_t transactions = 0;
    double rtt_mean_ns = 0;
    double added_ratio = 0; // what tracing added to the round trip
    bool valid = false;
};

struct Explanation {
    Mode mode = Mode::veth;
    Topology topology = Topology::wire;
    std::vector<ExplainedStep> steps;
    std::vector<std::string> missing_modules; // their functions cannot be looked up, and are not named
    std::optional<MeasuredWalk> measured;
    std::optional<Timeline> timeline;
    std::optional<NetfilterCount> netfilter;
};

// One row for steps of several walks that do the same, in the order of all.
struct AlignedRow {
    std::vector<std::optional<std::size_t>> steps; // for each walk: which of its steps
};

struct ExplainResult {
    Environment environment;
    std::vector<Explanation> walks;
    std::vector<AlignedRow> side_by_side; // empty with one walk
    bool valid = true;
    std::vector<std::string> warnings;
};

// `run`, if there is one, must be of this way's mode and topology.
[[nodiscard]] Explanation explain(Way way, const KernelNames &names, const RunResult *run);

// Steps are the same if they belong to one stage and direction, and end at the same point.
[[nodiscard]] std::vector<AlignedRow> side_by_side(std::span<const Explanation> walks);

} // namespace vethtrace
