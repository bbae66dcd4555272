// SPDX-License-Identifier: GPL-2.0-only
//
// Clauses about what `watch` has seen, and what it has not, for the terminal and for pages.
#pragma once

#include "core/watch_totals.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

// "3 sockets", "1 socket".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

// "tcp 192.0.2.2:4711 > 192.0.2.1:8080 (to 10.9.0.2:12866)": in parentheses what NAT has made of its ends.
[[nodiscard]] std::string ends_text(const SlowPacket &packet, std::string_view arrow);

// "backlog of web, in: 0 of 1,204 packets: tap0 is fed by a user-mode network"
[[nodiscard]] std::string unseen_text(const WatchUnseen &unseen);
[[nodiscard]] std::vector<WatchUnseen> unseen_of(const WatchTotals &totals);

// What is wrong with the sockets of a target, and with what keeps it from reading them; empty: nothing.
[[nodiscard]] std::vector<std::string> troubles_of(const WatchSockets &sockets);

// How the packets ended that were completed, and how all others, without those that there are none of.
[[nodiscard]] std::vector<std::string> completed_clauses(const WatchConservation &books);
[[nodiscard]] std::vector<std::string> other_clauses(const WatchConservation &books);

// Of hops, and which option makes room for more; an empty one: none does.
[[nodiscard]] std::string unplaced_text(std::uint64_t hops, const std::string &room);
// "3 waits for an application found no place, and are in no wakeup"
[[nodiscard]] std::string lost_waits_text(std::uint64_t waits);

// "balanced", "balanced, but 2 stages were not seen", "NOT balanced"
[[nodiscard]] std::string balance_text(const WatchTotals &totals);

} // namespace vethtrace
