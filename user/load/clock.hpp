// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/histogram.hpp"

#include <ctime>

namespace vethtrace {

inline Nanoseconds read_clock(clockid_t clock) {
    constexpr Nanoseconds per_second = 1'000'000'000;
    timespec now = {};
    clock_gettime(clock, &now);
    return static_cast<Nanoseconds>(now.tv_sec) * per_second + static_cast<Nanoseconds>(now.tv_nsec);
}

// The clock of the BPF side: what is compared with its times must be read from it.
inline Nanoseconds kernel_clock() {
    return read_clock(CLOCK_MONOTONIC);
}

// The clock of round trips: another one, so that the ledger's sum is checked against an independent measurement.
inline Nanoseconds round_trip_clock() {
    return read_clock(CLOCK_MONOTONIC_RAW);
}

} // namespace vethtrace
