// SPDX-License-Identifier: GPL-2.0-only
//
// How a user names what is to be looked at: a network namespace, a container, ports. Each has this one place where it
// is read, and whatever comes out of it is safe to be part of a path or to be compared with.
#pragma once

#include "core/error.hpp"
#include "core/printable.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <variant>
#include <vector>

namespace vethtrace {

// -n NAME: as in /run/netns; a single component of a path.
struct NetnsName {
    std::string name;
};
// -n PID: that of a process.
struct NetnsOfProcess {
    pid_t pid;
};
// -n PATH: a file of namespace, with at least one slash.
struct NetnsPath {
    std::string path;
};
// -n inode:N: as `stat -L /proc/PID/ns/net` shows it.
struct NetnsInode {
    std::uint64_t inode;
};
using NetnsTarget = std::variant<NetnsName, NetnsOfProcess, NetnsPath, NetnsInode>;

[[nodiscard]] Result<NetnsTarget> parse_netns(std::string_view text);

// An identifier or a name as container runtimes give it: letters, digits and _.- after the first character.
[[nodiscard]] Result<std::string> parse_container(std::string_view text);

struct PortRange {
    std::uint16_t first;
    std::uint16_t last;

    [[nodiscard]] bool contains(std::uint16_t port) const { return first <= port && port <= last; }
};

// "80", "80,443", "8000-8080", at most 64 of them.
[[nodiscard]] Result<std::vector<PortRange>> parse_ports(std::string_view text);

} // namespace vethtrace
