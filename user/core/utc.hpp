// SPDX-License-Identifier: GPL-2.0-only
//
// Wall-clock times as ISO 8601, in UTC and to the millisecond: "2026-01-31T12:00:00.000Z".
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace vethtrace {

[[nodiscard]] std::string utc_text(std::chrono::system_clock::time_point when);

// Null for anything that utc_text() would not have written, and for years before 1970 or after 2200: a clock
// of nanoseconds has an end.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> utc_from(const std::string &text);

} // namespace vethtrace
