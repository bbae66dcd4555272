// SPDX-License-Identifier: GPL-2.0-only
//
// Hook ladders: for each place where packets must be seen, the ordered ways to see them there. The first rung that
// this kernel allows is used; what was tried, and why it lost, is part of every result.
#pragma once

#include "core/error.hpp"
#include "core/ways.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

enum class HookKind { fentry, kprobe, tracepoint };

[[nodiscard]] std::string_view name_of(HookKind kind);
[[nodiscard]] std::optional<HookKind> hook_kind_named(std::string_view name);

// One way to see packets somewhere: a BPF program, attached to a kernel function or a tracepoint.
struct Rung {
    HookKind kind;
    std::string target;      // the function's or tracepoint's name
    std::string program;     // in bpf/hooks.bpf.h, lab.bpf.c or watch.bpf.c
    std::string module = {}; // where the function may live, if not in the kernel itself

    // "veth_xmit fentry", "netif_rx tp_btf"
    [[nodiscard]] std::string text() const;
};

struct Ladder {
    std::string name;    // "xmit (veth)"
    std::string purpose; // what is lost without it
    std::vector<Rung> rungs;
    bool required = true;
};

// What must be hooked for the stations of a way, and for softirqs and drops.
[[nodiscard]] std::vector<Ladder> ladders_for(const Way &way);
// For a node's own traffic: whatever devices it has, so their transmit is seen by the tracepoint.
[[nodiscard]] std::vector<Ladder> ladders_for_watching();
// For all modes and for watching; each ladder once.
[[nodiscard]] std::vector<Ladder> all_ladders();

// The ladder by which a station at a device is seen; null for the moments of the application, which need no hook.
[[nodiscard]] std::optional<std::string> ladder_name(const Way &way, Station station);

// What must not be used (--no-hook): a kind of hook, or with a colon one target of that kind.
class Denied {
public:
    // "fentry", "kprobe", "tracepoint", "tracepoint:netif_rx"
    [[nodiscard]] static Result<Denied> parse(const std::vector<std::string> &words);
    [[nodiscard]] bool covers(const Rung &rung) const;

private:
    struct Entry {
        HookKind kind;
        std::string target; // empty: all
    };
    std::vector<Entry> entries_;
};

struct Attempt {
    Rung rung;
    std::string result; // "used", or why it was not
};

struct Choice {
    Ladder ladder;
    std::vector<Attempt> tried;
    std::optional<Rung> used;
};

} // namespace vethtrace
