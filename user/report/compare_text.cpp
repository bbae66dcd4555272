// SPDX-License-Identifier: GPL-2.0-only
#include "report/compare_words.hpp"

#include "core/units.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace vethtrace {

namespace {

constexpr int name_width = 18;
constexpr int value_width = 10;
constexpr int delta_width = 20;

// +0.75us, -12ns
std::string signed_text(double ns) {
    return (ns < 0 ? "-" : "+") + duration_text(std::abs(ns));
}
std::string signed_percent(double ratio) {
    return fmt::format("{:+.1f} %", ratio * percent);
}
constexpr NumberWords words_of_terminal = {duration_text, signed_text, signed_percent};

// 2.40us +-0.05us, with a star where a stage's difference is certain.
std::string delta_text(const Difference &delta, bool certain = false) {
    std::string text = signed_text(delta.mean);
    if (delta.half_width)
        text += fmt::format(" ±{}", duration_text(*delta.half_width));
    return text + (certain ? "*" : " ");
}

// fmt counts the two bytes of the plus-minus sign as one column, as terminals do.
std::string cell(const std::string &text, int width) {
    return fmt::format(" {:>{}}", text, width);
}

std::string heading(const CompareResult &result) {
    const Side &baseline = result.sides.front();
    const LoadResult &load = baseline.run.load;
    std::vector<std::string> labels;
    for (const Side &side : result.sides)
        labels.push_back(side.label);
    return fmt::format(
        "vethtrace {}  compare {}  {} topology  TCP_RR {}/{} byte, {} flow{}  kernel {}  {} rounds of {} "
        "traced and untraced, seed {}",
        result.environment.tool, fmt::join(labels, ", "), name_of(result.topology), load.request_bytes,
        load.response_bytes, load.flows, load.flows == 1 ? "" : "s", result.environment.kernel, result.rounds,
        duration_text(static_cast<double>(load.duration_ns) /
                      static_cast<double>(std::max<std::uint64_t>(result.rounds, 1))),
        result.plan.seed);
}

std::string stage_row(const CompareResult &result, Stage stage) {
    std::string row = fmt::format(" {:<{}}", name_of(stage), name_width);
    std::optional<double> of_baseline;
    std::string cells;
    for (const Delta &delta : deltas_from_baseline(result)) {
        const StageDelta *found = find_stage(delta, stage);
        if (found != nullptr && found->against_ns)
            of_baseline = found->against_ns;
        // In neither: the stage is some other mode's.
        bool nowhere = found == nullptr || (!found->mode_ns && !found->against_ns);
        cells += cell(nowhere ? "- " : delta_text(found->delta, is_certain(*found)), delta_width);
    }
    return row + cell(of_baseline ? duration_text(*of_baseline) : "-", value_width) + cells + "\n";
}

std::string sum_row(const CompareResult &result, const std::string &name, double Round::*value,
                    Difference Delta::*difference) {
    std::string row = fmt::format(" {:<{}}", name, name_width) +
                      cell(duration_text(mean_of_rounds(result.sides.front(), value)), value_width);
    for (const Delta &delta : deltas_from_baseline(result))
        row += cell(delta_text(delta.*difference), delta_width);
    return row + "\n";
}

std::string table(const CompareResult &result, const TextStyle &style) {
    std::string head = fmt::format(" {:<{}}", "stage", name_width) + cell(result.sides.front().label, value_width);
    for (const Delta &delta : deltas_from_baseline(result))
        head += cell(fmt::format("{} - {} ", delta.mode, delta.against), delta_width);
    std::string out = painted(head, Tone::strong, style) + "\n";
    for (Stage stage : stages_of(result))
        out += stage_row(result, stage);
    out += sum_row(result, "= all stages", &Round::corrected_sum_ns, &Delta::corrected);
    std::string unexplained = fmt::format(" {:<{}}", "+ unexplained", name_width) +
                              cell(duration_text(mean_of_rounds(result.sides.front(), &Round::untraced_rtt_ns) -
                                                 mean_of_rounds(result.sides.front(), &Round::corrected_sum_ns)),
                                   value_width);
    for (const Delta &delta : deltas_from_baseline(result))
        unexplained += cell(delta_text(delta.unexplained), delta_width);
    out += unexplained + "\n";
    out += painted(sum_row(result, "= RTT, untraced", &Round::untraced_rtt_ns, &Delta::rtt), Tone::strong, style);
    out += sum_row(result, "  RTT, traced", &Round::traced_rtt_ns, &Delta::traced);
    return out +
           painted(fmt::format(
                       " {:<{}}  means of {} rounds, without the cost of tracing; ±: 95 %, over all looks; *: certain "
                       "with regard to the number of stages (Holm)\n",
                       "", name_width, result.rounds),
                   Tone::dim, style);
}

// ---- bars

char letter_of(Stage stage) {
    constexpr std::string_view letters = "sgqdbGBfuwprka?"; // in the order of the enumeration
    return letters.at(static_cast<std::size_t>(stage));
}

// Each stage has its share of the bar; what is cut off by rounding goes to the next one.
std::string bar_of(const Side &side, double ns_per_column, const std::vector<Stage> &stages, const TextStyle &style) {
    std::string out;
    double until = 0;
    long drawn = 0;
    for (std::size_t i = 0; i < stages.size(); ++i) {
        until += std::max(0.0, mean_of_rounds(side, stages[i]));
        long end = std::lround(until / ns_per_column);
        if (end > drawn)
            out += painted(std::string(static_cast<std::size_t>(end - drawn), letter_of(stages[i])),
                           i % 2 == 0 ? Tone::bar : Tone::plain, style);
        drawn = std::max(drawn, end);
    }
    return out;
}

std::string bars(const CompareResult &result, const TextStyle &style) {
    constexpr int beside = name_width + 12;
    constexpr int widest = 100;
    constexpr int narrowest = 20;
    std::vector<Stage> stages = stages_of(result);
    double longest = 0;
    for (const Side &side : result.sides)
        longest = std::max(longest, mean_of_rounds(side, &Round::corrected_sum_ns));
    if (!(longest > 0))
        return "";
    double ns_per_column = longest / std::clamp(style.width - beside, narrowest, widest);
    std::string out = "\n";
    for (const Side &side : result.sides)
        out += fmt::format(" {:<{}} {} {}\n", side.label, name_width, bar_of(side, ns_per_column, stages, style),
                           duration_text(mean_of_rounds(side, &Round::corrected_sum_ns)));
    std::vector<std::string> legend(stages.size());
    std::transform(stages.begin(), stages.end(), legend.begin(),
                   [](Stage stage) { return fmt::format("{} {}", letter_of(stage), name_of(stage)); });
    return out + painted(fmt::format(" {:<{}} {}\n", "", name_width, fmt::join(legend, ", ")), Tone::dim, style);
}

// ---- words

std::string softirq_lines(const CompareResult &result) {
    std::string out = "\n";
    for (const Side &side : result.sides)
        out += fmt::format(" {:<{}} {}\n", side.label, name_width, softirq_sentence(side.run));
    return out;
}

std::string verdict_line(const Delta &delta, const TextStyle &style) {
    VerdictSentence sentence = verdict_of(delta, words_of_terminal);
    return painted(sentence.claim, Tone::strong, style) + sentence.rest + "\n";
}

// A sentence for each stage that matters, and what the kernel does there, once for all.
class StageSentences {
public:
    explicit StageSentences(const TextStyle &style) : style_(style) {}

    std::string of(const Delta &delta) {
        constexpr std::size_t indentation = 11;
        std::string out;
        for (const StageSentence &sentence : stages_that_matter(delta, words_of_terminal)) {
            out += fmt::format("  {:>8} {}\n", sentence.change, sentence.rest);
            if (described_.insert(sentence.stage).second)
                out += painted(wrapped(description_of(sentence.stage), indentation, style_), Tone::dim, style_);
        }
        return out;
    }

private:
    const TextStyle &style_;
    std::set<Stage> described_;
};

std::string words(const CompareResult &result, const TextStyle &style) {
    std::string out = "\n";
    StageSentences stages(style);
    for (const Delta &delta : deltas_from_baseline(result)) {
        out += verdict_line(delta, style);
        if (delta.verdict != Verdict::indistinguishable)
            out += stages.of(delta);
    }
    for (const Delta &delta : std::span(result.deltas).subspan(result.sides.size() - 1))
        out += verdict_line(delta, style);
    return out;
}

// ---- two stored results

std::string optional_text(const std::optional<double> &ns) {
    return ns ? duration_text(*ns) : "-";
}

std::string diff_table(const Delta &delta, const TextStyle &style) {
    auto row = [](std::string_view name, const std::string &before, const std::string &after,
                  const std::string &change) {
        return fmt::format(" {:<{}}", name, name_width) + cell(before, value_width) + cell(after, value_width) +
               cell(change, delta_width) + "\n";
    };
    std::string out = painted(row("stage", "before", "after", "after - before "), Tone::strong, style);
    for (const StageDelta &stage : delta.stages)
        out += row(name_of(stage.stage), optional_text(stage.against_ns), optional_text(stage.mode_ns),
                   delta_text(stage.delta));
    return out + painted(row("= RTT, untraced", duration_text(delta.against_rtt_ns),
                             duration_text(delta.against_rtt_ns + delta.rtt.mean), delta_text(delta.rtt)),
                         Tone::strong, style);
}

} // namespace

std::string to_text(const CompareResult &result, const TextStyle &style) {
    std::string out;
    if (style.verbosity >= 0) {
        out += painted(heading(result), Tone::strong, style) + "\n";
        out += table(result, style);
        out += bars(result, style);
        TextStyle in_full = style; // what makes figures unstable matters here
        in_full.verbosity = std::max(in_full.verbosity, 1);
        out += softirq_lines(result) + machine_line(result.environment, in_full);
    }
    out += words(result, style);
    if (!result.valid)
        out += painted("This result is not valid:", Tone::bad, style) + "\n";
    for (const std::string &warning : result.warnings)
        out += painted("  ! ", Tone::bad, style) + warning + "\n";
    return out;
}

std::string to_text(const DiffResult &result, const TextStyle &style) {
    std::string out;
    StageSentences stages(style);
    for (const Delta &delta : result.deltas) {
        if (style.verbosity >= 0)
            out += diff_table(delta, style);
        out += verdict_line(delta, style);
        if (delta.verdict != Verdict::indistinguishable)
            out += stages.of(delta);
        out += style.verbosity >= 0 ? "\n" : "";
    }
    if (result.allowed)
        out += result.over.empty()
                   ? painted(fmt::format("No round trip grew by more than {:.3g} %.", *result.allowed * percent),
                             Tone::good, style)
                   : painted(fmt::format("MORE THAN ALLOWED: the round trip of {} grew by more than {:.3g} %.",
                                         fmt::join(result.over, ", "), *result.allowed * percent),
                             Tone::bad, style);
    out += result.allowed ? "\n" : "";
    for (const std::string &warning : result.warnings)
        out += painted("  ! ", Tone::bad, style) + warning + "\n";
    return out;
}

} // namespace vethtrace
