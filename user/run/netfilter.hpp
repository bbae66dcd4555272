// SPDX-License-Identifier: GPL-2.0-only
//
// What the host's netfilter sees of a container's packets: counted, in a lab of its own, as rules cost time.
#pragma once

#include "core/explain.hpp"
#include "load/tcp_rr.hpp"

#include <atomic>

namespace vethtrace {

// Runs so many transactions, with rules that count in the client's namespace and in the host's.
[[nodiscard]] Result<NetfilterCount> count_netfilter(Mode mode, Topology topology, const LoadOptions &load,
                                                     std::uint64_t transactions, const std::atomic<bool> &stop);

} // namespace vethtrace
