// SPDX-License-Identifier: GPL-2.0-only
#include "core/compare.hpp"

#include "core/ledger.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <set>

namespace vethtrace {

namespace {

constexpr std::uint64_t fewest_rounds_at_a_look = 5;
// A stage is worth a sentence from this part of the difference in RTT on.
constexpr double worth_a_sentence = 0.05;
constexpr double significant = 0.05;

void merge_count(std::map<std::string, std::uint64_t> &counts, const std::map<std::string, std::uint64_t> &more) {
    for (const auto &[name, count] : more)
        counts[name] += count;
}

void merge_hop(Hop &hop, const Hop &more) {
    hop.time.merge(more.time);
    hop.events += more.events;
    hop.kprobes += more.kprobes;
    hop.other_cpu += more.other_cpu;
}

void merge_hops(std::vector<Hop> &hops, const std::vector<Hop> &more) {
    for (const Hop &hop : more) {
        auto known = std::find_if(hops.begin(), hops.end(), [&](const Hop &one) {
            return one.name.direction == hop.name.direction && one.name.from == hop.name.from &&
                   one.name.to == hop.name.to;
        });
        if (known == hops.end())
            hops.push_back(hop);
        else
            merge_hop(*known, hop);
    }
}

void merge_stations(std::vector<StationResult> &stations, const std::vector<StationResult> &more) {
    for (StationResult &station : stations)
        for (const StationResult &other : more)
            if (station.station == other.station) {
                station.hits += other.hits;
                station.ended += other.ended;
                station.missed += other.missed;
            }
}

void merge_conservation(Conservation &sum, const Conservation &more) {
    sum.entered += more.entered;
    sum.cloned += more.cloned;
    sum.segmented += more.segmented;
    sum.completed += more.completed;
    sum.evicted += more.evicted;
    sum.merged += more.merged;
    sum.in_flight += more.in_flight;
    sum.missed += more.missed;
    merge_count(sum.dropped, more.dropped);
    merge_count(sum.not_followed, more.not_followed);
}

void merge_net_rx(NetRx &sum, const NetRx &more) {
    sum.raised += more.raised;
    sum.runs += more.runs;
    sum.wait.merge(more.wait);
    sum.run.merge(more.run);
    sum.inline_ += more.inline_;
    sum.irq_exit += more.irq_exit;
    sum.ksoftirqd += more.ksoftirqd;
    sum.other_cpu += more.other_cpu;
    sum.other += more.other;
}

void merge_notes(std::vector<Note> &notes, const std::vector<Note> &more) {
    for (const Note &note : more) {
        auto known = std::find_if(notes.begin(), notes.end(), [&](const Note &one) { return one.what == note.what; });
        if (known == notes.end())
            notes.push_back(note);
        else
            known->count += note.count;
    }
}

using Values = std::vector<double>;

Values values_of(const Side &side, const std::function<double(const Round &)> &value) {
    Values values;
    std::transform(side.rounds.begin(), side.rounds.end(), std::back_inserter(values), value);
    return values;
}

double mean_of(const Values &values) {
    double sum = 0;
    for (double value : values)
        sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double untraced_rtt(const Round &round) {
    return round.untraced_rtt_ns;
}

double stage_of(const Round &round, Stage stage) {
    auto found = round.stages.find(stage);
    return found == round.stages.end() ? 0 : found->second;
}

// Below the threshold no difference is one, however certain.
Verdict verdict_of(const Difference &difference, double threshold_ns) {
    if (!difference.excludes_zero() || std::abs(difference.mean) < threshold_ns)
        return Verdict::indistinguishable;
    return difference.mean > 0 ? Verdict::slower : Verdict::faster;
}

std::uint64_t hops_in(const RunResult &run, Stage stage) {
    return static_cast<std::uint64_t>(std::count_if(run.hops.begin(), run.hops.end(), [stage](const Hop &hop) {
        return hop.name.stage == stage && hop.time.count() != 0;
    }));
}

// Both modes' stages in the order in which a packet meets them, which is that of the enumeration.
std::set<Stage> stages_of(const Side &a, const Side &b) {
    std::set<Stage> stages;
    for (const Side *side : {&a, &b})
        for (const Round &round : side->rounds)
            for (const auto &[stage, mean] : round.stages)
                stages.insert(stage);
    return stages;
}

class Subtraction {
public:
    Subtraction(const Side &mode, const Side &against, Pairing pairing, double level)
        : mode_(mode), against_(against), pairing_(pairing), level_(level) {}

    [[nodiscard]] Difference of(const std::function<double(const Round &)> &value) const {
        Values a = values_of(mode_, value);
        Values b = values_of(against_, value);
        return pairing_ == Pairing::blocks ? paired_difference(a, b, level_) : independent_difference(a, b, level_);
    }

    [[nodiscard]] StageDelta of(Stage stage) const {
        StageDelta delta;
        delta.stage = stage;
        auto value = [stage](const Round &round) { return stage_of(round, stage); };
        delta.mode_hops = hops_in(mode_.run, stage);
        delta.against_hops = hops_in(against_.run, stage);
        if (delta.mode_hops != 0)
            delta.mode_ns = mean_of(values_of(mode_, value));
        if (delta.against_hops != 0)
            delta.against_ns = mean_of(values_of(against_, value));
        delta.delta = of(value);
        return delta;
    }

private:
    const Side &mode_;
    const Side &against_;
    Pairing pairing_;
    double level_;
};

void judge_stages(std::vector<StageDelta> &stages, double rtt_ns) {
    std::vector<double> p_values(stages.size());
    std::transform(stages.begin(), stages.end(), p_values.begin(),
                   [](const StageDelta &stage) { return stage.delta.p_value.value_or(1); });
    std::vector<double> adjusted = adjust_for_number(p_values);
    for (std::size_t i = 0; i < stages.size(); ++i) {
        StageDelta &stage = stages[i];
        if (stage.delta.p_value)
            stage.adjusted_p = adjusted[i];
        stage.matters = stage.delta.excludes_zero() && adjusted[i] < significant &&
                        std::abs(stage.delta.mean) >= worth_a_sentence * std::abs(rtt_ns);
    }
}

// ---- what should be known of a comparison

void warn_of_rounds(CompareResult &result) {
    constexpr std::uint64_t fewest = 5;
    constexpr std::uint64_t fewest_for_interval = 3;
    if (result.rounds < fewest_for_interval)
        result.warnings.push_back(fmt::format(
            "{} round{}: no interval is possible under 3, so nothing can be told apart; --rounds 20 is the default",
            result.rounds, result.rounds == 1 ? "" : "s"));
    else if (result.rounds < fewest)
        result.warnings.push_back(fmt::format(
            "{} rounds: intervals from fewer than 5 are wide and trust the normal distribution", result.rounds));
    if (!result.precise && result.rounds >= fewest_for_interval)
        result.warnings.push_back(fmt::format(
            "THE PRECISION WAS NOT REACHED: after {} rounds an interval is still wider than {:.3g} % of the "
            "round trip; more --rounds, a longer --duration or a quieter machine help",
            result.rounds, result.plan.precision * 100));
}

void warn_of_tracing(CompareResult &result) {
    for (const Delta &delta : result.deltas)
        if (delta.traced_verdict != delta.verdict && result.rounds > 1)
            result.warnings.push_back(
                fmt::format("tracing itself would move the verdict: {} against {} is {} untraced, but {} by the traced "
                            "round trips",
                            delta.mode, delta.against, name_of(delta.verdict), name_of(delta.traced_verdict)));
}

} // namespace

Round round_of(const RunResult &run) {
    Round round;
    round.untraced_rtt_ns = run.observer.untraced_rtt_mean_ns;
    round.traced_rtt_ns = run.observer.traced_rtt_mean_ns;
    round.corrected_sum_ns = run.ledger.corrected_sum_ns;
    auto transactions = static_cast<double>(run.load.followed());
    for (const Hop &hop : run.hops)
        if (hop.time.count() != 0)
            round.stages[hop.name.stage] +=
                hop.corrected_mean_ns * static_cast<double>(hop.time.count()) / transactions;
    return round;
}

void add_round(Side &side, const RunResult &round) {
    side.rounds.push_back(round_of(round));
    RunResult &sum = side.run;
    if (side.rounds.size() == 1) {
        sum = round;
        return;
    }
    sum.load.transactions += round.load.transactions;
    sum.load.duration_ns += round.load.duration_ns;
    sum.load.rtt.merge(round.load.rtt);
    sum.load.followed_rtt.merge(round.load.followed_rtt);
    merge_hops(sum.hops, round.hops);
    merge_stations(sum.stations, round.stations);
    merge_conservation(sum.conservation, round.conservation);
    merge_net_rx(sum.net_rx, round.net_rx);
    merge_notes(sum.notes, round.notes);
    sum.slices.insert(sum.slices.end(), round.slices.begin(), round.slices.end());
    // They are the same for all rounds but for disturbance, which only ever adds.
    sum.known.stamp_ns = std::min(sum.known.stamp_ns, round.known.stamp_ns);
    sum.known.kprobe_extra_ns = std::min(sum.known.kprobe_extra_ns, round.known.kprobe_extra_ns);
    close_books(sum);
}

std::vector<std::string> labels_of(std::span<const Mode> modes) {
    std::vector<std::string> labels;
    std::map<Mode, int> seen;
    for (Mode mode : modes) {
        int which = ++seen[mode];
        labels.push_back(which == 1 ? std::string(name_of(mode)) : fmt::format("{}#{}", name_of(mode), which));
    }
    return labels;
}

std::vector<Look> looks_of(std::uint64_t rounds) {
    // A fifth of the errors that 95 % allow may be made at the first look.
    constexpr double first_level = 0.99;
    constexpr double last_level = 0.96;
    if (rounds < 2 * fewest_rounds_at_a_look)
        return {{rounds, usual_level}};
    return {{rounds / 2, first_level}, {rounds, last_level}};
}

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::slower:
        return "slower";
    case Verdict::faster:
        return "faster";
    case Verdict::indistinguishable:
        break;
    }
    return "indistinguishable";
}

std::optional<Verdict> verdict_named(std::string_view name) {
    for (Verdict verdict : {Verdict::slower, Verdict::faster, Verdict::indistinguishable})
        if (name_of(verdict) == name)
            return verdict;
    return std::nullopt;
}

Delta difference_of(const Side &mode, const Side &against, Pairing pairing, double level, double threshold) {
    Subtraction subtract(mode, against, pairing, level);
    Delta delta;
    delta.mode = mode.label;
    delta.against = against.label;
    delta.against_rtt_ns = mean_of(values_of(against, untraced_rtt));
    delta.rtt = subtract.of(untraced_rtt);
    delta.traced = subtract.of([](const Round &round) { return round.traced_rtt_ns; });
    delta.corrected = subtract.of([](const Round &round) { return round.corrected_sum_ns; });
    delta.unexplained = subtract.of([](const Round &round) { return round.untraced_rtt_ns - round.corrected_sum_ns; });
    for (Stage stage : stages_of(mode, against))
        delta.stages.push_back(subtract.of(stage));
    judge(delta, threshold);
    return delta;
}

void judge(Delta &delta, double threshold) {
    judge_stages(delta.stages, delta.rtt.mean);
    if (delta.rtt.mean != 0)
        delta.explained_ratio = delta.corrected.mean / delta.rtt.mean;
    double threshold_ns = threshold * delta.against_rtt_ns;
    delta.verdict = verdict_of(delta.rtt, threshold_ns);
    delta.traced_verdict = verdict_of(delta.traced, threshold_ns);
    if (delta.rtt.detectable)
        delta.minimum_detectable_ns = std::max(*delta.rtt.detectable, threshold_ns);
}

bool is_precise(std::span<const Side> sides, double level, double precision) {
    return std::all_of(sides.begin() + 1, sides.end(), [&](const Side &side) {
        Difference rtt = Subtraction(side, sides.front(), Pairing::blocks, level).of(untraced_rtt);
        return rtt.half_width && 2 * *rtt.half_width <= precision * mean_of(values_of(sides.front(), untraced_rtt));
    });
}

void conclude(CompareResult &result) {
    std::span<const Side> sides = result.sides;
    result.deltas.clear();
    for (std::size_t against = 0; against < sides.size(); ++against)
        for (std::size_t mode = against + 1; mode < sides.size(); ++mode)
            result.deltas.push_back(
                difference_of(sides[mode], sides[against], Pairing::blocks, result.level, result.plan.threshold));
    result.precise = is_precise(sides, result.level, result.plan.precision);
    result.valid = true;
    result.warnings.clear();
    for (const Side &side : sides) {
        result.valid = result.valid && side.run.valid;
        if (!side.run.valid)
            result.warnings.push_back(fmt::format("the result of {} is not valid", side.label));
        for (const std::string &warning : side.run.warnings)
            result.warnings.push_back(fmt::format("{}: {}", side.label, warning));
    }
    warn_of_rounds(result);
    warn_of_tracing(result);
}

} // namespace vethtrace
