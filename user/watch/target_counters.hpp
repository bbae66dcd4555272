// SPDX-License-Identifier: GPL-2.0-only
//
// What the kernel itself counts for a target: of all packets of its network namespace, also of those that no hook is
// called for, and how often its control group had to stop.
#pragma once

#include "core/watch.hpp"
#include "watch/processes.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

// Of a network namespace, since it was made.
struct NetCounters {
    std::uint64_t listen_overflows = 0;  // TcpExt ListenOverflows (full accept queue), TCPReqQFullDrop (of handshakes)
    std::uint64_t buffer_full = 0;       // Udp, Udp6 RcvbufErrors, MemErrors; TcpExt TCPBacklogDrop, TCPRcvQDrop
    std::uint64_t retransmitted = 0;     // Tcp RetransSegs
    std::uint64_t sent_segments = 0;     // Tcp OutSegs: without those that are only sent again
    std::uint64_t udp_bad_checksums = 0; // Udp, Udp6 InCsumErrors
    std::uint64_t tcp_bad_checksums = 0; // Tcp InCsumErrors

    friend bool operator==(const NetCounters &, const NetCounters &) = default;
};

// From /proc/PID/net/netstat, snmp and snmp6. What a kernel does not count is 0.
[[nodiscard]] NetCounters parse_net_counters(std::string_view netstat, std::string_view snmp, std::string_view snmp6);

// Where the control groups that limit CPU time are to be found.
struct GroupMount {
    std::filesystem::path point;
    std::string root; // the group that is mounted there
    bool unified = false;

    friend bool operator==(const GroupMount &, const GroupMount &) = default;
};
// From /proc/self/mountinfo: the hierarchy that has the CPU controller. Null: none is mounted.
[[nodiscard]] std::optional<GroupMount> parse_group_mount(std::string_view mountinfo);
// From /proc/PID/cgroup, relative to `mount.point`. Null: not below what is mounted.
[[nodiscard]] std::optional<std::string> parse_group(std::string_view cgroup, const GroupMount &mount);

// How often a control group had used up what it may have of a period, since it was made.
struct Throttling {
    std::uint64_t periods = 0;
    Nanoseconds time = 0; // of all CPUs together, so it can be longer than what has passed
    std::string quota;    // the setting: "cpu.max 20000 100000"
};
// From cpu.stat of either version: throttled_usec, or throttled_time in ns. Null: that group has no limit of its own.
[[nodiscard]] std::optional<Throttling> parse_throttling(std::string_view cpu_stat);

// Of a target at one time.
struct TargetReading {
    NetCounters net;
    std::map<std::string, Throttling> groups; // those with a limit, by their paths
};

// Reads them, and tells what has grown.
class TargetCounters {
public:
    explicit TargetCounters(Roots roots = {});

    // Null: the namespace is gone, or cannot be entered. Needs CAP_SYS_ADMIN where it has no process.
    [[nodiscard]] std::optional<TargetReading> read(const Target &target) const;

    // Adds what has grown since the last time that it was asked for this namespace; nothing the first time. Of the
    // groups that limit the target, the one that stopped it for longest. False: they cannot be read.
    bool add_growth(const Target &target, WatchSockets &to);
    void forget(std::uint32_t netns) { last_.erase(netns); }

private:
    [[nodiscard]] std::optional<NetCounters> net_counters_of(const Target &target) const;
    [[nodiscard]] std::vector<std::string> groups_of(const Target &target) const;
    [[nodiscard]] std::optional<Throttling> throttling_of(const std::string &group) const;

    Roots roots_;
    std::optional<GroupMount> mount_;
    std::map<std::uint32_t, TargetReading> last_;
};

// Adds to a window's row what has grown between two readings. A group that is new counts from its first reading on.
void add_growth(const TargetReading &before, const TargetReading &after, WatchSockets &to);

} // namespace vethtrace
