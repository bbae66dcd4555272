// SPDX-License-Identifier: GPL-2.0-only
//
// Results as folded stacks, as flame graphs are made of: frames with semicolons between, a space, and whole
// nanoseconds.
#pragma once

#include "core/compare.hpp"
#include "core/result.hpp"
#include "core/watch_totals.hpp"

#include <string>

namespace vethtrace {

// Means of a transaction: "vethtrace;veth;request;socket_tx;app_send@client - queue@container 1970". With what is
// unexplained the lines add up to the round trip, if the hops do not exceed it.
[[nodiscard]] std::string to_folded(const RunResult &result);
// The same for each mode, so that their flame graphs can be held against one another.
[[nodiscard]] std::string to_folded(const CompareResult &result);
// All the time that packets spent there: "vethtrace;web;out;backlog;netif_rx@host - receive@host 1234567".
[[nodiscard]] std::string to_folded(const WatchTotals &totals);

} // namespace vethtrace
