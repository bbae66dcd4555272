// SPDX-License-Identifier: GPL-2.0-only
//
// /proc/net/softnet_stat: what each CPU's NET_RX has done since boot. A line for each CPU that is online; columns are
// hexadecimal (net/core/net-procfs.c, softnet_seq_show): 1 packets processed, 2 dropped because the backlog was full,
// 3 how often a run stopped with packets left (time_squeeze), and since 5.10 13 the CPU's number.
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <map>
#include <string_view>

namespace vethtrace {

struct Softnet {
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;
    std::uint64_t time_squeezed = 0;
};

using SoftnetReading = std::map<int, Softnet>; // by CPU

[[nodiscard]] SoftnetReading parse_softnet(std::string_view text);
[[nodiscard]] Result<SoftnetReading> read_softnet();

// What has grown. A CPU that was not there before has grown from nothing, one that is gone is left out, and one whose
// counters fell back began anew. The kernel's counters have 32 bits.
[[nodiscard]] SoftnetReading difference(const SoftnetReading &before, const SoftnetReading &after);

} // namespace vethtrace
