// SPDX-License-Identifier: GPL-2.0-only
#include "page/figures.hpp"
#include "page/frame.hpp"
#include "page/page.hpp"
#include "report/json.hpp"
#include "report/style.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

std::string to_page(const RrResult &result) {
    const LoadResult &load = result.load;
    PageHead head{"TCP_RR to " + result.server,
                  "Round trips to " + result.server,
                  {fmt::format("TCP_RR {}/{} byte", load.request_bytes, load.response_bytes),
                   fmt::format("{} flow{}", load.flows, load.flows == 1 ? "" : "s"),
                   count_text(load.transactions) + " transactions", "kernel " + result.environment.kernel},
                  result.environment.tool};
    auto body = [&](Html &html) {
        if (result.interrupted)
            draw_notices(html, Tint::plain, "It was interrupted: there are fewer transactions than were asked for.",
                         {});
        {
            Html::Element section = open_section(html, "rtt", "Round trips");
            draw_chart(html, "histogram", "How many transactions took how long; both axes are logarithmic.");
            draw_table(html, "cards", {{""}, {"n", true}, {"mean", true}, {"p50", true}, {"p99", true}, {"max", true}},
                       [&](Html &into) {
                           Html::Element row = into.open("tr");
                           into.element("th", "round trip", {{"scope", "row"}});
                           distribution_cells(into, load.rtt);
                       });
        }
        draw_environment(html, result.environment);
    };
    return page_of(head, body, to_text(to_json(result), false),
                   {&page_script, &charts_library, &charts_script, &run_script});
}

} // namespace vethtrace
