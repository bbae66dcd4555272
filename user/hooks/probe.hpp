// SPDX-License-Identifier: GPL-2.0-only
//
// Empty BPF programs on hooks: whether this kernel allows a hook, and what it costs, is found out by trying.
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"

#include <cstdint>
#include <linux/bpf.h>
#include <span>
#include <string>

namespace vethtrace {

// A function or tracepoint in BTF: in the kernel's own, or in that of a module (which needs its descriptor).
struct BtfTarget {
    std::uint32_t id = 0;
    int module_fd = 0;
};

// The hook is there as long as both live.
struct Probe {
    Fd program;
    Fd attachment;
};

// What a probe runs at each hit. Other bodies than the empty one are for benchmarks.
using ProbeBody = std::span<const bpf_insn>;
[[nodiscard]] ProbeBody empty_body();

// Errors say why in words for the `tried` of a ladder. To attach to a tracepoint can hardly fail, so loading one tells
// enough; a function can be in BTF and still refuse.
[[nodiscard]] Result<Probe> load_on_tracepoint(const BtfTarget &tracepoint, ProbeBody body = empty_body());
[[nodiscard]] Result<Probe> attach_fentry(const BtfTarget &function, ProbeBody body = empty_body());
[[nodiscard]] Result<Probe> attach_kprobe(const std::string &function, ProbeBody body = empty_body());

// Attaches a loaded one, if it is not attached already.
[[nodiscard]] Result<void> attach(Probe &probe);

// EPERM told from all else.
[[nodiscard]] std::string refusal(int code);

} // namespace vethtrace
