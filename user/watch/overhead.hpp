// SPDX-License-Identifier: GPL-2.0-only
//
// What tracing costs while it watches, and how many packets may be followed for a given price.
#pragma once

#include "core/watch.hpp"
#include "hooks/watch_engine.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace vethtrace {

// One packet in so many, from what following one in `sample` costs (a part of the time of the busiest CPU). Never more
// than one in `least`, which the user asked for. Halved and doubled, so that it settles.
[[nodiscard]] std::uint32_t sample_for(double limit, double cost, std::uint32_t sample, std::uint32_t least);
constexpr std::uint32_t most_sparse = 4096;

// Of this process; 0 if /proc does not tell.
[[nodiscard]] std::uint64_t resident_bytes();

// The time of tracing, as the kernel counts it: not all the time, because counting costs as much again, but for a
// thousand events now and then. In between events are counted, which costs nothing.
class Overhead {
public:
    explicit Overhead(WatchEngine &engine) : engine_(engine) {}

    // From time to time, some ten times a second.
    void look();

    // Since the last call: the part of its time that the busiest CPU spent in tracing. `duration_ns` is how long ago
    // that was. 0 until the first events were timed.
    [[nodiscard]] double part_since(Nanoseconds duration_ns);

    // What an event costs has changed, or may have.
    void measure_again();

private:
    WatchEngine &engine_;
    std::optional<double> event_ns_;
    bool counting_ = false;
    bool refused_ = false; // the kernel does not count for us
    WatchEngine::Spent begun_;
    std::vector<std::uint64_t> events_before_;
    unsigned windows_since_ = 0;
};

} // namespace vethtrace
