// SPDX-License-Identifier: GPL-2.0-only
//
// What a device does on behalf of the stack, by ethtool.
#pragma once

#include "core/error.hpp"

#include <optional>
#include <string>

namespace vethtrace {

// Makes one end of a veth pair receive by NAPI: with GRO on, it does so since 5.13 (commit d3256efd8e8b), but TCP goes
// there only if the end that sends has no TSO (veth_skb_is_eligible_for_gro), so that is turned off for when this end
// is the one that sends. Older kernels stay with the backlog, and that is an error.
[[nodiscard]] Result<void> exchange_tso_for_gro(int netns_fd, const std::string &device);

// Which of them are on. Null: this device does not say.
struct Offloads {
    std::optional<bool> gro;
    std::optional<bool> gso;
    std::optional<bool> tso;
};
[[nodiscard]] Result<Offloads> read_offloads(int netns_fd, const std::string &device);

} // namespace vethtrace
