// SPDX-License-Identifier: GPL-2.0-only
#include "page/frame.hpp"
#include "page/page.hpp"
#include "report/json.hpp"
#include "report/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

constexpr double percent = 100;

// The stages' own table: a step a row, in the packet's order.
void draw_steps(Html &html, const Explanation &walk) {
    bool timed = walk.measured.has_value();
    std::vector<Column> columns = {{"step"}, {"stage"}, {"where, and who runs it"}, {"what happens"}};
    if (timed)
        columns.insert(columns.begin() + 2, {{"mean", true}, {"share", true}});
    draw_table(html, "cards", columns, [&](Html &into) {
        for (std::size_t i = 0; i < walk.steps.size(); ++i) {
            const ExplainedStep &step = walk.steps[i];
            const Passage &passage = step.passage;
            Html::Element row = into.open("tr");
            into.element("th", fmt::format("{}  {} -> {}", i + 1, name_of(passage.hop.from), name_of(passage.hop.to)),
                         {{"scope", "row"}});
            into.element("td", name_of(passage.hop.stage));
            if (timed) {
                into.element("td", step.time ? duration_text(step.time->mean_ns) : "-", {{"class", "number"}});
                into.element("td", step.time ? fmt::format("{:.0f} %", step.time->share * percent) : "-",
                             {{"class", "number"}});
            }
            into.element("td",
                         fmt::format("in {}{}; {}", passage.netns,
                                     passage.device.empty() ? "" : ", at device " + passage.device, passage.context));
            Html::Element cell = into.open("td");
            into.element("div", passage.what);
            into.element("code", functions_text(step));
        }
    });
}

void draw_walk(Html &html, const Explanation &walk) {
    Html::Element section = open_section(
        html, "walk",
        fmt::format("{}: {}, {} topology", name_of(walk.mode), row_of(walk.mode).summary, name_of(walk.topology)));
    if (walk.measured)
        paragraph(html, measured_text(*walk.measured));
    draw_steps(html, walk);
    paragraph(html, host_netfilter_text(walk));
    if (walk.netfilter)
        paragraph(html, counted_text(*walk.netfilter));
}

} // namespace

std::string to_page(const ExplainResult &result) {
    PageHead head{"explain",
                  "The way of a packet, as this kernel has it",
                  {"kernel " + result.environment.kernel, result.environment.arch},
                  result.environment.tool};
    auto body = [&](Html &html) {
        draw_verdict(html, result.valid, result.warnings);
        for (const Explanation &walk : result.walks)
            draw_walk(html, walk);
        draw_environment(html, result.environment);
    };
    return page_of(head, body, to_text(to_json(result), false), {&page_script});
}

} // namespace vethtrace
