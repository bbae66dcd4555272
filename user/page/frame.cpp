// SPDX-License-Identifier: GPL-2.0-only
#include "page/frame.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

// A way down, a turn and a way up, as in the picture of a run.
constexpr const char *icon =
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath "
    "d='M4 2v8a4 4 0 0 0 8 0V2' fill='none' stroke='%230b7285' stroke-width='3'/%3E%3C/svg%3E";

std::string policy(const std::vector<const Asset *> &scripts) {
    std::vector<std::string> sources(scripts.size());
    std::transform(scripts.begin(), scripts.end(), sources.begin(),
                   [](const Asset *one) { return policy_source(*one); });
    return fmt::format(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        fmt::join(sources, " "), policy_source(style_sheet));
}

void draw_head(Html &html, const PageHead &head, const std::vector<const Asset *> &scripts) {
    Html::Element element = html.open("head");
    html.single("meta", {{"charset", "utf-8"}});
    html.single("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", policy(scripts)}});
    html.single("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    html.single("meta", {{"name", "referrer"}, {"content", "no-referrer"}});
    html.single("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
    html.single("meta", {{"name", "generator"}, {"content", "vethtrace " + head.tool}});
    html.element("title", fmt::format("{} \u00B7 vethtrace", head.kind));
    html.single("link", {{"rel", "icon"}, {"href", icon}});
    html.style(style_sheet);
}

void draw_header(Html &html, const PageHead &head) {
    Html::Element header = html.open("header");
    html.element("p", "vethtrace", {{"class", "brand"}});
    html.element("h1", head.heading);
    Html::Element facts = html.open("ul", {{"class", "facts"}});
    for (const std::string &fact : head.facts)
        html.element("li", fact);
}

void draw_footer(Html &html, const PageHead &head) {
    Html::Element footer = html.open("footer");
    html.element(
        "span", fmt::format("Made by vethtrace {}. The page holds all that it shows, and asks no network.", head.tool));
    if (head.has_file)
        html.element("button", "Save the data as JSON", {{"id", "save"}, {"type", "button"}, {"class", "scripted"}});
}

} // namespace

std::string page_of(const PageHead &head, const std::function<void(Html &)> &body, std::string_view json,
                    const std::vector<const Asset *> &scripts) {
    Html html;
    html.doctype();
    {
        Html::Element document = html.open("html", {{"lang", "en"}});
        draw_head(html, head, scripts);
        Html::Element element = html.open("body");
        draw_header(html, head);
        {
            Html::Element main = html.open("main");
            body(html);
        }
        draw_footer(html, head);
        html.data("result", json);
        for (const Asset *script : scripts)
            html.script(*script);
    }
    return html.take();
}

void draw_verdict(Html &html, bool valid, const std::vector<std::string> &warnings) {
    if (!valid)
        draw_notices(html, Tint::bad, "This result is not valid.", warnings);
    else if (!warnings.empty())
        draw_notices(html, Tint::plain, "This result is valid. To be known about it:", warnings);
}

void draw_notices(Html &html, Tint tint, const std::string &heading, const std::vector<std::string> &notices) {
    const char *kind = tint == Tint::bad ? "notice bad" : tint == Tint::good ? "notice good" : "notice";
    Html::Element notice = html.open("div", {{"class", kind}, {"role", "note"}});
    html.element("strong", heading);
    if (notices.empty())
        return;
    Html::Element list = html.open("ul");
    for (const std::string &text : notices)
        html.element("li", text);
}

Html::Element open_section(Html &html, Literal id, const std::string &title) {
    Html::Element section = html.open("section", {{"id", std::string(id.text())}});
    html.element("h2", title);
    return section;
}

void paragraph(Html &html, const std::string &text) {
    html.element("p", text);
}

void draw_chart(Html &html, Literal id, const std::string &caption) {
    Html::Element figure = html.open("figure", {{"class", "chart scripted"}});
    {
        Html::Element frame = html.open("div", {{"class", "canvas"}});
        html.element("canvas", "", {{"id", std::string(id.text())}, {"role", "img"}, {"aria-label", caption}});
    }
    html.element("figcaption", caption);
}

void draw_tiles(Html &html, const std::vector<Tile> &tiles) {
    Html::Element list = html.open("dl", {{"class", "tiles"}});
    for (const Tile &tile : tiles) {
        Html::Element one = html.open("div");
        html.element("dt", tile.name);
        html.element("dd", tile.value, {{"class", "value"}});
        html.element("dd", tile.below);
    }
}

void draw_table(Html &html, Literal kind, const std::vector<Column> &columns, const std::function<void(Html &)> &rows) {
    Html::Element table = html.open("table", {{"class", std::string(kind.text())}});
    {
        Html::Element head = html.open("thead");
        Html::Element row = html.open("tr");
        for (const Column &column : columns)
            html.element("th", column.name, {{"scope", "col"}, {"class", column.is_number ? "number" : "text"}});
    }
    Html::Element body = html.open("tbody");
    rows(html);
}

void draw_pairs(Html &html, const std::vector<std::pair<std::string, std::string>> &pairs) {
    Html::Element list = html.open("dl", {{"class", "pairs"}});
    for (const auto &[name, value] : pairs) {
        html.element("dt", name);
        html.element("dd", value);
    }
}

void draw_environment(Html &html, const Environment &environment) {
    Html::Element section = open_section(html, "machine", "The machine");
    std::vector<std::string> unstable = unstable_settings(environment);
    if (!unstable.empty())
        draw_notices(html, Tint::plain, "What makes figures differ from run to run here:", unstable);
    std::vector<std::pair<std::string, std::string>> pairs = {
        {"kernel", fmt::format("{}, {}", environment.kernel, environment.arch)},
        {"CPUs", fmt::format("{}, {}", environment.cpus, environment.cpu_model.value_or("of an unknown model"))},
        {"clocksource", environment.clocksource}};
    auto add = [&](const char *name, const std::optional<std::string> &value) {
        if (value)
            pairs.emplace_back(name, *value);
    };
    add("virtualization", environment.virtualization);
    add("lockdown", environment.lockdown);
    add("frequency governor", environment.governor);
    if (environment.idle_states)
        pairs.emplace_back("idle states", environment.idle_states->empty()
                                              ? "none"
                                              : fmt::format("{}", fmt::join(*environment.idle_states, ", ")));
    add("SMT", environment.smt);
    if (environment.network) {
        add("congestion control", environment.network->congestion_control);
        add("RPS default mask", environment.network->rps_default_mask);
        auto state = [](const std::optional<bool> &on) { return !on ? "?" : *on ? "on" : "off"; };
        for (const DeviceSettings &device : environment.network->devices)
            pairs.emplace_back("device " + device.name,
                               fmt::format("qdisc {}, GRO {}, GSO {}, TSO {}", device.qdisc.value_or("?"),
                                           state(device.gro), state(device.gso), state(device.tso)));
    }
    if (environment.mitigations) {
        std::vector<std::string> all;
        for (const auto &[name, text] : *environment.mitigations)
            all.push_back(fmt::format("{}: {}", name, text));
        pairs.emplace_back("mitigations", all.empty() ? "none" : fmt::format("{}", fmt::join(all, "; ")));
    }
    pairs.emplace_back("vethtrace", fmt::format("{}, libbpf {}", environment.tool, environment.libbpf));
    draw_pairs(html, pairs);
}

} // namespace vethtrace
