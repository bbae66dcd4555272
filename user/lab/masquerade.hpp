// SPDX-License-Identifier: GPL-2.0-only
//
// Network address translation, by nftables.
#pragma once

#include "core/error.hpp"

#include <string>

namespace vethtrace {

// Packets from `net` (198.18.1.0/24) that leave a namespace by a device get that device's address. The rule goes with
// the namespace.
[[nodiscard]] Result<void> masquerade(int netns_fd, const std::string &net, const std::string &device);

} // namespace vethtrace
