// SPDX-License-Identifier: GPL-2.0-only
//
// How many transactions can be followed at a given price: measured on this load, on this machine, right before the run.
#pragma once

#include "run/session.hpp"

namespace vethtrace {

// Tries the load untraced, traced with nothing followed and with everything followed, taking turns, and chooses the
// highest sampling rate whose cost stays within `limit` (a part of the untraced round trip). What is not followed costs
// something as well; where that alone is more than the limit, the lowest rate is chosen.
[[nodiscard]] Result<Budget> choose_sample(Session &session, const RunOptions &options, double limit);

// One in so many, from the two costs and the limit, all as parts of the untraced round trip.
[[nodiscard]] std::uint32_t sample_within(double limit, double none_followed, double all_followed);

} // namespace vethtrace
