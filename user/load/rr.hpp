// SPDX-License-Identifier: GPL-2.0-only
//
// TCP_RR with each end for itself, for two real machines. No lab, no tracing, no privileges.
#pragma once

#include "core/error.hpp"
#include "core/result.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace vethtrace {

constexpr std::uint16_t rr_port = 12866; // next to netperf's

struct RrServerOptions {
    std::string address; // a name or an address, IPv4 or IPv6; empty: all of this machine's
    std::uint16_t port = rr_port;
};

// Serves until `stop`; `ready` is told the address once clients can connect. Each connection says first how large its
// messages are.
[[nodiscard]] Result<void> serve_rr(const RrServerOptions &options, const std::atomic<bool> &stop,
                                    const std::function<void(const std::string &)> &ready);

struct RrOptions {
    std::string server; // a name or an address
    std::uint16_t port = rr_port;
    std::uint32_t flows = 1;
    std::uint32_t request_bytes = 1;
    std::uint32_t response_bytes = 1;
    std::uint64_t warmup = 200;                                  // transactions of all flows together, not counted
    std::optional<std::uint64_t> count;                          // measured transactions of all flows together ...
    std::chrono::nanoseconds duration = std::chrono::seconds(2); // ... or, without a count, how long
    std::chrono::milliseconds timeout = std::chrono::seconds(5); // longest wait for one answer
};

// `stop` ends it early; what was measured until then is the result.
[[nodiscard]] Result<RrResult> run_rr(const RrOptions &options, const std::atomic<bool> &stop);

} // namespace vethtrace
