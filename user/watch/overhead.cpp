// SPDX-License-Identifier: GPL-2.0-only
#include "watch/overhead.hpp"

#include <algorithm>
#include <fstream>
#include <unistd.h>

namespace vethtrace {

namespace {

// The kernel's count leaves out getting into a program and out of it (5 ns for a tp_btf on bare metal, by the kernel's
// own benchmark), and has one reading of the clock too many (an empty program counts as 35 ns here). So it errs on the
// safe side.

// Where the kernel does not count: a cautious guess.
constexpr double unknown_event_ns = 300;

constexpr std::uint64_t enough_runs = 1000;
constexpr unsigned windows_between = 30;

} // namespace

std::uint64_t resident_bytes() {
    // Pages; proc_pid_statm(5).
    std::ifstream statm("/proc/self/statm");
    std::uint64_t whole = 0;
    std::uint64_t resident = 0;
    if (!(statm >> whole >> resident))
        return 0;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint32_t sample_for(double limit, double cost, std::uint32_t sample, std::uint32_t least) {
    constexpr double room = 4; // half as sparse costs at most twice as much, which must still be well within
    if (cost > limit)
        return std::min(sample * 2, std::max(most_sparse, least));
    if (cost < limit / room)
        return std::max(sample / 2, least);
    return sample;
}

void Overhead::measure_again() {
    windows_since_ = 0;
    if (counting_ || refused_)
        return;
    if (!engine_.count_time(true)) {
        refused_ = true;
        event_ns_ = unknown_event_ns;
        return;
    }
    counting_ = true;
    begun_ = engine_.spent();
}

void Overhead::look() {
    if (!counting_)
        return;
    WatchEngine::Spent now = engine_.spent();
    std::uint64_t runs = now.runs - begun_.runs;
    if (runs < enough_runs)
        return;
    event_ns_ = static_cast<double>(now.ns - begun_.ns) / static_cast<double>(runs);
    (void)engine_.count_time(false);
    counting_ = false;
}

double Overhead::part_since(Nanoseconds duration_ns) {
    std::vector<std::uint64_t> events = engine_.events();
    events_before_.resize(events.size());
    std::uint64_t most = 0;
    for (std::size_t i = 0; i < events.size(); ++i)
        most = std::max(most, events[i] - events_before_[i]);
    events_before_ = std::move(events);
    if (++windows_since_ >= windows_between)
        measure_again();
    if (!event_ns_ || duration_ns == 0)
        return 0;
    return static_cast<double>(most) * *event_ns_ / static_cast<double>(duration_ns);
}

} // namespace vethtrace
