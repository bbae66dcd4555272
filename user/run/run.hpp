// SPDX-License-Identifier: GPL-2.0-only
//
// One run: a lab, a load in it, and the tracer on it for the middle part of the time.
#pragma once

#include "core/error.hpp"
#include "core/ladder.hpp"
#include "core/result.hpp"
#include "load/tcp_rr.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace vethtrace {

struct RunOptions {
    Mode mode = Mode::veth;
    Topology topology = Topology::wire;
    LoadOptions load;
    std::optional<std::uint64_t> count;                          // measured transactions ...
    std::chrono::nanoseconds duration = std::chrono::seconds(2); // ... or, without a count, how long
    double untraced_share = 0.4;        // untraced load takes this part of the time of the traced load
    std::uint64_t warmup = 200;         // transactions of all flows together, before each slice
    std::uint32_t sample = 1;           // follow one transaction in so many ...
    std::optional<double> max_overhead; // ... or so many that tracing adds at most this part to the round trip
    std::uint32_t timelines = 0;
    std::string setup; // a command that is run in the lab's host before all else; empty: none
    Denied denied;
    bool lower_privileges = false;                     // for good; only for a process that does nothing else
    layout::mutation mutation = layout::MUTATION_NONE; // only tests ask for one
};

using Progress = std::function<void(const std::string &)>;

// `stop` ends the run early; what was gathered until then is the result.
[[nodiscard]] Result<RunResult> run_lab(const RunOptions &options, const std::atomic<bool> &stop,
                                        const Progress &progress);

} // namespace vethtrace
