// SPDX-License-Identifier: GPL-2.0-only
//
// Whether data still waits in a socket, as the kernel's tables of sockets have it. The programs only see it come and
// being read by recv(): a socket may also be closed, or its data taken by splice().
#pragma once

#include "core/watch.hpp"
#include "watch/processes.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace vethtrace {

struct SocketPorts {
    std::uint8_t protocol = 0; // IPPROTO_TCP or IPPROTO_UDP
    std::uint16_t local_port = 0;
    std::uint16_t peer_port = 0; // 0 in the table: not connected

    friend bool operator==(const SocketPorts &, const SocketPorts &) = default;
};

struct SocketLine {
    SocketPorts ports;
    std::uint64_t unread = 0; // bytes; of UDP with what the kernel needs to keep them

    friend bool operator==(const SocketLine &, const SocketLine &) = default;
};

// A table of /proc/PID/net: tcp, tcp6, udp or udp6. Without listeners, whose column tells connections, and without the
// end of a stream, which the kernel counts as a byte.
[[nodiscard]] std::vector<SocketLine> parse_sockets(std::string_view table, std::uint8_t protocol);

// For each of `asked` the bytes that wait there. 0: none, or there is no such socket any more. Of several that differ
// in their addresses only, the most.
[[nodiscard]] std::vector<std::uint64_t> unread_bytes(const std::vector<SocketLine> &sockets,
                                                      std::span<const SocketPorts> asked);

// The same of a target's sockets. Null as a whole: no process of it is known. Null for one: it does not stand in that
// part of a long table which may be read.
[[nodiscard]] std::optional<std::vector<std::optional<std::uint64_t>>>
read_unread(const Roots &roots, const Target &target, std::span<const SocketPorts> asked);

} // namespace vethtrace
