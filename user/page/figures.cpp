// SPDX-License-Identifier: GPL-2.0-only
#include "page/figures.hpp"

#include "core/units.hpp"
#include "report/distribution.hpp"
#include "report/style.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace vethtrace {

namespace {

constexpr const char *no_break = "\u00A0";
constexpr const char *minus = "\u2212";
constexpr double visible = 0.5; // ns; less is written as 0
constexpr const char *dash = "\u2013";

// "1.97us" with a space between, and the letter for micro.
std::string with_space(const std::string &text) {
    auto unit = std::find_if(text.begin(), text.end(), [](char letter) { return letter >= 'a' && letter <= 'z'; });
    std::string number(text.begin(), unit);
    std::string name(unit, text.end());
    return number + no_break + (name == "us" ? "µs" : name);
}

std::optional<double> real(const std::optional<Nanoseconds> &ns) {
    return ns ? std::optional(static_cast<double>(*ns)) : std::nullopt;
}

template<typename ToText>
void figure(Html &html, const std::optional<double> &value, ToText text) {
    if (value)
        html.element("data", text(*value), {{"value", fmt::format("{}", rounded(*value))}});
    else
        html.text(dash);
}

} // namespace

std::string time_text(double ns) {
    std::string text = with_space(duration_text(std::abs(ns)));
    return ns <= -visible ? minus + text : text;
}

std::string change_text(double ns) {
    return ns >= visible ? "+" + time_text(ns) : time_text(ns);
}

std::string percent_text(double ratio) {
    if (!std::isfinite(ratio))
        return dash;
    return fmt::format("{}{:.1f}{}%", ratio < 0 ? minus : "", std::abs(ratio) * percent, no_break);
}

std::string unbroken(std::string text) {
    constexpr std::string_view apart = " %";
    for (std::size_t at = text.find(apart); at != std::string::npos; at = text.find(apart, at))
        text.replace(at, 1, no_break);
    return text;
}

std::string px(double length) {
    constexpr double decimals = 10;
    return fmt::format("{}", std::round(length * decimals) / decimals);
}

void time_figure(Html &html, const std::optional<double> &ns) {
    figure(html, ns, time_text);
}

void change_figure(Html &html, const std::optional<double> &ns) {
    figure(html, ns, change_text);
}

void count_figure(Html &html, std::uint64_t count) {
    html.element("data", count_text(count), {{"value", std::to_string(count)}});
}

void time_cell(Html &html, const std::string &label, const std::optional<double> &ns) {
    Html::Element cell = html.open("td", {{"class", "number"}, {"data-label", label}});
    time_figure(html, ns);
}

void time_cell(Html &html, const std::string &label, const std::optional<Nanoseconds> &ns) {
    time_cell(html, label, real(ns));
}

void time_cell(Html &html, const std::string &label, double ns) {
    time_cell(html, label, std::optional(ns));
}

void count_cell(Html &html, const std::string &label, std::uint64_t count) {
    Html::Element cell = html.open("td", {{"class", "number"}, {"data-label", label}});
    count_figure(html, count);
}

} // namespace vethtrace
