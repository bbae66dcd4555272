// SPDX-License-Identifier: GPL-2.0-only
#include "core/utc.hpp"

#include <charconv>
#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>

namespace vethtrace {

std::string utc_text(std::chrono::system_clock::time_point when) {
    auto seconds = std::chrono::floor<std::chrono::seconds>(when);
    auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(when) - seconds;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                       milliseconds.count());
}

std::optional<std::chrono::system_clock::time_point> utc_from(const std::string &text) {
    constexpr std::size_t length = std::string_view("2026-01-31T12:00:00.000Z").size();
    constexpr std::size_t digits = std::string_view("2026-01-31T12:00:00.").size();
    constexpr int earliest = 1970 - 1900;
    constexpr int latest = 2200 - 1900; // a clock of nanoseconds ends in 2262
    std::tm at = {};
    int milliseconds = 0;
    if (text.size() != length || strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &at) == nullptr || at.tm_year < earliest ||
        at.tm_year > latest)
        return std::nullopt;
    (void)std::from_chars(text.data() + digits, text.data() + length, milliseconds);
    auto when = std::chrono::system_clock::from_time_t(timegm(&at)) + std::chrono::milliseconds(milliseconds);
    return utc_text(when) == text ? std::optional(when) : std::nullopt;
}

} // namespace vethtrace
