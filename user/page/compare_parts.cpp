// SPDX-License-Identifier: GPL-2.0-only
#include "page/compare_parts.hpp"

#include "page/figures.hpp"
#include "page/frame.hpp"

#include <fmt/format.h>

namespace vethtrace {

namespace {

std::string signed_percent(double ratio) {
    return (ratio > 0 ? "+" : "") + percent_text(ratio);
}
constexpr NumberWords words_of_page = {time_text, change_text, signed_percent};

} // namespace

void draw_verdict_sentence(Html &html, const Delta &delta) {
    VerdictSentence sentence = verdict_of(delta, words_of_page);
    Html::Element paragraph = html.open("p", {{"class", fmt::format("verdict {}", name_of(delta.verdict))}});
    html.element("strong", sentence.claim);
    html.text(sentence.rest);
}

void draw_delta_words(Html &html, const Delta &delta, std::set<Stage> &described) {
    draw_verdict_sentence(html, delta);
    if (delta.verdict == Verdict::indistinguishable)
        return;
    Html::Element list = html.open("ul", {{"class", "matters"}});
    for (const StageSentence &sentence : stages_that_matter(delta, words_of_page)) {
        Html::Element item = html.open("li", {{"class", fmt::format("stage-{}", name_of(sentence.stage))}});
        html.element("strong", sentence.change, {{"class", "number"}});
        html.text(" " + sentence.rest);
        if (described.insert(sentence.stage).second)
            html.element("p", std::string(description_of(sentence.stage)));
    }
}

void difference_cell(Html &html, const std::string &label, const Difference &delta, bool certain) {
    Html::Element cell = html.open("td", {{"class", certain ? "number certain" : "number"}, {"data-label", label}});
    change_figure(html, delta.mean);
    if (delta.half_width)
        html.element("span", fmt::format(" \u00B1{}", time_text(*delta.half_width)), {{"class", "interval"}});
    html.element("span", certain ? "\u2217" : "", {{"class", "star"}});
}

void draw_difference_charts(Html &html, std::span<const Delta> deltas) {
    Html::Element grid = html.open("div", {{"class", "side-by-side even scripted"}});
    for (std::size_t i = 0; i < deltas.size(); ++i) {
        Html::Element figure = html.open("figure", {{"class", "chart"}});
        std::string caption = fmt::format("{} \u2212 {}", deltas[i].mode, deltas[i].against);
        html.element("h3", caption);
        Html::Element frame = html.open("div", {{"class", "canvas"}});
        html.element("canvas", "", {{"id", fmt::format("difference-{}", i)}, {"role", "img"}, {"aria-label", caption}});
    }
}

} // namespace vethtrace
