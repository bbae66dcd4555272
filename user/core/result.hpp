// SPDX-License-Identifier: GPL-2.0-only
//
// What a run found out. The JSON of `vethtrace.run/1` and the table on the terminal are two views of it.
#pragma once

#include "core/environment.hpp"
#include "core/histogram.hpp"
#include "core/ladder.hpp"
#include "core/ways.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

// A stretch between two stations, as all packets of the run passed it.
struct Hop {
    HopName name;
    Histogram time;
    std::uint64_t events = 0;    // tracing events that fell into it, over all its packets
    std::uint64_t kprobes = 0;   // how many of them were kprobes
    std::uint64_t other_cpu = 0; // how often it ended on another CPU than it began
    double observer_ns = 0;      // what tracing added to its mean
    double corrected_mean_ns = 0;
};

struct StationResult {
    Station station;
    std::string hook;
    std::vector<Attempt> tried;
    std::uint64_t hits = 0;   // followed packets, and messages, seen there
    std::uint64_t ended = 0;  // of these, packets that were seen nowhere after, though their way goes on
    std::uint64_t missed = 0; // calls of its program that the kernel suppressed
};

// NET_RX softirq runs that received a packet of the load.
struct NetRx {
    std::uint64_t raised = 0;
    std::uint64_t runs = 0;
    Histogram wait;
    Histogram run;
    std::uint64_t inline_ = 0; // at local_bh_enable in the sending task
    std::uint64_t irq_exit = 0;
    std::uint64_t ksoftirqd = 0;
    std::uint64_t other_cpu = 0; // by RPS, from the CPU that sent the packet
    std::uint64_t other = 0;
};

struct Ledger {
    double rtt_mean_ns = 0;
    double explained_mean_ns = 0; // the sum of all hops, divided by the transactions
    double unexplained_mean_ns = 0;
    double explained_ratio = 0;
    double corrected_sum_ns = 0;      // the same sum without the cost of tracing
    double corrected_residual_ns = 0; // what the untraced round trip has beyond it
};

// Under this name `dropped` counts packets that were not dropped, but ended before their last station all the same, as
// the original of a copy does that goes on in its place.
constexpr std::string_view consumed_reason = "CONSUMED";

struct Conservation {
    std::uint64_t entered = 0;
    std::uint64_t cloned = 0;
    std::uint64_t segmented = 0;
    std::uint64_t completed = 0;
    std::map<std::string, std::uint64_t> dropped;
    std::uint64_t evicted = 0;
    std::uint64_t merged = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t missed = 0;
    std::map<std::string, std::uint64_t> not_followed; // by reason; zero counts are left out

    [[nodiscard]] std::uint64_t accounted() const;
    // What came in went out, to one in a thousand.
    [[nodiscard]] bool balanced() const;
};

// What --max-overhead chose, from a trial before the run. Costs are parts of the untraced round trip.
struct Budget {
    double limit = 0;
    double none_followed = 0; // the programs alone
    double all_followed = 0;
    std::uint32_t sample = 1; // one in so many

    [[nodiscard]] bool can_be_kept() const { return none_followed < limit || all_followed <= limit; }
};

struct Observer {
    double untraced_rtt_mean_ns = 0;
    double traced_rtt_mean_ns = 0;
    double added_ns = 0;
    double added_ratio = 0;
    std::optional<double> added_ci95_ns;    // half the width of the interval of added_ns
    std::optional<double> followed_ci95_ns; // the same of what was added to followed transactions; with sampling more
    double event_ns = 0;                    // calibrated cost of one tracing event
    double kprobe_extra_ns = 0;             // what a kprobe costs beyond that
    double stamp_ns = 0;                    // of one reading of the clock by the load
    double events_per_transaction = 0;
};

struct LoadResult {
    std::uint64_t transactions = 0;
    Nanoseconds duration_ns = 0;
    std::uint32_t request_bytes = 0;
    std::uint32_t response_bytes = 0;
    std::uint32_t flows = 0;
    int client_cpu = 0;
    int server_cpu = 0;
    Histogram rtt;
    std::uint32_t sample = 1; // one transaction in so many was followed ...
    Histogram followed_rtt;   // ... and these are their round trips, which the hops must add up to

    [[nodiscard]] std::uint64_t followed() const { return followed_rtt.count(); }
};

// What TCP_RR between two machines measured.
struct RrResult {
    Environment environment; // of the client
    std::string server;
    LoadResult load; // without CPUs, and nothing of it was followed
    bool interrupted = false;
};

// One moment of a single transaction, followed from send to receive.
struct TimelineMark {
    Station station;
    Nanoseconds since_send = 0;
    int cpu = 0;
    std::uint32_t pid = 0;
    std::string comm;
    std::string context; // "process", or how its NET_RX run came about
};

struct Timeline {
    std::uint64_t transaction = 0; // counted from the first that was measured
    std::vector<TimelineMark> marks;
};

// A traced slice of a run and the untraced ones right before and right after it: mean round trips in ns. What the
// machine does meanwhile hits all three alike, so their difference is what tracing costs.
struct SlicePair {
    double traced_ns;
    double untraced_ns;
    double followed_ns; // of those transactions in the traced slice that were followed; all of them without sampling

    [[nodiscard]] double added_ns() const { return traced_ns - untraced_ns; }
};

// Costs that were measured apart, in ns.
struct KnownCosts {
    double stamp_ns = 0;        // one reading of the clock by the load
    double kprobe_extra_ns = 0; // what a kprobe takes longer to reach its program than other hooks do
};

// Something that happened so many times, and that who reads the result should know.
struct Note {
    std::uint64_t count = 0;
    std::string what;
};

struct RunResult {
    Environment environment;
    Mode mode = Mode::veth;
    Topology topology = Topology::wire;
    std::optional<std::string> port_mode; // of an ipvlan's parent, as the kernel says: "l2", "l3"
    LoadResult load;
    std::vector<StationResult> stations;
    std::vector<Hop> hops;
    NetRx net_rx;
    Ledger ledger;
    Conservation conservation;
    std::optional<Budget> budget;
    Observer observer;
    std::vector<Timeline> timelines;
    std::vector<SlicePair> slices;
    KnownCosts known;
    std::vector<Note> notes;
    bool interrupted = false;
    bool valid = false;
    std::vector<std::string> warnings;
};

} // namespace vethtrace
