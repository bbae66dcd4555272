// SPDX-License-Identifier: GPL-2.0-only
//
// Not all hooks cost the same. Comparing traced with untraced load tells what tracing costs in all, but not how much of
// it a kprobe costs more than a tracepoint; that is measured here.
#pragma once

#include "hooks/features.hpp"

namespace vethtrace {

// How many ns a kprobe takes longer to reach its program than fentry or a tracepoint does, whose costs differ little.
// Measured on a system call of this thread. Null where there are no kprobes.
[[nodiscard]] std::optional<double> measure_kprobe_extra(Features &features);

} // namespace vethtrace
