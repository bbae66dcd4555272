// SPDX-License-Identifier: GPL-2.0-only
#include "page/compare_parts.hpp"
#include "page/figures.hpp"
#include "page/frame.hpp"
#include "page/page.hpp"
#include "page/run_parts.hpp"
#include "report/json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

// What was allowed, and whether it was kept.
void draw_gate(Html &html, const DiffResult &result) {
    if (!result.allowed)
        return;
    std::string limit = percent_text(*result.allowed);
    if (result.over.empty())
        draw_notices(html, Tint::good, fmt::format("No round trip grew by more than {}.", limit), {});
    else
        draw_notices(html, Tint::bad,
                     fmt::format("More than allowed: the round trip of {} grew by more than {}.",
                                 fmt::join(result.over, ", "), limit),
                     {});
}

void draw_delta_table(Html &html, const Delta &delta) {
    draw_table(html, "cards sums", {{"stage"}, {"before", true}, {"after", true}, {"after \u2212 before", true}},
               [&](Html &into) {
                   for (const StageDelta &stage : delta.stages) {
                       Html::Element row = into.open("tr");
                       {
                           Html::Element cell = into.open("th", {{"scope", "row"}});
                           draw_stage(into, stage.stage);
                       }
                       time_cell(into, "before", stage.against_ns);
                       time_cell(into, "after", stage.mode_ns);
                       difference_cell(into, "after \u2212 before", stage.delta, is_certain(stage));
                   }
                   Html::Element row = into.open("tr", {{"class", "sum"}});
                   into.element("th", "= round trip, untraced", {{"scope", "row"}});
                   time_cell(into, "before", std::optional(delta.against_rtt_ns));
                   time_cell(into, "after", std::optional(delta.against_rtt_ns + delta.rtt.mean));
                   difference_cell(into, "after \u2212 before", delta.rtt, false);
               });
}

} // namespace

std::string to_page(const DiffResult &result) {
    PageHead head{
        "diff", "What changed", {"before: " + result.before, "after: " + result.after}, result.environment.tool};
    auto body = [&](Html &html) {
        draw_gate(html, result);
        if (!result.warnings.empty())
            draw_notices(html, Tint::plain, "To be known about it:", result.warnings);
        {
            Html::Element section = open_section(html, "verdict", "What it comes to");
            std::set<Stage> described;
            for (const Delta &delta : result.deltas)
                draw_delta_words(html, delta, described);
        }
        {
            Html::Element section = open_section(html, "differences", "Differences");
            paragraph(
                html,
                "Stage by stage, with 95 % intervals where there are rounds enough for one. Pale: it could be chance.");
            draw_difference_charts(html, result.deltas);
        }
        Html::Element section = open_section(html, "stages", "Stages");
        for (const Delta &delta : result.deltas) {
            html.element("h3", fmt::format("{} \u2212 {}", delta.mode, delta.against));
            draw_delta_table(html, delta);
        }
    };
    return page_of(head, body, to_text(to_json(result), false),
                   {&page_script, &charts_library, &charts_script, &compare_script});
}

} // namespace vethtrace
