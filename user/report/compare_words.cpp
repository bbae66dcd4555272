// SPDX-License-Identifier: GPL-2.0-only
#include "report/compare_words.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string_view>

namespace vethtrace {

namespace {

std::string between(const Difference &delta, const NumberWords &words) {
    return fmt::format("{} to {}", words.change(delta.low()), words.change(delta.high()));
}

} // namespace

VerdictSentence verdict_of(const Delta &delta, const NumberWords &words) {
    std::string range = delta.rtt.half_width ? fmt::format(" ({})", between(delta.rtt, words)) : "";
    std::string seen = delta.minimum_detectable_ns
                           ? fmt::format("; this run could have seen {}", words.time(*delta.minimum_detectable_ns))
                           : "";
    double share = delta.against_rtt_ns > 0 ? delta.rtt.mean / delta.against_rtt_ns : 0;
    if (delta.verdict == Verdict::indistinguishable)
        return {fmt::format("{} and {} are indistinguishable", delta.mode, delta.against),
                fmt::format(": {}{}, {} of the round trip{}.", words.change(delta.rtt.mean), range,
                            words.percent(share), seen)};
    return {fmt::format("{} is {} than {}", delta.mode, name_of(delta.verdict), delta.against),
            fmt::format(" by {}{}, {} of the round trip{}.", words.time(std::abs(delta.rtt.mean)), range,
                        words.percent(share), seen)};
}

std::vector<StageSentence> stages_that_matter(const Delta &delta, const NumberWords &words) {
    std::vector<const StageDelta *> stages;
    for (const StageDelta &stage : delta.stages)
        if (stage.matters)
            stages.push_back(&stage);
    std::sort(stages.begin(), stages.end(), [](const StageDelta *a, const StageDelta *b) {
        return std::abs(a->delta.mean) > std::abs(b->delta.mean);
    });
    std::vector<StageSentence> sentences;
    for (const StageDelta *stage : stages) {
        std::string hops = stage->mode_hops == stage->against_hops
                               ? ""
                               : fmt::format("; {} hop{} and not {}", stage->mode_hops,
                                             stage->mode_hops == 1 ? "" : "s", stage->against_hops);
        sentences.push_back({stage->stage, words.change(stage->delta.mean),
                             fmt::format("in {} ({}{})", name_of(stage->stage), between(stage->delta, words), hops)});
    }
    return sentences;
}

std::string softirq_sentence(const RunResult &run) {
    const NetRx &net_rx = run.net_rx;
    auto transactions = static_cast<double>(std::max<std::uint64_t>(run.load.followed(), 1));
    std::vector<std::string> contexts;
    const std::array<std::pair<std::uint64_t, std::string_view>, 5> all = {{{net_rx.inline_, "inline"},
                                                                            {net_rx.irq_exit, "irq exit"},
                                                                            {net_rx.ksoftirqd, "ksoftirqd"},
                                                                            {net_rx.other_cpu, "another CPU"},
                                                                            {net_rx.other, "other"}}};
    for (const auto &[count, name] : all)
        if (count != 0)
            contexts.push_back(fmt::format("{} {:.2f}", name, static_cast<double>(count) / transactions));
    auto backlogs = std::count_if(run.hops.begin(), run.hops.end(), [](const Hop &hop) {
        return hop.name.stage == Stage::backlog && hop.time.count() != 0;
    });
    return fmt::format("{:.2f} NET_RX runs a transaction ({}), which serve {} waits in a backlog",
                       static_cast<double>(net_rx.runs) / transactions, fmt::join(contexts, ", "), backlogs);
}

double mean_of_rounds(const Side &side, double Round::*value) {
    double sum = 0;
    for (const Round &round : side.rounds)
        sum += round.*value;
    return side.rounds.empty() ? 0 : sum / static_cast<double>(side.rounds.size());
}

double mean_of_rounds(const Side &side, Stage stage) {
    double sum = 0;
    for (const Round &round : side.rounds)
        if (auto found = round.stages.find(stage); found != round.stages.end())
            sum += found->second;
    return side.rounds.empty() ? 0 : sum / static_cast<double>(side.rounds.size());
}

std::span<const Delta> deltas_from_baseline(const CompareResult &result) {
    return std::span(result.deltas).first(result.sides.size() - 1);
}

std::vector<Stage> stages_of(const CompareResult &result) {
    std::vector<Stage> stages;
    for (const Delta &delta : deltas_from_baseline(result))
        for (const StageDelta &stage : delta.stages)
            stages.push_back(stage.stage);
    std::sort(stages.begin(), stages.end());
    stages.erase(std::unique(stages.begin(), stages.end()), stages.end());
    return stages;
}

const StageDelta *find_stage(const Delta &delta, Stage stage) {
    auto found = std::find_if(delta.stages.begin(), delta.stages.end(),
                              [stage](const StageDelta &one) { return one.stage == stage; });
    return found == delta.stages.end() ? nullptr : &*found;
}

bool is_certain(const StageDelta &stage) {
    constexpr double chance = 0.05;
    return stage.delta.excludes_zero() && stage.adjusted_p.value_or(1) < chance;
}

} // namespace vethtrace
