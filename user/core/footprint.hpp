// SPDX-License-Identifier: GPL-2.0-only
//
// What the maps take of the kernel's memory; fixed when the programs are loaded, whatever the traffic.
#pragma once

#include "lab_layout.h"

#include <cstddef>
#include <cstdint>

namespace vethtrace {

constexpr std::size_t map_bytes_of_each_cpu = sizeof(layout::cpu_area);

// Packets in flight, the flows of the load, and timelines.
constexpr std::size_t map_bytes_shared(std::uint32_t flows, std::uint32_t timelines) {
    return ((sizeof(layout::slot_pair) + sizeof(std::uint32_t)) << layout::PAIR_BITS) + flows * sizeof(layout::flow) +
           timelines * sizeof(layout::timeline);
}

} // namespace vethtrace
