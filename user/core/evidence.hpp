// SPDX-License-Identifier: GPL-2.0-only
//
// What the rules of the advice judge: times, drops and counters of a window, or of many, in one form.
#pragma once

#include "core/watch.hpp"
#include "core/watch_totals.hpp"

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vethtrace {

// What the packets of a target spent in a stage, in one direction.
struct StageTime {
    SparseHistogram time;      // of those that were followed
    std::uint64_t packets = 0; // all
    Station station;           // where most of it was spent
    std::string device;        // there; empty: not known
    Nanoseconds most = 0;      // spent at `station`
};

struct Spent {
    std::map<Stage, StageTime> stages;
    double sum_ns = 0; // on their way; without the time in which the application was not reading
};

// A stage that packets wait in for longer than is usual.
struct Wait {
    std::string target;
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;
    StageTime spent;
    double late_ns = 0;     // beyond what is usual, of all packets together
    double time_share = 0;  // late_ns of the time that has passed; above 1 if packets wait at once
    double spent_share = 0; // late_ns of all that these packets spent

    // "web, out, qdisc of eth0: mean 10.2 ms, max 24.9 ms, 153 packets; 52 % of the time"
    [[nodiscard]] std::string text() const;
};

class Evidence {
public:
    explicit Evidence(const WatchWindow &window, const WatchTotals *so_far = nullptr);
    explicit Evidence(const WatchTotals &totals);

    using Whose = std::pair<std::string, Flow>; // target, direction

    [[nodiscard]] const std::map<Whose, Spent> &spent() const { return spent_; }
    [[nodiscard]] const std::vector<WatchDrop> &drops() const { return drops_; }
    [[nodiscard]] const std::vector<WatchSockets> &sockets() const { return sockets_; }
    [[nodiscard]] const NodeCounters &node() const { return node_; }
    [[nodiscard]] Nanoseconds duration_ns() const { return duration_ns_; }

    // What most time is lost in beyond `usual_ns` for each packet. Null: nowhere as much as a hundredth of the time
    // that has passed, or half of what its packets spent; or of too few packets to tell.
    [[nodiscard]] std::optional<Wait> longest_wait(std::initializer_list<Stage> stages, double usual_ns) const;
    // The same of a target alone.
    [[nodiscard]] std::optional<Wait> longest_wait(const std::string &target, Stage stage, double usual_ns) const;

    // The device of a target at a station, if there is only one. Empty: not known.
    [[nodiscard]] std::string device_at(const std::string &target, Station station) const;

private:
    void add(const WatchSeries &series, std::uint64_t packets, const std::string &device);
    [[nodiscard]] std::optional<Wait> wait_of(const Whose &whose, const Spent &spent, Stage stage,
                                              double usual_ns) const;

    std::map<Whose, Spent> spent_;
    std::vector<WatchDrop> drops_;
    std::vector<WatchSockets> sockets_;
    NodeCounters node_;
    Nanoseconds duration_ns_ = 0;
    std::map<std::string, std::vector<WatchedDevice>> devices_;
};

// With a unit that fits: "21.0 us", "1.1 ms", "2.5 s".
[[nodiscard]] std::string wait_text(double ns);

} // namespace vethtrace
