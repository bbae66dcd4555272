// SPDX-License-Identifier: GPL-2.0-only
//
// The way of a packet in words: for each hop of a mode's way what happens there, where, in which context, and by which
// functions of the kernel. It follows from the table of stations; which of the functions a kernel has is found out when
// it is asked (core/explain.hpp).
#pragma once

#include "core/ways.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

// A function that the packet passes, under the names that it has had: the first that a kernel has is its name there.
struct Call {
    std::vector<std::string_view> names;
    // For a static function of one caller: into which of these the compiler has put it where it is no symbol, the
    // first that is one. Empty: what is no symbol is not there.
    std::vector<std::string_view> inlined_into = {};
};

// One hop of the walk.
struct Passage {
    HopName hop;
    std::string netns;   // "container", "host", "peer"; of a hop that crosses, "host, then container"
    std::string device;  // the lab's name of it
    std::string context; // who runs it, and on which CPU
    std::string what;    // two sentences
    std::vector<Call> calls;
    std::vector<std::string_view> netfilter; // hooks of the host's netfilter that it passes, in this order
    // How its end is seen without a function: tracepoints, the first that a kernel has.
    std::vector<std::string_view> tracepoints;
};

// A walk has a passage for each hop that every message takes, in the packet's order.
[[nodiscard]] std::vector<Passage> walk_of(const Way &way);

// All that its passages name: functions, and what these may be inlined into.
[[nodiscard]] std::vector<std::string_view> functions_of(std::span<const Passage> walk);

// Modules whose functions a walk names. A module that is loaded, or built in, has its `function`, because the kernel
// calls that by a pointer.
struct WalkModule {
    std::string_view name;
    std::string_view function;
};
[[nodiscard]] std::vector<WalkModule> modules_of(const Way &way);

// What the host's netfilter sees of the packets of this way, and why.
[[nodiscard]] std::string netfilter_text(std::span<const Passage> walk);

} // namespace vethtrace
