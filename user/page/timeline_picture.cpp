// SPDX-License-Identifier: GPL-2.0-only
#include "page/timeline_picture.hpp"

#include "page/figures.hpp"
#include "page/frame.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace vethtrace {

namespace {

constexpr double row_height = 38;
constexpr double name_height = 18; // the upper part of a row
constexpr double piece_height = 14;
constexpr double thinnest_bar = 0.3; // percent: what is shorter is seen all the same
constexpr double all = 100;

std::string task_text(const std::string &comm, std::uint32_t pid) {
    return pid == 0 ? comm : fmt::format("{} ({})", comm, pid);
}

std::string row_name(const Moment &moment) {
    return fmt::format("CPU {}  {}", moment.cpu, moment.task);
}

Nanoseconds since_before(const std::vector<Moment> &moments, std::size_t i) {
    return i == 0 || moments[i].since_first < moments[i - 1].since_first
               ? 0
               : moments[i].since_first - moments[i - 1].since_first;
}

std::string what_ended(const Moment &moment) {
    return moment.stage.empty() ? "to " + moment.station : moment.stage;
}

void draw_picture(Html &html, const std::vector<Moment> &moments, const MomentLayout &layout) {
    Html::Element svg = html.open("svg", {{"class", "moments"},
                                          {"width", "100%"},
                                          {"height", px(layout.height)},
                                          {"role", "img"},
                                          {"aria-label", "What happened when, by CPU"}});
    for (const MomentLayout::Row &row : layout.rows) {
        html.element("text", row.name, {{"class", "row-name"}, {"x", "0"}, {"y", px(row.y - 5)}});
        html.shape("rect",
                   {{"class", "row"}, {"x", "0"}, {"y", px(row.y)}, {"width", "100%"}, {"height", px(piece_height)}});
    }
    for (const MomentLayout::Piece &piece : layout.pieces) {
        const Moment &moment = moments[piece.moment];
        Html::Element group = html.open("g");
        html.element("title", fmt::format("{}: {}, until {} at {}", what_ended(moment),
                                          time_text(static_cast<double>(since_before(moments, piece.moment))),
                                          moment.station, time_text(static_cast<double>(moment.since_first))));
        html.shape("rect", {{"class", "piece stage-" + (moment.stage.empty() ? "unforeseen" : moment.stage)},
                            {"x", fmt::format("{:.3f}%", piece.x)},
                            {"y", px(piece.y)},
                            {"width", fmt::format("{:.3f}%", piece.width)},
                            {"height", px(piece_height)}});
    }
    double bottom = layout.height - 4;
    html.element("text", "0", {{"class", "axis"}, {"x", "0"}, {"y", px(bottom)}});
    html.element("text", time_text(static_cast<double>(moments.back().since_first)),
                 {{"class", "axis end"}, {"x", "100%"}, {"y", px(bottom)}});
}

// Which colours are which stages, in the order in which they came.
void draw_legend(Html &html, const std::vector<Moment> &moments) {
    std::vector<std::string> named;
    Html::Element legend = html.open("p", {{"class", "legend"}});
    for (const Moment &moment : moments)
        if (!moment.stage.empty() && std::find(named.begin(), named.end(), moment.stage) == named.end()) {
            named.push_back(moment.stage);
            html.element("span", moment.stage, {{"class", "stage stage-" + moment.stage}});
            html.text(" ");
        }
}

void draw_rows(Html &html, const std::vector<Moment> &moments) {
    bool any_queue =
        std::any_of(moments.begin(), moments.end(), [](const Moment &moment) { return !moment.queue.empty(); });
    std::vector<Column> columns = {{"station"},   {"stage"}, {"at", true}, {"+", true},
                                   {"CPU", true}, {"task"},  {"context"}};
    if (any_queue)
        columns.push_back({"waiting there"});
    draw_table(html, "cards", columns, [&](Html &into) {
        for (std::size_t i = 0; i < moments.size(); ++i) {
            const Moment &moment = moments[i];
            Html::Element row = into.open("tr");
            into.element("th", moment.station, {{"scope", "row"}});
            {
                Html::Element cell = into.open("td");
                if (!moment.stage.empty())
                    into.element("span", moment.stage, {{"class", "stage stage-" + moment.stage}});
            }
            time_cell(into, "at", std::optional(moment.since_first));
            time_cell(into, "+", std::optional(since_before(moments, i)));
            into.element("td", std::to_string(moment.cpu), {{"class", "number"}, {"data-label", "CPU"}});
            into.element("td", moment.task);
            into.element("td", moment.context);
            if (any_queue)
                into.element("td", moment.queue);
        }
    });
}

} // namespace

std::vector<Moment> moments_of(const Timeline &timeline, const std::vector<Hop> &hops) {
    std::vector<Moment> moments;
    const TimelineMark *before = nullptr;
    for (const TimelineMark &mark : timeline.marks) {
        std::string stage;
        for (const Hop &hop : hops)
            if (before != nullptr && hop.name.from == before->station && hop.name.to == mark.station)
                stage = name_of(hop.name.stage);
        moments.push_back(
            {name_of(mark.station), stage, mark.since_send, mark.cpu, task_text(mark.comm, mark.pid), mark.context});
        before = &mark;
    }
    return moments;
}

std::vector<Moment> moments_of(const SlowPacket &packet) {
    std::vector<Moment> moments;
    for (const PacketMark &mark : packet.marks)
        moments.push_back({name_of(mark.station), mark.stage ? std::string(name_of(*mark.stage)) : "", mark.since_first,
                           mark.cpu, task_text(mark.comm, mark.pid), mark.context,
                           mark.queue == 0 ? "" : fmt::format("{} queued", mark.queue)});
    return moments;
}

MomentLayout lay_out_moments(const std::vector<Moment> &moments) {
    MomentLayout layout;
    Nanoseconds longest = 1;
    for (const Moment &moment : moments)
        longest = std::max(longest, moment.since_first);
    for (std::size_t i = 1; i < moments.size(); ++i) {
        std::string name = row_name(moments[i]);
        auto row = std::find_if(layout.rows.begin(), layout.rows.end(),
                                [&](const MomentLayout::Row &known) { return known.name == name; });
        if (row == layout.rows.end())
            row = layout.rows.insert(row, {name, static_cast<double>(layout.rows.size()) * row_height + name_height});
        Nanoseconds took = since_before(moments, i);
        double begin = static_cast<double>(moments[i].since_first - took) / static_cast<double>(longest) * all;
        double width = std::max(static_cast<double>(took) / static_cast<double>(longest) * all, thinnest_bar);
        layout.pieces.push_back({i, std::min(begin, all - width), width, row->y});
    }
    layout.height = static_cast<double>(layout.rows.size()) * row_height + name_height;
    return layout;
}

void draw_moments(Html &html, const std::vector<Moment> &moments) {
    if (moments.empty())
        return;
    draw_picture(html, moments, lay_out_moments(moments));
    draw_legend(html, moments);
    Html::Element details = html.open("details");
    html.element("summary", "moment by moment");
    draw_rows(html, moments);
}

} // namespace vethtrace
