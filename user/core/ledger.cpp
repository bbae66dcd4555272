// SPDX-License-Identifier: GPL-2.0-only
#include "core/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numbers>
#include <numeric>

namespace vethtrace {

namespace {

constexpr double unbalanced_allowed = 0.001;
constexpr double explained_least = 0.95;
constexpr double explained_most = 1.05;
constexpr double edge_count_allowed = 0.001;
constexpr double unforeseen_allowed = 0.001;
constexpr double residual_allowed = 0.03;

// The hops are corrected by the median cost of the slices and held against their mean. The variance of a median is
// pi/2 times that of the mean, so the interval of the difference is at most sqrt(1 + pi/2) times that of the mean.
const double mean_against_median = std::sqrt(1 + std::numbers::pi / 2);

double as_double(std::uint64_t value) {
    return static_cast<double>(value);
}

// Ends of the hop at which the load reads the clock.
int stamps_of(const HopName &hop) {
    auto is_stamp = [](Station station) {
        if (is_at_device(station))
            return false;
        std::uint32_t moment = (station.id - layout::FIRST_END_STATION) % layout::MOMENTS;
        return moment == layout::MOMENT_APP_SEND || moment == layout::MOMENT_APP_RECV;
    };
    return (is_stamp(hop.from) ? 1 : 0) + (is_stamp(hop.to) ? 1 : 0);
}

std::string text_of(const HopName &hop) {
    return fmt::format("{} -> {}", name_of(hop.from), name_of(hop.to));
}

} // namespace

std::uint64_t Conservation::accounted() const {
    std::uint64_t sum = completed + evicted + merged + in_flight;
    for (const auto &[reason, count] : dropped)
        sum += count;
    return sum;
}

bool Conservation::balanced() const {
    double in = as_double(entered + cloned + segmented);
    return std::abs(in - as_double(accounted())) <= unbalanced_allowed * in;
}

double explained_mean(std::span<const Hop> hops, std::uint64_t transactions) {
    if (transactions == 0)
        return 0;
    double sum = 0;
    for (const Hop &hop : hops)
        sum += as_double(hop.time.sum());
    return sum / as_double(transactions);
}

Observer correct_hops(std::span<Hop> hops, std::uint64_t transactions, std::span<const SlicePair> slices,
                      const KnownCosts &known) {
    Observer observer;
    observer.stamp_ns = known.stamp_ns;
    observer.kprobe_extra_ns = known.kprobe_extra_ns;
    if (transactions == 0 || slices.empty())
        return observer;
    std::vector<double> added;
    std::vector<double> added_to_followed;
    for (const SlicePair &slice : slices) {
        added.push_back(slice.added_ns());
        added_to_followed.push_back(slice.followed_ns - slice.untraced_ns);
        observer.traced_rtt_mean_ns += slice.traced_ns / as_double(slices.size());
        observer.untraced_rtt_mean_ns += slice.untraced_ns / as_double(slices.size());
    }
    Estimate estimate = estimate_mean(added);
    observer.added_ns = estimate.mean;
    observer.added_ci95_ns = estimate.half_width;
    observer.followed_ci95_ns = estimate_mean(added_to_followed).half_width;
    observer.added_ratio = observer.added_ns / observer.untraced_rtt_mean_ns;

    auto known_cost = [&](const Hop &hop) { // over all its packets
        return known.stamp_ns * stamps_of(hop.name) / 2 * as_double(hop.time.count()) +
               known.kprobe_extra_ns * as_double(hop.kprobes);
    };
    double known_ns = 0; // per transaction
    for (const Hop &hop : hops) {
        observer.events_per_transaction += as_double(hop.events) / as_double(transactions);
        known_ns += known_cost(hop) / as_double(transactions);
    }
    // By the middle slice: one in which the machine was elsewhere for a while must not become a cost of tracing.
    if (observer.events_per_transaction > 0)
        observer.event_ns = std::max(0.0, *median(added_to_followed) - known_ns) / observer.events_per_transaction;

    for (Hop &hop : hops) {
        double count = as_double(hop.time.count());
        if (count == 0)
            continue;
        hop.observer_ns = (observer.event_ns * as_double(hop.events) + known_cost(hop)) / count;
        hop.corrected_mean_ns = *hop.time.mean() - hop.observer_ns;
    }
    return observer;
}

Ledger make_ledger(std::span<const Hop> hops, const Histogram &followed_rtt, const Observer &observer) {
    Ledger ledger;
    if (followed_rtt.count() == 0)
        return ledger;
    ledger.rtt_mean_ns = *followed_rtt.mean();
    ledger.explained_mean_ns = explained_mean(hops, followed_rtt.count());
    ledger.unexplained_mean_ns = ledger.rtt_mean_ns - ledger.explained_mean_ns;
    ledger.explained_ratio = ledger.explained_mean_ns / ledger.rtt_mean_ns;
    for (const Hop &hop : hops)
        ledger.corrected_sum_ns +=
            hop.corrected_mean_ns * as_double(hop.time.count()) / as_double(followed_rtt.count());
    ledger.corrected_residual_ns = observer.untraced_rtt_mean_ns - ledger.corrected_sum_ns;
    return ledger;
}

std::vector<std::string> find_faults(const RunResult &result) {
    std::vector<std::string> faults;
    std::uint64_t transactions = result.load.followed();
    if (transactions == 0) {
        faults.emplace_back("no transaction was followed");
        return faults;
    }

    const Conservation &conservation = result.conservation;
    if (!conservation.balanced())
        faults.push_back(fmt::format("packets are not balanced: {} entered, {} are accounted for",
                                     conservation.entered + conservation.cloned + conservation.segmented,
                                     conservation.accounted()));

    double ratio = result.ledger.explained_ratio;
    if (!(ratio >= explained_least && ratio <= explained_most))
        faults.push_back(fmt::format("the hops explain {:.1f} % of the round trip, not 95 to 105 %", ratio * 100));

    std::uint64_t unforeseen = 0;
    for (const Hop &hop : result.hops) {
        double off = as_double(hop.time.count()) - as_double(transactions);
        if (hop.name.stage == Stage::unforeseen)
            unforeseen += hop.time.count();
        else if (hop.name.every_message && std::abs(off) > edge_count_allowed * as_double(transactions))
            faults.push_back(fmt::format("hop {} was seen {} times in {} transactions", text_of(hop.name),
                                         hop.time.count(), transactions));
    }
    if (as_double(unforeseen) > unforeseen_allowed * as_double(transactions)) {
        auto most = std::max_element(result.hops.begin(), result.hops.end(), [](const Hop &a, const Hop &b) {
            auto weight = [](const Hop &hop) { return hop.name.stage == Stage::unforeseen ? hop.time.count() : 0; };
            return weight(a) < weight(b);
        });
        faults.push_back(fmt::format("{} packets took a hop that the mode's table does not have, most of them {}",
                                     unforeseen, text_of(most->name)));
    }

    // A run of one slice has no interval of its own, and the cost of tracing that it tells is no more than a guess.
    const Observer &observer = result.observer;
    if (!observer.followed_ci95_ns)
        return faults;
    double allowed =
        std::max(residual_allowed * observer.untraced_rtt_mean_ns, mean_against_median * *observer.followed_ci95_ns);
    if (std::abs(result.ledger.corrected_residual_ns) > allowed)
        faults.push_back(fmt::format("without the cost of tracing the hops add up to {:.0f} ns, but the untraced round "
                                     "trip takes {:.0f} ns, which is off by more than the {:.0f} ns that are allowed",
                                     result.ledger.corrected_sum_ns, observer.untraced_rtt_mean_ns, allowed));
    return faults;
}

namespace {

// What should be known but does not make the result invalid.
std::vector<std::string> notable(const RunResult &result) {
    std::vector<std::string> notes;
    auto note_if = [&](std::uint64_t count, std::string_view what) {
        if (count != 0)
            notes.push_back(fmt::format("{} {}", count, what));
    };
    for (const Note &note : result.notes)
        note_if(note.count, note.what);
    const Conservation &conservation = result.conservation;
    note_if(conservation.missed, "calls of tracing programs were suppressed by the kernel");
    for (const StationResult &station : result.stations)
        note_if(station.ended, fmt::format("packets were last seen at {}", name_of(station.station)));
    for (const Hop &hop : result.hops)
        note_if(hop.time.overflow(), fmt::format("intervals from {} to {} were longer than a histogram reaches (69 s)",
                                                 name_of(hop.name.from), name_of(hop.name.to)));
    if (const std::optional<Budget> &budget = result.budget; budget && !budget->can_be_kept())
        notes.push_back(fmt::format("--max-overhead {:.1f} % cannot be kept here: the programs alone add {:.1f} %",
                                    budget->limit * 100, budget->none_followed * 100));
    note_if(conservation.cloned, "packets went on as a copy (a clone) of themselves");
    note_if(conservation.segmented, "packets went on in segments; the last one of each was followed");
    note_if(conservation.merged, "packets were merged into others by GRO");
    for (const auto &[reason, count] : conservation.dropped)
        if (reason != consumed_reason)
            note_if(count, fmt::format("packets were dropped: {}", reason));
        else if (std::uint64_t replaced = conservation.cloned + conservation.segmented; count > replaced)
            note_if(count - replaced, "packets ended before their last station without being dropped");
    const Observer &observer = result.observer;
    if (!observer.added_ci95_ns)
        notes.emplace_back("the run is too short to tell how sure the cost of tracing is; more transactions help");
    else if (std::abs(observer.added_ns) < *observer.added_ci95_ns)
        notes.push_back(
            fmt::format("the cost of tracing is within the noise of this run (+-{:.0f} ns)", *observer.added_ci95_ns));
    return notes;
}

} // namespace

void close_books(RunResult &result) {
    result.observer = correct_hops(result.hops, result.load.followed(), result.slices, result.known);
    result.ledger = make_ledger(result.hops, result.load.followed_rtt, result.observer);
    result.warnings = find_faults(result);
    result.valid = result.warnings.empty();
    for (std::string &note : notable(result))
        result.warnings.push_back(std::move(note));
}

} // namespace vethtrace
