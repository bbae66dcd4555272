// SPDX-License-Identifier: GPL-2.0-only
//
// The books: do the hops add up to the round trip, what did tracing add to each of them, and is the result valid?
#pragma once

#include "core/result.hpp"
#include "core/statistics.hpp"

#include <span>

namespace vethtrace {

// Only means add up, and each hop's total is divided by the number of transactions, never by its own count.
[[nodiscard]] double explained_mean(std::span<const Hop> hops, std::uint64_t transactions);

// What tracing costs. Sets observer_ns and corrected_mean_ns of every hop: the events that fell into it times the cost
// of one, and half a clock reading for each of its ends that lies in the application. `transactions` is how many were
// followed.
[[nodiscard]] Observer correct_hops(std::span<Hop> hops, std::uint64_t transactions, std::span<const SlicePair> slices,
                                    const KnownCosts &known);

[[nodiscard]] Ledger make_ledger(std::span<const Hop> hops, const Histogram &followed_rtt, const Observer &observer);

// What follows from the rest of a result: what tracing cost, the corrected hops, the ledger, whether the result is
// valid, and its warnings.
void close_books(RunResult &result);

// Says what is wrong with a result, one sentence each; nothing: it is valid. Allowed are 0.1 % of the packets that are
// unaccounted for, a ledger between 95 and 105 %, 0.1 % of the transactions missing or too many at a hop, 0.1 % on
// unforeseen edges, and a corrected sum that meets the untraced round trip within 3 % or the run's own interval; a
// run too short for an interval is not held against it.
[[nodiscard]] std::vector<std::string> find_faults(const RunResult &result);

} // namespace vethtrace
