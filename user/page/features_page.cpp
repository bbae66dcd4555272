// SPDX-License-Identifier: GPL-2.0-only
#include "page/frame.hpp"
#include "page/page.hpp"
#include "report/json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

std::string to_page(const std::vector<Choice> &choices, const Environment &environment) {
    PageHead head{"features",
                  "Which hooks this kernel allows",
                  {"kernel " + environment.kernel, environment.arch},
                  environment.tool};
    auto body = [&](Html &html) {
        {
            Html::Element section = open_section(html, "hooks", "Hook ladders");
            paragraph(html,
                      "For each place the ways to see packets there, from the best one down. The first that the kernel "
                      "allows is used.");
            draw_table(html, "cards", {{"place"}, {"what it sees"}, {"hook"}, {"tried"}}, [&](Html &into) {
                for (const Choice &choice : choices) {
                    Html::Element row = into.open("tr");
                    into.element("th", choice.ladder.name, {{"scope", "row"}});
                    into.element("td", choice.ladder.purpose);
                    into.element("td", choice.used ? choice.used->text() : "no hook",
                                 {{"class", choice.used ? "good" : "bad"}});
                    Html::Element cell = into.open("td", {{"class", "refused"}});
                    for (const Attempt &attempt : choice.tried)
                        into.element("div", fmt::format("{}: {}", attempt.rung.text(), attempt.result));
                }
            });
        }
        draw_environment(html, environment);
    };
    return page_of(head, body, to_text(to_json(choices, environment), false), {&page_script});
}

} // namespace vethtrace
