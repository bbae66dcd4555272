// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

namespace vethtrace {

// What this process costs, its BPF programs not included.
struct OwnCost {
    double cpu_seconds = 0; // since its start, user and system
    std::uint64_t descriptors = 0;
};

[[nodiscard]] OwnCost read_own_cost();

} // namespace vethtrace
