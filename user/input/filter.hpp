// SPDX-License-Identifier: GPL-2.0-only
//
// How a user says which packets are to be looked at: the device that they pass, the address at the other end, how long
// is too long.
#pragma once

#include "core/error.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace vethtrace {

// Addresses that begin alike.
struct Prefix {
    int family = 4;                            // 4 or 6
    std::array<std::uint8_t, 16> address = {}; // IPv4: the first four bytes
    unsigned bits = 0;
};

// The name of a network device, of those that can be watched: "eth0".
[[nodiscard]] Result<std::string> parse_interface(std::string_view text);

// "10.1.2.3", "10.0.0.0/8", "fd00::/64".
[[nodiscard]] Result<Prefix> parse_prefix(std::string_view text);

// "250ns", "10us", "1ms", "0.5s", more than nothing and at most an hour.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

} // namespace vethtrace
