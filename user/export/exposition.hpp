// SPDX-License-Identifier: GPL-2.0-only
//
// All windows since the start as Prometheus wants them: counts that only grow, under labels, of which there are never
// more than were asked for. What a container without a name of its own had is counted under `other`, so that sums over
// all containers are those of all packets.
//
// Counts are of all packets: with sampling, each one that was followed counts for as many as it stands for.
#pragma once

#include "core/watch.hpp"
#include "core/watch_totals.hpp"
#include "export/names.hpp"
#include "export/octaves.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace vethtrace {

struct HopLabels {
    std::string container;
    std::string mode;
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;

    friend bool operator<(const HopLabels &a, const HopLabels &b) {
        return std::tie(a.container, a.mode, a.flow, a.stage) < std::tie(b.container, b.mode, b.flow, b.stage);
    }
};

struct DropLabels {
    std::string container;
    std::string mode;
    Flow flow = Flow::out;
    std::string station; // where the packet was seen last
    std::string reason;

    friend bool operator<(const DropLabels &a, const DropLabels &b) {
        return std::tie(a.container, a.mode, a.flow, a.station, a.reason) <
               std::tie(b.container, b.mode, b.flow, b.station, b.reason);
    }
};

// A stage that was not seen as often as the links and sockets of targets promise.
struct UnseenFigures {
    std::uint64_t packets = 0; // that should have been seen there and were not, as far as it is known how many
    std::uint64_t targets = 0; // of which that is so in the last window
};

struct SocketLabels {
    std::string container;
    std::string mode;

    friend bool operator<(const SocketLabels &a, const SocketLabels &b) {
        return std::tie(a.container, a.mode) < std::tie(b.container, b.mode);
    }
};

// What is told of the node as a whole.
struct NodeFigures {
    std::uint64_t windows = 0;
    std::chrono::system_clock::time_point last_window; // when it ended
    std::uint64_t followed_hops = 0;                   // measured ones, each counted once
    double overhead_ns = 0;                            // of the busiest CPU's time
    double overhead = 0;                               // as a part of it, in the last window
    double sample_ratio = 1;  // packets that came, for each that was followed; of the last window
    bool over_budget = false; // in the last window
    std::size_t targets = 0;
    std::map<std::string, std::size_t> modes;
    WatchConservation conservation; // of the packets that were followed
    std::uint64_t series_dropped = 0;
    NodeCounters::Cpu net_rx; // of all CPUs together
};

class Exposition {
public:
    // A histogram is as many series: a bucket for each bound and the infinite one, the sum and the count.
    static constexpr std::size_t series_of_hop = OctaveHistogram::bounds + 3;
    // A gap has two, what is missing now and in all; the sockets of a container have these nine.
    static constexpr std::size_t series_of_gap = 2;
    static constexpr std::size_t series_of_sockets = 10;
    static constexpr std::size_t least_series = 2400;

    explicit Exposition(std::size_t most_series);

    void add(const WatchWindow &window);

    [[nodiscard]] const std::map<HopLabels, OctaveHistogram> &hops() const { return hops_; }
    [[nodiscard]] const std::map<DropLabels, double> &drops() const { return drops_; }
    [[nodiscard]] const std::map<HopLabels, UnseenFigures> &unseen() const { return unseen_; }
    // Counts since the start; what waits, and for how long, at the end of the last window.
    [[nodiscard]] const std::map<SocketLabels, WatchSockets> &sockets() const { return sockets_; }
    // Those that have a name, by it.
    [[nodiscard]] std::vector<Target> targets() const;
    [[nodiscard]] std::size_t nameless() const { return names_.nameless(); }
    [[nodiscard]] std::size_t most_series() const { return most_; }
    [[nodiscard]] const NodeFigures &node() const { return node_; }

private:
    // Of the series that there may be, so many belong to a container: kept free for it, or used by it already.
    struct Share {
        std::size_t kept = 0;
        std::size_t used = 0;
        [[nodiscard]] std::size_t size() const { return std::max(kept, used); }
    };

    void choose_names();
    [[nodiscard]] bool has_room_for_a_name() const;
    void give_name(const std::string &container);
    void take_name(const std::string &container);
    bool take_room(const std::string &container, std::size_t series);
    [[nodiscard]] std::string label_of(const std::string &target) const;
    [[nodiscard]] std::string mode_of(const std::string &target) const;
    template<typename Labels, typename Value>
    Value &place(std::map<Labels, Value> &counts, Labels labels, std::size_t series);
    void add_unseen(const WatchWindow &window);
    void add_sockets(const WatchWindow &window);
    void add_node(const WatchWindow &window);

    std::size_t most_;
    Names names_;
    std::map<std::string, Target> known_; // by name, without their devices
    std::map<std::string, Share> shares_;
    std::size_t shared_ = 0; // all of them
    std::map<HopLabels, OctaveHistogram> hops_;
    std::map<DropLabels, double> drops_;
    std::map<HopLabels, UnseenFigures> unseen_;
    std::map<SocketLabels, WatchSockets> sockets_;
    NodeFigures node_;
};

} // namespace vethtrace
