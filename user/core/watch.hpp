// SPDX-License-Identifier: GPL-2.0-only
//
// What `watch` sees of a node's own traffic: targets, and windows of time with all that happened in them. The live
// view, the JSON lines of `vethtrace.watch/2` and the advice are views of these.
#pragma once

#include "core/histogram.hpp"
#include "core/stations.hpp"
#include "core/ways.hpp"

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <tuple>
#include <vector>

namespace vethtrace {

// ---- what is watched

enum class TargetKind { container, netns, process, interface, host };
[[nodiscard]] std::string_view name_of(TargetKind kind);
[[nodiscard]] std::optional<TargetKind> target_kind_named(std::string_view name);

// A device on the way of a target's packets.
struct WatchedDevice {
    std::uint32_t netns = 0; // the inode number of the network namespace that it is in
    int ifindex = 0;
    std::string name;
    layout::role role = layout::ROLE_ELSEWHERE;
    bool is_last = false;   // what it transmits leaves this machine, or at least what is watched of it
    bool is_entry = false;  // what it receives comes from where nothing is watched
    bool is_tunnel = false; // it puts packets into others: vxlan, geneve, wireguard, ...

    friend bool operator==(const WatchedDevice &, const WatchedDevice &) = default;
};

// Which way a packet goes, as its target sees it.
enum class Flow { out, in };
[[nodiscard]] std::string_view name_of(Flow flow);
[[nodiscard]] std::optional<Flow> flow_named(std::string_view name);

// A stage that a target's links have and that no hook sees.
struct UnseenStage {
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;
    std::string why; // "the other end of eth0 is in a network namespace that is not watched"

    friend bool operator==(const UnseenStage &, const UnseenStage &) = default;
};

// In network byte order.
struct IpAddress {
    std::uint8_t family = 4;                 // 4 or 6
    std::array<std::uint8_t, 16> bytes = {}; // of 4 the first four; the rest is 0

    friend bool operator==(const IpAddress &, const IpAddress &) = default;
    friend bool operator<(const IpAddress &a, const IpAddress &b) {
        return std::tie(a.family, a.bytes) < std::tie(b.family, b.bytes);
    }
};

// A network namespace, as seen from outside, with the name under which people know it.
struct Target {
    TargetKind kind = TargetKind::netns;
    std::string name;                   // "web-1"; an identifier's first 12 digits, a namespace's name, or "pid 4711"
    std::string runtime;                // "docker", "containerd", "podman", "cri-o"; empty: not a container's
    std::string container_id;           // full length; empty: not a container
    std::string pod;                    // "default/web-5d9"; empty: not in a pod, or not known
    std::uint32_t netns = 0;            // inode number; what tells one target from another
    pid_t pid = 0;                      // a process in it; 0: none
    std::string path;                   // of a file by which the namespace can be entered
    std::optional<Mode> mode;           // how it is connected; null: by nothing that is known here
    std::vector<WatchedDevice> devices; // its own and the host's ends of them
    std::vector<UnseenStage> unseen;    // by the kind of its links, whatever passes there
    std::vector<IpAddress> addresses;   // of its interfaces, without loopback's and those of a link only

    friend bool operator==(const Target &, const Target &) = default;
};

// ---- a window of time

// A hop of the packets of one target in one direction. `bridged`: the target is connected to a bridge.
[[nodiscard]] Stage stage_of_hop(Station from, Station to, bool bridged);

enum class Grouping { container, interface, cpu, direction };
[[nodiscard]] std::string_view name_of(Grouping grouping);
[[nodiscard]] std::optional<Grouping> grouping_named(std::string_view name);

struct WatchSeries {
    std::string target; // its name; empty: of no target (yet)
    Flow flow = Flow::out;
    Station from;
    Station to;
    Stage stage = Stage::unforeseen;
    std::string group;    // with --by interface or cpu, which; else empty
    SparseHistogram time; // of this window; counts are of followed packets; see WatchWindow::all_of()
};

struct WatchDrop {
    std::string target; // empty: it is not known whose packet it was
    Flow flow = Flow::out;
    Station last;       // where the packet was seen last
    std::string reason; // the kernel's, or consumed_reason
    std::uint64_t count = 0;
};

struct PacketMark {
    Station station;
    std::optional<Stage> stage = {}; // that ended here; null: it is the first
    Nanoseconds since_first = 0;
    int cpu = 0;
    std::uint32_t pid = 0; // the task that held the CPU then
    std::string comm;
    std::string context;     // "process", or how its NET_RX run came about: "inline", "ksoftirqd", "other"
    std::uint32_t queue = 0; // packets in the qdisc or the backlog there, bytes in the socket's backlog
};

// A single packet with its whole way.
struct SlowPacket {
    std::string target;
    Flow flow = Flow::out;
    std::string protocol; // "tcp", "udp", "icmp", or its number
    std::string source;   // "10.0.0.2:4711", "[fd00::2]:80"
    std::string destination;
    std::string translated_source; // at the end of its way; empty: NAT has left it as it was
    std::string translated_destination;
    std::uint32_t bytes = 0;
    Nanoseconds total = 0;
    std::vector<PacketMark> marks;
};

// What the node as a whole did in the window, from /proc/net/softnet_stat and /proc/stat.
struct NodeCounters {
    struct Cpu {
        int id = 0;
        std::uint64_t net_rx_runs = 0; // that received a watched packet
        std::uint64_t ksoftirqd_runs = 0;
        std::uint64_t packets = 0;         // all that its NET_RX processed
        std::uint64_t time_squeezed = 0;   // NET_RX stopped with packets left
        std::uint64_t backlog_dropped = 0; // the backlog was full
    };
    std::vector<Cpu> cpus;
};

// A stage that a target's links and sockets promise, and that fewer than 99 % of the packets were seen in that passed
// the one before.
struct WatchUnseen {
    std::string target;
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;
    std::uint64_t promised = 0; // packets that should have been seen there in this window; 0: it is not known how many
    std::uint64_t seen = 0;
    std::string why; // a clause
};

// The sockets of a target: what has come to them, and what has become of it.
struct WatchSockets {
    std::string target; // empty: the host itself
    // In this window, of the packets that are followed:
    std::uint64_t delivered = 0; // packets with data that a socket has taken
    std::uint64_t read = 0;      // reads that ended a socket's wait for its application
    // At the end of the window:
    std::uint64_t waiting = 0; // sockets with data that nobody has read
    Nanoseconds oldest = 0;    // how long the longest of them has waited
    // In this window, as the kernel counts them for the whole namespace, of all packets:
    std::uint64_t listen_overflows = 0; // connections refused, because a listener's queue was full
    std::uint64_t buffer_full = 0;      // packets refused, because a socket's buffer was full
    std::uint64_t retransmitted = 0;    // segments that its TCP has sent again
    std::uint64_t sent_segments = 0;    // without those that were only sent again; 0: not known
    std::uint64_t bad_checksums = 0;    // packets refused, because their UDP or TCP checksum was wrong
    // In this window, by its control group:
    std::uint64_t throttled_periods = 0; // of cpu.max, in which its processes had to stop
    Nanoseconds throttled = 0;           // for how long
    std::string quota = {};              // by which setting: "cpu.max 20000 100000 of /pod/web"; empty: not throttled
};

struct WatchConservation {
    std::uint64_t entered = 0;
    // The sum of the following, and of packets of other protocols that their namespace has received:
    std::uint64_t completed = 0;
    std::uint64_t left = 0;      // transmitted by the last device that is watched
    std::uint64_t delivered = 0; // data that a target's socket has taken
    std::uint64_t control = 0;   // for TCP itself: acknowledgements, the ends of connections
    std::uint64_t to_host = 0;   // for sockets of namespaces that are not watched
    std::uint64_t dropped = 0;
    std::uint64_t merged = 0;    // by GRO into others
    std::uint64_t segmented = 0; // ended in segments
    std::uint64_t consumed = 0;  // ended before their last station, without being dropped
    std::uint64_t stale = 0;     // died unseen
    std::uint64_t evicted = 0;
    std::uint64_t crowded_out = 0; // could not be followed; not among `entered`
    std::uint64_t in_flight = 0;
    // Among `completed`: let go by TCP without harm, as duplicates and what ends a connection.
    std::uint64_t discarded = 0;
    std::uint64_t read = 0;       // reads that ended a socket's wait for its application; reads, not packets
    std::uint64_t waits_lost = 0; // waits that found no place; they are in no `wakeup`

    [[nodiscard]] std::uint64_t accounted() const {
        return completed + dropped + merged + segmented + consumed + stale + evicted + in_flight;
    }
    [[nodiscard]] bool balanced() const;
};

struct WatchWindow {
    std::uint64_t number = 0;                    // from 1
    std::chrono::system_clock::time_point begun; // by the wall clock, for people only
    Nanoseconds duration_ns = 0;                 // by the monotonic clock
    std::uint32_t sample = 1;                    // one packet in so many was followed, at the end
    double overhead = 0;                         // part of its time that the busiest CPU spent in tracing
    bool over_budget = false;                    // that was more than --max-overhead allows
    double sample_ratio = 1;                     // packets that came, for each that was followed, in all of it
    Grouping grouping = Grouping::container;
    std::vector<WatchSeries> series;
    std::vector<WatchDrop> drops;
    std::vector<SlowPacket> slowest; // the slowest first
    std::vector<WatchUnseen> unseen;
    std::vector<WatchSockets> sockets; // of the targets that there is something to tell of
    NodeCounters node;
    WatchConservation conservation;           // since the beginning
    std::uint64_t series_dropped = 0;         // hops that found no place for their series
    std::uint64_t slow_suppressed = 0;        // packets beyond --slower-than that were not printed
    std::vector<std::string> notes;           // "web-1 has come", "web-2 is gone"
    std::size_t targets = 0;                  // that are here at the end
    std::map<std::string, std::size_t> modes; // how many of them are connected how; "other": by nothing known
    std::vector<Target> arrived;              // targets that are new, or otherwise than before
    std::vector<std::string> gone;            // names of targets

    // How many have come, from how many of them were followed.
    [[nodiscard]] double all_of(std::uint64_t followed) const { return static_cast<double>(followed) * sample_ratio; }
};

// One piece of advice, with the numbers that it rests on.
struct Advice {
    std::string rule;     // "ksoftirqd"
    std::string what;     // one sentence
    std::string evidence; // the numbers
    std::string setting;  // what to look at
    std::string page;     // docs/advice.md#ksoftirqd
};

// By named rules, the most severe first. Empty when the numbers carry none.
[[nodiscard]] std::vector<Advice> advise(const WatchWindow &window);

} // namespace vethtrace
