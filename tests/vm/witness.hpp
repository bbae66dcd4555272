// SPDX-License-Identifier: GPL-2.0-only
//
// What the kernel's own tracer (tracefs, by trace-cmd) recorded of a run, and the hops that follow from its timestamps
// alone. It shares with vethtrace the kernel's tracepoints, and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vethtrace::test {

struct TraceEvent {
    std::string task; // COMM-PID
    std::int64_t when = 0;
    std::string name;
    std::string fields; // as trace-cmd prints them

    // The word after `key`, for example field("dev=").
    [[nodiscard]] std::string field(const std::string &key) const;
};

struct Mean {
    double sum = 0;
    std::uint64_t count = 0;

    void add(double value);
    [[nodiscard]] double value() const { return sum / static_cast<double>(count); }
};

class Witness {
public:
    // Reads what `trace-cmd extract` wrote. No events if it cannot be read.
    explicit Witness(const std::string &file);

    [[nodiscard]] const std::vector<TraceEvent> &events() const { return events_; }
    // The traced slices of the run: what happened while vethtrace's programs were attached and its load ran. vethtrace
    // attaches by bpf() and detaches by close().
    [[nodiscard]] std::vector<std::vector<TraceEvent>> traced_slices() const;

    // Over all traced slices, but for the first `warmup` transactions of each: the mean of each hop between devices and
    // to the socket, by "FROM -> TO".
    [[nodiscard]] std::map<std::string, Mean> hops(std::uint64_t warmup) const;
    // How long the thread at the end that a message is sent to was ready to run, from its wakeup on, or from
    // sk_data_ready if it did not sleep, until it got the CPU. By the thread's name, over the same messages.
    [[nodiscard]] std::map<std::string, Mean> runnable_delays(std::uint64_t warmup) const;

private:
    std::vector<TraceEvent> events_;
};

} // namespace vethtrace::test
