// SPDX-License-Identifier: GPL-2.0-only
//
// All windows of a time of watching together.
#pragma once

#include "core/watch.hpp"

#include <chrono>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace vethtrace {

// Times of a hop, and of how many packets they tell: with sampling, of more than were followed.
struct WatchTotal {
    Stage stage = Stage::unforeseen;
    SparseHistogram time = {};
    std::uint64_t packets = 0;
};

// A stage that was not seen as often as it should have been, in the windows in which that was so.
struct UnseenTotal {
    std::uint64_t promised = 0; // packets; 0: it is not known how many
    std::uint64_t seen = 0;
    std::string why; // as of the last of these windows
};

// Of several targets or windows; the oldest is that of all.
void add_up(WatchSockets &all, const WatchSockets &more);

// What ran in a lab while it was watched; a node's own traffic has no such thing.
struct CommandInLab {
    std::string mode;
    std::string topology;
    std::string command;      // in the container
    std::string peer_command; // in the peer; empty: none
};

class WatchTotals {
public:
    // Target, direction, from, to.
    using Key = std::tuple<std::string, Flow, Station, Station>;
    // Target, direction, last station, reason.
    using DropKey = std::tuple<std::string, Flow, Station, std::string>;
    // Target, direction, stage.
    using UnseenKey = std::tuple<std::string, Flow, Stage>;

    void add(const WatchWindow &window);
    // What a line says that sums up, where its windows are not known.
    struct Summary {
        std::map<Key, WatchTotal> series;
        std::map<DropKey, std::uint64_t> drops;
        std::map<UnseenKey, UnseenTotal> unseen;
        std::map<std::string, WatchSockets> sockets;
        std::chrono::system_clock::time_point begun;
        Nanoseconds duration_ns = 0;
        std::uint64_t windows = 0;
        std::uint64_t windows_over_budget = 0;
        double mean_overhead = 0;
        WatchConservation conservation;
        std::uint64_t series_dropped = 0;
        std::uint64_t slow_suppressed = 0;
    };
    [[nodiscard]] static WatchTotals of(Summary summary);

    [[nodiscard]] const std::map<Key, WatchTotal> &series() const { return series_; }
    [[nodiscard]] const std::map<DropKey, std::uint64_t> &drops() const { return drops_; }
    [[nodiscard]] const std::map<UnseenKey, UnseenTotal> &unseen() const { return unseen_; }
    // By target. What waits is that at the end of the last window.
    [[nodiscard]] const std::map<std::string, WatchSockets> &sockets() const { return sockets_; }
    [[nodiscard]] std::chrono::system_clock::time_point begun() const { return begun_; }
    [[nodiscard]] Nanoseconds duration_ns() const { return duration_ns_; }
    [[nodiscard]] std::uint64_t windows() const { return windows_; }
    // In which tracing took more than --max-overhead allows.
    [[nodiscard]] std::uint64_t windows_over_budget() const { return windows_over_budget_; }
    // What all windows together have counted; not known of a recording whose windows are not.
    [[nodiscard]] const NodeCounters &node() const { return node_; }
    // Of the targets that have come.
    [[nodiscard]] const std::map<std::string, std::vector<WatchedDevice>> &devices() const { return devices_; }
    [[nodiscard]] double mean_overhead() const;
    // As of the last window.
    [[nodiscard]] const WatchConservation &conservation() const { return conservation_; }
    [[nodiscard]] std::uint64_t series_dropped() const { return series_dropped_; }
    [[nodiscard]] std::uint64_t slow_suppressed() const { return slow_suppressed_; }

private:
    void add_unseen(const std::vector<WatchUnseen> &unseen);
    void add_sockets(const std::vector<WatchSockets> &sockets);
    void add_cpu(const NodeCounters::Cpu &cpu);

    std::map<Key, WatchTotal> series_;
    std::map<DropKey, std::uint64_t> drops_;
    std::map<UnseenKey, UnseenTotal> unseen_;
    std::map<std::string, WatchSockets> sockets_;
    NodeCounters node_;
    std::map<std::string, std::vector<WatchedDevice>> devices_;
    std::chrono::system_clock::time_point begun_;
    Nanoseconds duration_ns_ = 0;
    std::uint64_t windows_ = 0;
    std::uint64_t windows_over_budget_ = 0;
    double overhead_ns_ = 0;
    WatchConservation conservation_;
    std::uint64_t series_dropped_ = 0;
    std::uint64_t slow_suppressed_ = 0;
};

} // namespace vethtrace
