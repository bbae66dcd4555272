// SPDX-License-Identifier: GPL-2.0-only
//
// How a time of watching went, in memory that does not grow with it: points of time, each of one window or, once there
// would be too many of them, of several that follow one another.
#pragma once

#include "core/watch_totals.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace vethtrace {

struct WatchPoint {
    std::uint64_t first = 0;   // the number of its first window
    std::uint64_t windows = 0; // how many it is made of
    std::chrono::system_clock::time_point begun;
    Nanoseconds duration_ns = 0;
    std::map<std::pair<Flow, Stage>, WatchTotal> stages; // of all targets
    std::map<std::string, std::uint64_t> drops;          // by reason
    double overhead = 0;                                 // of the window in which it was largest
    std::uint32_t sample = 1;                            // the same
    std::size_t targets = 0;                             // at the end
};

// A piece of advice as it was given for the last time, and how often before.
struct GivenAdvice {
    Advice advice;
    std::uint64_t windows = 0;
    std::chrono::system_clock::time_point first;
    std::chrono::system_clock::time_point last;
};

class WatchHistory {
public:
    // At most so many points, an even number of them.
    explicit WatchHistory(std::size_t most_points = 160) : most_points_(most_points) {}

    // The next window, with what was advised in it.
    void add(const WatchWindow &window, const std::vector<Advice> &advice);
    // One that was told on its own, because it took longer than it may.
    void add(const SlowPacket &packet);

    [[nodiscard]] const std::vector<WatchPoint> &points() const { return points_; }
    [[nodiscard]] const std::vector<SlowPacket> &slowest() const { return slowest_; } // of all, the slowest first
    // In the order in which it was first given.
    [[nodiscard]] const std::vector<GivenAdvice> &advice() const { return advice_; }
    [[nodiscard]] const std::vector<std::string> &notes() const { return notes_; } // the last of them
    [[nodiscard]] std::uint64_t notes_left_out() const { return notes_left_out_; }
    [[nodiscard]] const std::map<std::string, std::size_t> &modes() const { return modes_; } // as of the last window

private:
    void add_to_points(const WatchWindow &window);
    void halve();

    std::size_t most_points_;
    std::uint64_t windows_of_a_point_ = 1;
    std::vector<WatchPoint> points_;
    std::vector<SlowPacket> slowest_;
    std::vector<GivenAdvice> advice_;
    std::vector<std::string> notes_;
    std::uint64_t notes_left_out_ = 0;
    std::map<std::string, std::size_t> modes_;
};

} // namespace vethtrace
