// SPDX-License-Identifier: GPL-2.0-only
#include "report/watch_text.hpp"

#include "core/units.hpp"
#include "report/columns.hpp"
#include "report/watch_words.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <map>
#include <tuple>

namespace vethtrace {

namespace {

constexpr std::array<std::string_view, 4> sort_names = {"growth", "p99", "rate", "name"};

std::string time_or_blank(const std::optional<double> &ns) {
    return ns ? duration_text(*ns) : "-";
}

std::string rate_text(double rate) {
    constexpr double few = 10;
    return rate < few ? fmt::format("{:.1f}", rate) : count_text(static_cast<std::uint64_t>(rate));
}

std::string owner(const std::string &target) {
    return target.empty() ? "(nobody's)" : target;
}

// ---- the table

std::string group_of(const WatchSeries &series, Grouping grouping) {
    switch (grouping) {
    case Grouping::container:
        return owner(series.target);
    case Grouping::direction:
        return "all";
    case Grouping::cpu:
    case Grouping::interface:
        break;
    }
    return series.group.empty() ? "-" : series.group;
}

using RowKey = std::tuple<std::string, Flow, Stage>;

std::map<RowKey, SparseHistogram> grouped(const WatchWindow &window, Grouping grouping) {
    std::map<RowKey, SparseHistogram> rows;
    for (const WatchSeries &series : window.series)
        rows[{group_of(series, grouping), series.flow, series.stage}].merge(series.time);
    return rows;
}

double time_per_second(const SparseHistogram &time, const WatchWindow &window) {
    return per_second(window.all_of(time.sum()), window.duration_ns).value_or(0);
}

std::string change_text(const WatchRow &row) {
    constexpr double noticeable = 0.05;
    constexpr double times = 10;
    if (!row.before || *row.before <= 0)
        return "";
    double change = *row.time.mean() / *row.before - 1;
    if (std::abs(change) < noticeable)
        return "";
    if (change > times)
        return fmt::format("x{:.0f}", change + 1);
    return fmt::format("{:+.0f} %", change * percent);
}

// Which columns there are, by the width.
struct Layout {
    std::size_t group;
    bool p50;
    bool bar;
    std::size_t bar_width;

    explicit Layout(std::size_t width) {
        constexpr std::size_t fixed = 67; // all columns but the group, the median and the bar
        constexpr std::size_t median = 9;
        constexpr std::size_t least_group = 12;
        constexpr std::size_t most_group = 44;
        constexpr std::size_t least_bar = 12;
        constexpr std::size_t most_bar = 40;
        std::size_t rest = width > fixed + least_group ? width - fixed : least_group;
        p50 = rest >= least_group + median + 4;
        rest -= p50 ? median : 0;
        bar = rest >= least_group + least_bar + 8;
        group = std::min(most_group, bar ? rest * 3 / 5 : rest);
        bar_width = bar ? std::min(most_bar, rest - group - 1) : 0;
    }
};

std::string heading(const Layout &layout, Grouping grouping, const TextStyle &style) {
    std::string text = fmt::format(" {} {} {} {} {}", left(name_of(grouping), layout.group), left("dir", 3),
                                   left("stage", 12), right("packets/s", 10), right("mean", 8));
    if (layout.p50)
        text += " " + right("p50", 8);
    text += fmt::format(" {} {} {}", right("p99", 8), right("max", 8), right("change", 8));
    return painted(text, Tone::dim, style);
}

std::string row_text(const WatchRow &row, const Layout &layout, double most, const TextStyle &style) {
    std::string text = fmt::format(" {} {} {} {} {}", left(row.group, layout.group), left(name_of(row.flow), 3),
                                   left(name_of(row.stage), 12), right(rate_text(row.rate), 10),
                                   right(time_or_blank(row.time.mean()), 8));
    if (layout.p50)
        text += " " + right(time_or_blank(row.time.percentile(0.5)), 8);
    std::optional<double> max;
    if (row.time.max())
        max = static_cast<double>(*row.time.max());
    text += fmt::format(" {} {}", right(time_or_blank(row.time.percentile(0.99)), 8), right(time_or_blank(max), 8));
    std::string change = change_text(row);
    Tone tone = change.starts_with('-') ? Tone::good : Tone::bad;
    text += " " + painted(right(change, 8), tone, style);
    if (layout.bar && most > 0) {
        auto length = static_cast<std::size_t>(
            std::round(static_cast<double>(row.time.sum()) / most * static_cast<double>(layout.bar_width)));
        text += " " + painted(std::string(length, '#'), Tone::bar, style);
    }
    return text;
}

std::vector<std::string> table(const std::vector<WatchRow> &rows, Grouping grouping, const TextStyle &style) {
    Layout layout(static_cast<std::size_t>(style.width));
    std::vector<std::string> lines = {heading(layout, grouping, style)};
    double most = 0;
    for (const WatchRow &row : rows)
        most = std::max(most, static_cast<double>(row.time.sum()));
    for (const WatchRow &row : rows)
        lines.push_back(row_text(row, layout, most, style));
    return lines;
}

// ---- what stands above and below it

// "balanced: 4,012 packets entered: 2,000 left by the last device, 2,009 delivered to sockets (1,980 reads); 3 dropped"
std::string books_text(const WatchTotals &totals) {
    const WatchConservation &books = totals.conservation();
    std::string text = fmt::format("{}: {} entered: {}", balance_text(totals), counted(books.entered, "packet"),
                                   fmt::join(completed_clauses(books), ", "));
    if (std::vector<std::string> others = other_clauses(books); !others.empty())
        text += fmt::format("; {}", fmt::join(others, ", "));
    if (books.discarded != 0)
        text += fmt::format("; TCP let go of {} without harm", count_text(books.discarded));
    return text;
}

// "3 targets: 2 bridge, 1 ipvlan"
std::string targets_text(const WatchWindow &window) {
    std::string text = fmt::format("{} target{}", window.targets, window.targets == 1 ? "" : "s");
    std::vector<std::string> modes;
    for (const auto &[mode, count] : window.modes)
        modes.push_back(fmt::format("{} {}", count, mode));
    return modes.empty() ? text : fmt::format("{}: {}", text, fmt::join(modes, ", "));
}

// "all packets", "1 packet in 8", or, if it was changed meanwhile, "1 packet in 5.3".
std::string sampling_text(const WatchWindow &window) {
    constexpr double noticeable = 0.05;
    double ratio = window.sample_ratio;
    if (ratio > 1 && std::abs(ratio / window.sample - 1) > noticeable)
        return fmt::format("1 packet in {:.1f}", ratio);
    return window.sample == 1 ? "all packets" : fmt::format("1 packet in {}", window.sample);
}

std::string header(const WatchWindow &window, const WatchView &view, const TextStyle &style) {
    // First what must not be cut off.
    std::string text = fmt::format(
        "vethtrace watch  {}{}{}  {}  {} window  {}  tracing {:.1f} % of a CPU", view.frozen ? "FROZEN  " : "",
        window.over_budget ? "OVER THE BUDGET  " : "", clock_text(window.begun), targets_text(window),
        duration_text(static_cast<double>(window.duration_ns)), sampling_text(window), window.overhead * percent);
    return painted(cut(text, static_cast<std::size_t>(style.width)), Tone::strong, style);
}

// The keys, and what those that choose have chosen.
std::string footer(const WatchView &view, const TextStyle &style) {
    std::string text = fmt::format(" q quit  space {}  b by {}  s sort by {}",
                                   view.recorded ? "stop and go  n next  p previous" : "freeze", name_of(view.grouping),
                                   name_of(view.sort));
    return painted(cut(text, static_cast<std::size_t>(style.width)), Tone::dim, style);
}

bool saw_packets(const WatchWindow &window) {
    return !window.series.empty() || !window.drops.empty();
}

// Two windows without a packet need an explanation.
std::vector<std::string> no_traffic(std::span<const WatchWindow> windows, const std::string &filter) {
    if (saw_packets(windows.back()))
        return {};
    if (windows.size() < 2 || saw_packets(windows[windows.size() - 2]))
        return {" no packets in this window"};
    if (windows.back().targets == 0)
        return {" no target is here: nothing of what was asked for exists (any more)"};
    std::vector<std::string> lines = {
        " No packets of these targets in two windows. Likely reasons:",
        "  - there is no traffic, or only over loopback, inside the container",
        "  - the traffic is another network namespace's (`ip netns identify PID`, --pid)",
        "  - it takes an offloaded path that passes no hook: XDP, TC redirect, SR-IOV, AF_XDP",
    };
    if (!filter.empty())
        lines.push_back("  - the filter lets nothing through: " + filter);
    return lines;
}

std::vector<std::string> drop_lines(std::vector<WatchDrop> drops, const TextStyle &style) {
    std::sort(drops.begin(), drops.end(), [](const WatchDrop &a, const WatchDrop &b) { return a.count > b.count; });
    std::vector<std::string> lines(drops.size());
    std::transform(drops.begin(), drops.end(), lines.begin(), [&](const WatchDrop &drop) {
        return painted(fmt::format(" dropped {} of {}, {}, after {}: {}", count_text(drop.count), owner(drop.target),
                                   name_of(drop.flow), name_of(drop.last), drop.reason),
                       Tone::bad, style);
    });
    return lines;
}

// What is missing from the table, and what waits behind it. It is told always: without it the rest looks whole.
std::vector<std::string> gap_lines(const std::vector<WatchUnseen> &unseen, const std::vector<WatchSockets> &sockets,
                                   const TextStyle &style) {
    std::vector<std::string> lines;
    lines.reserve(unseen.size());
    for (const WatchUnseen &one : unseen)
        lines.push_back(painted(fmt::format(" not seen: {}", unseen_text(one)), Tone::bad, style));
    for (const WatchSockets &one : sockets)
        for (const std::string &trouble : troubles_of(one))
            lines.push_back(painted(fmt::format(" {}: {}", one.target.empty() ? "the host" : one.target, trouble),
                                    Tone::bad, style));
    return lines;
}

std::string evidence_text(const Advice &piece) {
    return fmt::format("{}; look at {} ({})", piece.evidence, piece.setting, piece.page);
}

std::vector<std::string> advice_lines(const std::vector<Advice> &advice, const TextStyle &style) {
    std::vector<std::string> lines;
    for (const Advice &piece : advice) {
        lines.push_back(painted(fmt::format(" {}: {}", piece.rule, piece.what), Tone::strong, style));
        lines.push_back("   " + evidence_text(piece));
    }
    return lines;
}

void append(std::vector<std::string> &lines, std::vector<std::string> more) {
    lines.insert(lines.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// Where a packet spent most of its time: the index of the mark that ended it.
std::size_t longest_hop(const SlowPacket &packet) {
    std::size_t longest = 1;
    auto hop = [&](std::size_t i) { return packet.marks[i].since_first - packet.marks[i - 1].since_first; };
    for (std::size_t i = 1; i < packet.marks.size(); ++i)
        if (hop(i) > hop(longest))
            longest = i;
    return longest;
}

std::string slow_line(const SlowPacket &packet) {
    std::string text = fmt::format(" {} {} {}", right(duration_text(static_cast<double>(packet.total)), 8),
                                   owner(packet.target), name_of(packet.flow));
    if (packet.marks.size() > 1) { // first what matters, as a narrow terminal cuts the end off
        std::size_t end = longest_hop(packet);
        const PacketMark &to = packet.marks[end];
        const PacketMark &from = packet.marks[end - 1];
        text += fmt::format(
            "  {} {} ({}, CPU {})", duration_text(static_cast<double>(to.since_first - from.since_first)),
            name_of(to.stage.value_or(Stage::unforeseen)), to.context == "process" ? to.comm : to.context, to.cpu);
    }
    return text + "  " + ends_text(packet, ">");
}

std::vector<std::string> below(const WatchWindow &window, const std::vector<Advice> &advice,
                               const std::vector<SlowPacket> &told, const TextStyle &style) {
    std::vector<std::string> lines = gap_lines(window.unseen, window.sockets, style);
    append(lines, drop_lines(window.drops, style));
    if (window.over_budget)
        lines.push_back(painted(
            fmt::format(" tracing took {:.1f} % of a CPU, more than --max-overhead allows", window.overhead * percent),
            Tone::bad, style));
    if (!window.slowest.empty())
        lines.push_back(painted(" slowest packets", Tone::dim, style));
    for (const SlowPacket &packet : window.slowest)
        lines.push_back(slow_line(packet));
    if (!told.empty())
        lines.push_back(painted(" slower than allowed", Tone::dim, style));
    for (const SlowPacket &packet : told)
        lines.push_back(slow_line(packet));
    if (window.slow_suppressed != 0)
        lines.push_back(
            fmt::format(" {} more were slower than allowed and are not shown", count_text(window.slow_suppressed)));
    append(lines, advice_lines(advice, style));
    if (window.series_dropped != 0)
        lines.push_back(painted(" " + unplaced_text(window.series_dropped, "--max-series"), Tone::bad, style));
    for (const std::string &note : window.notes)
        lines.push_back(fmt::format(" note: {}", note));
    return lines;
}

} // namespace

std::string clock_text(std::chrono::system_clock::time_point when) {
    return fmt::format("{:%H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(when)));
}

std::string_view name_of(WatchSort sort) {
    return sort_names.at(static_cast<std::size_t>(sort));
}

std::vector<WatchRow> watch_rows(std::span<const WatchWindow> windows, Grouping grouping, WatchSort sort) {
    std::vector<WatchRow> rows;
    if (windows.empty())
        return rows;
    const WatchWindow &window = windows.back();
    const WatchWindow *before = windows.size() < 2 ? nullptr : &windows[windows.size() - 2];
    std::map<RowKey, SparseHistogram> earlier;
    if (before != nullptr)
        earlier = grouped(*before, grouping);
    for (auto &[key, time] : grouped(window, grouping)) {
        WatchRow row{.group = std::get<0>(key), .flow = std::get<1>(key), .stage = std::get<2>(key), .time = time};
        row.rate = per_second(window.all_of(time.count()), window.duration_ns).value_or(0);
        row.growth = time_per_second(time, window);
        if (auto known = earlier.find(key); known != earlier.end()) {
            row.before = known->second.mean();
            row.growth -= time_per_second(known->second, *before);
        }
        rows.push_back(std::move(row));
    }
    auto more = [&](auto value) {
        std::stable_sort(rows.begin(), rows.end(),
                         [&](const WatchRow &a, const WatchRow &b) { return value(a) > value(b); });
    };
    switch (sort) {
    case WatchSort::growth:
        more([](const WatchRow &row) { return row.growth; });
        break;
    case WatchSort::p99:
        more([](const WatchRow &row) { return row.time.percentile(0.99).value_or(0); });
        break;
    case WatchSort::rate:
        more([](const WatchRow &row) { return row.rate; });
        break;
    case WatchSort::name:
        break; // as the map has them
    }
    return rows;
}

std::vector<std::string> watch_frame(std::span<const WatchWindow> windows, const std::vector<Advice> &advice,
                                     const std::vector<SlowPacket> &told, const WatchView &view, const TextStyle &style,
                                     int rows) {
    auto width = static_cast<std::size_t>(style.width);
    auto room = static_cast<std::size_t>(std::max(rows, 4)) - 2; // without the header and the footer
    std::vector<std::string> lines;
    if (windows.empty())
        return {painted(cut("vethtrace watch  waiting for the first window", width), Tone::strong, style),
                footer(view, style)};
    const WatchWindow &window = windows.back();
    std::vector<std::string> body = no_traffic(windows, view.filter);
    if (body.empty())
        body = table(watch_rows(windows, view.grouping, view.sort), view.grouping, style);
    std::vector<std::string> more = below(window, advice, told, style);

    // Half of the room belongs to the table, and what the rest does not need.
    std::size_t for_more = std::min(more.size(), room / 2);
    std::size_t for_body = std::min(body.size(), room - for_more);
    for_more = std::min(more.size(), room - for_body);
    auto add = [&](const std::vector<std::string> &all, std::size_t most) {
        bool cut_off = all.size() > most;
        std::size_t shown = cut_off && most > 0 ? most - 1 : std::min(all.size(), most);
        for (std::size_t i = 0; i < shown; ++i)
            lines.push_back(fitted(all[i], width));
        if (cut_off && most > 0)
            lines.push_back(painted(cut(fmt::format(" ... {} more", all.size() - shown), width), Tone::dim, style));
    };
    lines.push_back(header(window, view, style));
    add(body, for_body);
    add(more, for_more);
    lines.push_back(footer(view, style));
    return lines;
}

std::string watch_lines(std::span<const WatchWindow> windows, const std::vector<Advice> &advice,
                        const std::string &filter, const TextStyle &style) {
    const WatchWindow &window = windows.back();
    std::vector<std::string> lines = {header(window, {.grouping = window.grouping}, style)};
    std::vector<std::string> body = no_traffic(windows, filter);
    if (body.empty())
        body = table(watch_rows(windows, window.grouping, WatchSort::growth), window.grouping, style);
    lines.insert(lines.end(), body.begin(), body.end());
    for (std::string &line : below(window, advice, {}, style))
        lines.push_back(std::move(line));
    return fmt::format("{}\n", fmt::join(lines, "\n"));
}

std::string slow_packet_text(const SlowPacket &packet, const TextStyle &style) {
    std::string text = painted(slow_line(packet), Tone::strong, style) + fmt::format("  {} bytes\n", packet.bytes);
    for (const PacketMark &mark : packet.marks) {
        text +=
            fmt::format("   {} {} CPU {:<3} {:<10} {}", right(duration_text(static_cast<double>(mark.since_first)), 8),
                        left(name_of(mark.station), 20), mark.cpu, mark.context, mark.comm);
        if (mark.pid != 0)
            text += fmt::format(" ({})", mark.pid);
        if (mark.queue != 0)
            text += fmt::format("  {} queued", mark.queue);
        text += "\n";
    }
    return text;
}

std::vector<WatchRow> rows_of_all(const WatchTotals &totals) {
    WatchWindow all;
    all.duration_ns = totals.duration_ns();
    std::map<std::tuple<std::string, Flow, Stage>, std::uint64_t> packets;
    for (const auto &[key, total] : totals.series()) {
        const auto &[target, flow, from, to] = key;
        all.series.push_back({target, flow, from, to, total.stage, "", total.time});
        packets[{owner(target), flow, total.stage}] += total.packets;
    }
    std::vector<WatchRow> rows = watch_rows(std::span(&all, 1), Grouping::container, WatchSort::name);
    for (WatchRow &row : rows)
        row.rate =
            per_second(static_cast<double>(packets[{row.group, row.flow, row.stage}]), all.duration_ns).value_or(0);
    return rows;
}

namespace {

// As many lines as its words take.
void append_wrapped(std::vector<std::string> &lines, const std::string &text, std::size_t indentation,
                    const TextStyle &style) {
    lines.push_back(wrapped(text, indentation, style));
    lines.back().pop_back(); // its line end
}

} // namespace

std::string watch_summary(const WatchTotals &totals, const std::string &ended, const std::vector<Advice> &advice,
                          const std::string &room, const TextStyle &style) {
    std::vector<std::string> lines = {
        painted(fmt::format("vethtrace watch  from {}, {} in {}; {}", clock_text(totals.begun()),
                            duration_text(static_cast<double>(totals.duration_ns())),
                            counted(totals.windows(), "window"), ended),
                Tone::strong, style)};
    std::vector<WatchRow> rows = rows_of_all(totals);
    if (rows.empty())
        lines.emplace_back(" no packets");
    else if (style.verbosity >= 0)
        append(lines, table(rows, Grouping::container, style));
    std::vector<WatchSockets> sockets;
    for (const auto &[target, of_target] : totals.sockets())
        sockets.push_back(of_target);
    append(lines, gap_lines(unseen_of(totals), sockets, style));
    std::vector<WatchDrop> drops;
    for (const auto &[key, count] : totals.drops())
        drops.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), count});
    append(lines, drop_lines(std::move(drops), style));
    for (const Advice &piece : style.verbosity >= 0 ? advice : std::vector<Advice>()) {
        append_wrapped(lines, fmt::format("{}: {}", piece.rule, piece.what), 1, style);
        append_wrapped(lines, evidence_text(piece), 3, style);
    }
    append_wrapped(lines, books_text(totals), 1, style);
    if (totals.conservation().crowded_out != 0)
        lines.push_back(fmt::format(" {} could not be followed: the table of packets in flight was full",
                                    counted(totals.conservation().crowded_out, "packet")));
    if (totals.conservation().waits_lost != 0)
        lines.push_back(" " + lost_waits_text(totals.conservation().waits_lost));
    if (totals.series_dropped() != 0)
        lines.push_back(" " + unplaced_text(totals.series_dropped(), room));
    lines.push_back(fmt::format(" tracing took {:.1f} % of a CPU's time", totals.mean_overhead() * percent));
    if (totals.windows_over_budget() != 0)
        lines.back() +=
            painted(fmt::format(", in {} of {} more than --max-overhead allows",
                                count_text(totals.windows_over_budget()), counted(totals.windows(), "window")),
                    Tone::bad, style);
    return fmt::format("{}", fmt::join(lines, "\n"));
}

} // namespace vethtrace
