// SPDX-License-Identifier: GPL-2.0-only
//
// How the interfaces of network namespaces are connected with one another, as far as their lists prove it. Numbers of
// interfaces alone prove nothing: most containers have the same ones.
#pragma once

#include "core/watch.hpp"
#include "watch/interfaces.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace vethtrace {

// The interfaces of a namespace, and where their links lead to.
struct NetnsLinks {
    std::uint32_t netns = 0; // its inode number
    std::vector<Interface> interfaces;
    std::map<int, std::uint32_t> lead_to = {}; // by Interface::link_netns: the inode number of that namespace
};

// The two ends are each other's only peer.
[[nodiscard]] bool is_pair(const Interface &interface);
// It shares the network of another device, which may be in another namespace.
[[nodiscard]] bool is_on_parent(const Interface &interface);
[[nodiscard]] bool is_bridge(const Interface &interface);
[[nodiscard]] bool is_tunnel(const Interface &interface);
// What it transmits goes nowhere that could be watched. Of pairs this depends on what is known of the other end.
[[nodiscard]] bool is_end(const Interface &interface);
[[nodiscard]] bool is_bridge_port(const Interface &port, const std::vector<Interface> &all);
// It is not loopback, and something may pass there: a namespace has tunnels that nobody made.
[[nodiscard]] bool is_used(const Interface &interface);

// The namespace that the link of one of its interfaces leads to; null: none that is known.
[[nodiscard]] std::optional<std::uint32_t> namespace_of_link(const NetnsLinks &links, const Interface &interface);

// The interface of `outside` that is the other end of the pair of one of `inside`. Null: there is none, or it is not
// proven. What `outside` says of its link counts if `must_confirm`, and else must at least not contradict.
[[nodiscard]] const Interface *other_end(const NetnsLinks &inside, const Interface &interface,
                                         const NetnsLinks &outside, bool must_confirm);

// The role of a device that is no target's, apart from being an uplink.
[[nodiscard]] layout::role role_of_kind(const Interface &interface);

// How a target is connected by one of its interfaces. `outside`: the other end of its pair, among `beside`.
[[nodiscard]] std::optional<Mode> mode_of(const Interface &inside, const Interface *outside,
                                          const std::vector<Interface> &beside);

// What is known of where the link of a target's interface leads to.
enum class LeadsTo { own_namespace, watched, unreadable, unknown };

// What cannot be seen of the way through that interface, and whether `in` can only begin at it.
struct Unseen {
    bool is_entry = false;
    std::vector<UnseenStage> stages = {};
};
[[nodiscard]] Unseen unseen_at(const Interface &interface, LeadsTo leads_to);

// A device is one target's. Where each of two targets takes the other's for the outer end of its pair, it stays so for
// the one that has fewer devices (a container in a container), and with equally many for neither: there each has its
// own.
void settle_claims(std::vector<Target> &targets);

} // namespace vethtrace
