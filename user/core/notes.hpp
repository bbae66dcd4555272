// SPDX-License-Identifier: GPL-2.0-only
//
// The notes that the load generator and the BPF side leave for each other; see struct flow in bpf/lab_layout.h. The
// load writes and reads them only while it is traced.
#pragma once

#include "lab_layout.h"

#include <cstdint>
#include <span>

namespace vethtrace {

struct Notes {
    std::span<layout::flow> flows;
    std::span<layout::timeline> timelines; // of the first flow; empty if nobody asked for any
    std::uint64_t timeline_stride = 1;
    std::span<layout::cpu_area> cpus; // for their counts of tracing events
};

} // namespace vethtrace
