// SPDX-License-Identifier: GPL-2.0-only
#include "page/compare_parts.hpp"

#include "page/figures.hpp"
#include "page/frame.hpp"
#include "page/page.hpp"
#include "page/run_parts.hpp"
#include "page/way_picture.hpp"
#include "report/json.hpp"
#include "report/style.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>

namespace vethtrace {

namespace {

std::vector<std::string> labels_in(const CompareResult &result) {
    std::vector<std::string> labels;
    for (const Side &side : result.sides)
        labels.push_back(side.label);
    return labels;
}

void draw_verdicts(Html &html, const CompareResult &result) {
    Html::Element section = open_section(html, "verdict", "What it comes to");
    std::set<Stage> described;
    for (const Delta &delta : deltas_from_baseline(result))
        draw_delta_words(html, delta, described);
    for (const Delta &delta : std::span(result.deltas).subspan(result.sides.size() - 1))
        draw_verdict_sentence(html, delta);
}

void stage_row(Html &html, const CompareResult &result, Stage stage) {
    Html::Element row = html.open("tr");
    {
        Html::Element cell = html.open("th", {{"scope", "row"}});
        draw_stage(html, stage);
    }
    std::optional<double> of_baseline;
    for (const Delta &delta : deltas_from_baseline(result))
        if (const StageDelta *found = find_stage(delta, stage); found != nullptr && found->against_ns)
            of_baseline = found->against_ns;
    time_cell(html, result.sides.front().label, of_baseline);
    for (const Delta &delta : deltas_from_baseline(result)) {
        const StageDelta *found = find_stage(delta, stage);
        bool nowhere = found == nullptr || (!found->mode_ns && !found->against_ns);
        std::string name = fmt::format("{} \u2212 {}", delta.mode, delta.against);
        if (nowhere)
            html.element("td", "\u2013", {{"class", "number"}, {"data-label", name}});
        else
            difference_cell(html, name, found->delta, is_certain(*found));
    }
}

void sum_row(Html &html, const CompareResult &result, Literal kind, const std::string &name, double of_baseline,
             Difference Delta::*difference) {
    Html::Element row = html.open("tr", {{"class", std::string(kind.text())}});
    html.element("th", name, {{"scope", "row"}});
    time_cell(html, result.sides.front().label, of_baseline);
    for (const Delta &delta : deltas_from_baseline(result))
        difference_cell(html, fmt::format("{} \u2212 {}", delta.mode, delta.against), delta.*difference, false);
}

void draw_stage_table(Html &html, const CompareResult &result) {
    const Side &baseline = result.sides.front();
    std::vector<Column> columns = {{"stage"}, {baseline.label, true}};
    for (const Delta &delta : deltas_from_baseline(result))
        columns.push_back({fmt::format("{} \u2212 {}", delta.mode, delta.against), true});
    draw_table(html, "cards sums", columns, [&](Html &into) {
        for (Stage stage : stages_of(result))
            stage_row(into, result, stage);
        double sum = mean_of_rounds(baseline, &Round::corrected_sum_ns);
        double untraced = mean_of_rounds(baseline, &Round::untraced_rtt_ns);
        sum_row(into, result, "sum", "= all stages", sum, &Delta::corrected);
        sum_row(into, result, "", "+ unexplained", untraced - sum, &Delta::unexplained);
        sum_row(into, result, "sum", "= round trip, untraced", untraced, &Delta::rtt);
        sum_row(into, result, "", "round trip, traced", mean_of_rounds(baseline, &Round::traced_rtt_ns),
                &Delta::traced);
    });
    html.element(
        "p",
        fmt::format("Means of {} rounds, without the cost of tracing. \u00B1: 95 %, over all looks. \u2217: certain "
                    "with regard to the number of stages (Holm).",
                    result.rounds),
        {{"class", "hint"}});
}

void draw_stages(Html &html, const CompareResult &result) {
    Html::Element section = open_section(html, "stages", "Stages side by side");
    draw_chart(html, "sides",
               "A round trip of each mode, stage by stage, without the cost of tracing; hatched is what the "
               "stages leave of the untraced round trip, which the lozenge marks. Left of 0 lies what noise "
               "took below nothing.");
    draw_stage_table(html, result);
}

void draw_differences(Html &html, const CompareResult &result) {
    Html::Element section = open_section(html, "differences", "Differences");
    paragraph(
        html,
        fmt::format("From {}, stage by stage, with intervals that together hold with 95 %. Pale: it could be chance.",
                    result.sides.front().label));
    draw_difference_charts(html, deltas_from_baseline(result));
}

void draw_rounds(Html &html, const CompareResult &result) {
    Html::Element section = open_section(html, "rounds", "Rounds");
    paragraph(html,
              "Rounds of all modes take turns at the same time, each in a lab of its own. Differences are taken within "
              "a block, so what the machine does meanwhile hits all of them.");
    draw_chart(html, "blocks", "Mean untraced round trip of each round.");
    draw_pairs(html,
               {{"rounds", fmt::format("{} of at most {}", result.rounds, result.plan.rounds)},
                {"seed", std::to_string(result.plan.seed)},
                {"level of the intervals", percent_text(result.level)},
                {"precision asked for", fmt::format("{} of the round trip, {}", percent_text(result.plan.precision),
                                                    result.precise ? "reached" : "not reached")},
                {"matters from", percent_text(result.plan.threshold) + " of the round trip on"}});
}

void draw_modes(Html &html, const CompareResult &result) {
    Html::Element section = open_section(html, "ways", "The ways");
    paragraph(html,
              "Of each mode, over all its rounds; times are means of a transaction, the cost of tracing included.");
    double longest = 0;
    for (const Side &side : result.sides)
        longest = std::max(longest, longest_hop_ns(side.run));
    Html::Element grid = html.open("div", {{"class", "gallery"}});
    for (const Side &side : result.sides) {
        Html::Element one = html.open("div");
        html.element("h3", side.label);
        html.element("p", softirq_sentence(side.run) + ".", {{"class", "hint"}});
        draw_small_way(html, side.run, longest);
    }
}

} // namespace

std::string to_page(const CompareResult &result) {
    std::vector<std::string> labels = labels_in(result);
    std::vector<std::string> facts = facts_of(result.sides.front().run.load);
    facts.pop_back(); // the transactions of one mode
    facts.insert(facts.begin(), fmt::format("{} topology", name_of(result.topology)));
    facts.push_back(fmt::format("{} rounds", result.rounds));
    facts.push_back("kernel " + result.environment.kernel);
    PageHead head{fmt::format("compare {}", fmt::join(labels, ", ")),
                  fmt::format("Which stage makes the difference: {}", fmt::join(labels, ", ")), std::move(facts),
                  result.environment.tool};
    auto body = [&](Html &html) {
        draw_verdict(html, result.valid, result.warnings);
        draw_verdicts(html, result);
        draw_stages(html, result);
        draw_differences(html, result);
        draw_rounds(html, result);
        draw_modes(html, result);
        draw_environment(html, result.environment);
    };
    return page_of(head, body, to_text(to_json(result), false),
                   {&page_script, &charts_library, &charts_script, &compare_script});
}

} // namespace vethtrace
