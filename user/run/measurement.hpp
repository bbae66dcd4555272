// SPDX-License-Identifier: GPL-2.0-only
//
// A run while it is under way: slices of load, traced and untraced by turns. The speed of a shared machine changes
// within a second by more than tracing costs, so what is to be compared takes short turns.
#pragma once

#include "run/collect.hpp"
#include "run/session.hpp"

#include <memory>

namespace vethtrace {

class Measurement {
public:
    // Builds the lab, loads the programs, connects the load.
    [[nodiscard]] static Result<std::unique_ptr<Measurement>>
    begin(const RunOptions &options, const std::atomic<bool> &stop, const Progress &progress);

    // With --max-overhead: chooses how many transactions are followed, by a trial. Before the first slice.
    [[nodiscard]] Result<void> choose_sample();

    // How many traced slices the run has. Of untraced ones it has one more, as each traced one lies between two.
    [[nodiscard]] std::uint64_t slices() const;

    // One of so many pieces of an untraced slice, and a whole traced slice; slices are numbered from 0.
    [[nodiscard]] Result<void> run_untraced(std::uint64_t slice, std::uint64_t pieces = 1);
    [[nodiscard]] Result<void> run_traced(std::uint64_t slice);

    [[nodiscard]] RunResult finish();

private:
    Measurement(const RunOptions &options, std::unique_ptr<Session> session);

    [[nodiscard]] Stretch part(bool traced, std::uint64_t slice) const;
    void close_gap();

    // A traced slice that still waits for the untraced one after it.
    struct Waiting {
        double traced_ns;
        double followed_ns;
        double untraced_before_ns;
    };

    RunOptions options_;
    std::unique_ptr<Session> session_;
    Measured measured_;
    Histogram gap_; // round trips since the last traced slice
    std::optional<Waiting> waiting_;
};

} // namespace vethtrace
