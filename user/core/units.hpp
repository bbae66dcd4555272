// SPDX-License-Identifier: GPL-2.0-only
//
// The units in which times and shares are told.
#pragma once

#include <cstdint>
#include <optional>

namespace vethtrace {

using Nanoseconds = std::uint64_t;

inline constexpr double ns_per_us = 1e3;
inline constexpr double ns_per_ms = 1e6;
inline constexpr double ns_per_s = 1e9;
inline constexpr double percent = 100;

// How many there are of something in a second of that time. None: no time at all.
[[nodiscard]] inline std::optional<double> per_second(double count, Nanoseconds duration) {
    return duration == 0 ? std::nullopt : std::optional(count * ns_per_s / static_cast<double>(duration));
}

} // namespace vethtrace
