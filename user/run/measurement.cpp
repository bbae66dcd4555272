// SPDX-License-Identifier: GPL-2.0-only
#include "run/measurement.hpp"

#include "load/clock.hpp"
#include "run/budget.hpp"

#include <algorithm>

namespace vethtrace {

namespace {

constexpr std::uint64_t most_slices = 20;
constexpr std::uint64_t slice_transactions = 100;                                  // at least, of all flows together
constexpr std::chrono::nanoseconds slice_duration = std::chrono::milliseconds(50); // at least

// What one reading of the clock costs the load, in ns: the least of several tries, as the rest is disturbance.
double measure_stamp() {
    constexpr int tries = 5;
    constexpr int readings = 400;
    Nanoseconds least = std::numeric_limits<Nanoseconds>::max();
    for (int i = 0; i < tries; ++i) {
        Nanoseconds begin = kernel_clock();
        Nanoseconds end = begin;
        for (int j = 0; j < readings; ++j)
            end = kernel_clock();
        least = std::min(least, end - begin);
    }
    return static_cast<double>(least) / readings;
}

} // namespace

Measurement::Measurement(const RunOptions &options, std::unique_ptr<Session> session)
    : options_(options), session_(std::move(session)) {
    measured_.sample = options.sample;
    measured_.stamp_ns = measure_stamp();
}

Result<std::unique_ptr<Measurement>> Measurement::begin(const RunOptions &options, const std::atomic<bool> &stop,
                                                        const Progress &progress) {
    return Session::open(options, stop, progress).map([&](std::unique_ptr<Session> session) {
        return std::unique_ptr<Measurement>(new Measurement(options, std::move(session)));
    });
}

Result<void> Measurement::choose_sample() {
    return vethtrace::choose_sample(*session_, options_, *options_.max_overhead).map([&](const Budget &budget) {
        measured_.budget = budget;
        measured_.sample = budget.sample;
        session_->engine().set_sample(budget.sample);
    });
}

std::uint64_t Measurement::slices() const {
    std::uint64_t slices = options_.count
                               ? *options_.count / (slice_transactions * options_.load.flows * measured_.sample)
                               : static_cast<std::uint64_t>(options_.duration / slice_duration);
    return std::clamp<std::uint64_t>(slices, 1, most_slices);
}

// The part of a run that falls to a slice; the counts of all traced ones add up to the whole.
Stretch Measurement::part(bool traced, std::uint64_t slice) const {
    std::uint64_t slices = this->slices();
    Stretch part{options_.warmup, std::nullopt, options_.duration / static_cast<std::int64_t>(slices), traced};
    if (options_.count)
        part.count = *options_.count * (slice + 1) / slices - *options_.count * slice / slices;
    if (traced)
        return part;
    double share = options_.untraced_share * static_cast<double>(slices) / static_cast<double>(slices + 1);
    part.duration = std::chrono::duration_cast<std::chrono::nanoseconds>(part.duration * share);
    if (options_.count)
        part.count = static_cast<std::uint64_t>(static_cast<double>(*options_.count) * options_.untraced_share /
                                                static_cast<double>(slices + 1));
    return part;
}

Result<void> Measurement::run_untraced(std::uint64_t slice, std::uint64_t pieces) {
    Stretch piece = part(false, slice);
    piece.duration /= static_cast<std::int64_t>(pieces);
    if (piece.count)
        piece.count = std::max<std::uint64_t>(*piece.count / pieces, options_.load.flows);
    return session_->load().run(piece).map([&](const StretchResult &result) { gap_.merge(result.rtt); });
}

Result<void> Measurement::run_traced(std::uint64_t slice) {
    close_gap();
    double before = gap_.mean().value_or(0);
    gap_.clear();
    if (Result<void> attached = session_->engine().attach(); !attached)
        return tl::unexpected(attached.error());
    Result<StretchResult> traced = session_->load().run(part(true, slice));
    session_->engine().detach();
    if (!traced)
        return tl::unexpected(traced.error());
    if (traced->followed_rtt.count() != 0)
        waiting_ = Waiting{*traced->rtt.mean(), *traced->followed_rtt.mean(), before};
    measured_.traced.merge(*traced);
    return {};
}

// The untraced load after a traced slice is complete.
void Measurement::close_gap() {
    if (!waiting_)
        return;
    double after = gap_.mean().value_or(waiting_->untraced_before_ns); // an interrupted run ends here
    measured_.slices.push_back(
        {waiting_->traced_ns, (waiting_->untraced_before_ns + after) / 2, waiting_->followed_ns});
    waiting_.reset();
}

RunResult Measurement::finish() {
    close_gap();
    return collect(options_, *session_, measured_);
}

} // namespace vethtrace
