// SPDX-License-Identifier: GPL-2.0-only
//
// A result, out of what the load measured and the programs gathered.
#pragma once

#include "run/session.hpp"

#include <vector>

namespace vethtrace {

struct Measured {
    StretchResult traced; // all slices together
    std::vector<SlicePair> slices;
    std::uint32_t sample = 1; // one transaction in so many was followed
    std::optional<Budget> budget;
    double stamp_ns = 0; // one reading of the clock by the load
};

// Once the load has stopped.
[[nodiscard]] RunResult collect(const RunOptions &options, const Session &session, const Measured &measured);

} // namespace vethtrace
