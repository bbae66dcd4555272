// SPDX-License-Identifier: GPL-2.0-only
#include "core/utc.hpp"
#include "page/figures.hpp"
#include "page/frame.hpp"
#include "page/page.hpp"
#include "page/run_parts.hpp"
#include "page/timeline_picture.hpp"
#include "page/watch_data.hpp"
#include "report/style.hpp"
#include "report/watch_text.hpp"
#include "report/watch_words.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

namespace vethtrace {

namespace {

constexpr std::size_t most_rows = 200; // of a table

std::string owner(const std::string &target) {
    return target.empty() ? "(nobody\u2019s)" : target;
}

// "2026-01-31 12:00:00.1 UTC"
std::string moment_text(std::chrono::system_clock::time_point when) {
    std::string text = utc_text(when); // with a T, milliseconds and a Z
    std::replace(text.begin(), text.end(), 'T', ' ');
    constexpr std::size_t more_digits = 3;
    return text.substr(0, text.size() - std::min(text.size(), more_digits)) + " UTC";
}

std::string rate_text(double per_second) {
    constexpr double few = 10;
    return per_second < few ? fmt::format("{:.1f}", per_second) : count_text(static_cast<std::uint64_t>(per_second));
}

std::vector<std::string> faults_of(const WatchReport &report) {
    std::vector<std::string> faults;
    const WatchTotals &totals = report.totals;
    if (!totals.conservation().balanced())
        faults.emplace_back("NOT BALANCED: packets are unaccounted for");
    if (!totals.unseen().empty())
        faults.push_back(fmt::format("{} not seen: see \u201cNot seen\u201d below",
                                     totals.unseen().size() == 1 ? "1 stage was"
                                                                 : counted(totals.unseen().size(), "stage") + " were"));
    if (totals.windows_over_budget() != 0)
        faults.push_back(fmt::format("in {} of {} tracing took more than --max-overhead allows",
                                     count_text(totals.windows_over_budget()), counted(totals.windows(), "window")));
    if (totals.conservation().crowded_out != 0)
        faults.push_back(fmt::format("{} packets could not be followed: the table of packets in flight was full",
                                     count_text(totals.conservation().crowded_out)));
    if (totals.conservation().waits_lost != 0)
        faults.push_back(lost_waits_text(totals.conservation().waits_lost));
    if (totals.series_dropped() != 0)
        faults.push_back(unplaced_text(totals.series_dropped(), room_option(report)));
    faults.insert(faults.end(), report.remarks.begin(), report.remarks.end());
    return faults;
}

void draw_summary(Html &html, const WatchReport &report, const WatchHistory &history) {
    const WatchTotals &totals = report.totals;
    const WatchConservation &books = totals.conservation();
    std::vector<std::string> modes;
    for (const auto &[mode, count] : history.modes())
        modes.push_back(fmt::format("{} {}", count, mode));
    double largest_cost = 0;
    std::uint32_t sample = 1;
    for (const WatchPoint &point : history.points()) {
        largest_cost = std::max(largest_cost, point.overhead);
        sample = std::max(sample, point.sample);
    }
    std::size_t targets = history.points().empty() ? 0 : history.points().back().targets;
    std::string completed = count_text(books.completed) + " completed";
    if (books.delivered != 0) // an older recording does not tell
        completed += fmt::format(", {} of them to sockets", count_text(books.delivered));
    draw_tiles(html, {{"packets", count_text(books.entered), completed},
                      {"dropped", count_text(books.dropped), books.dropped == 0 ? "none" : "reasons are below"},
                      {"targets", count_text(targets), fmt::format("{}", fmt::join(modes, ", "))},
                      {"watched for", time_text(static_cast<double>(totals.duration_ns())),
                       fmt::format("{} window{}", totals.windows(), totals.windows() == 1 ? "" : "s")},
                      {"cost of watching", percent_text(totals.mean_overhead()),
                       fmt::format("of a CPU\u2019s time, at most {}", percent_text(largest_cost))},
                      {"followed", sample == 1 ? "all" : fmt::format("1 in {}", sample),
                       sample == 1 ? "packets" : "packets, or more"}});
}

// What is missing from all that follows.
void draw_unseen(Html &html, const WatchTotals &totals) {
    if (totals.unseen().empty())
        return;
    Html::Element section = open_section(html, "unseen", "Not seen");
    paragraph(html, "Stages that the targets\u2019 links and sockets promise, and that fewer packets were seen in than "
                    "passed the one before. What these packets spent there is in no figure of this page.");
    std::vector<WatchUnseen> unseen = unseen_of(totals);
    std::size_t left_out = unseen.size() - std::min(unseen.size(), most_rows);
    unseen.resize(unseen.size() - left_out);
    draw_table(html, "cards", {{"target"}, {"direction"}, {"stage"}, {"packets", true}, {"seen", true}, {"why"}},
               [&](Html &into) {
                   for (const WatchUnseen &one : unseen) {
                       Html::Element row = into.open("tr");
                       into.element("th", owner(one.target), {{"scope", "row"}});
                       into.element("td", std::string(name_of(one.flow)), {{"data-label", "direction"}});
                       {
                           Html::Element cell = into.open("td", {{"data-label", "stage"}});
                           draw_stage(into, one.stage);
                       }
                       if (one.promised == 0) { // not known how many
                           into.element("td", "\u2013", {{"class", "number"}, {"data-label", "packets"}});
                           into.element("td", "\u2013", {{"class", "number"}, {"data-label", "seen"}});
                       } else {
                           count_cell(into, "packets", one.promised);
                           count_cell(into, "seen", one.seen);
                       }
                       into.element("td", one.why, {{"data-label", "why"}});
                   }
               });
    if (left_out != 0)
        html.element("p", fmt::format("{} more are not shown; --json has all.", count_text(left_out)),
                     {{"class", "hint"}});
}

void draw_sockets(Html &html, const WatchTotals &totals) {
    if (totals.sockets().empty())
        return;
    Html::Element section = open_section(html, "sockets", "Sockets");
    paragraph(html,
              "What has come to the sockets of each target, of the packets that are followed, and what has become "
              "of it. Refusals, repetitions and throttling are counted by the kernel, of all packets.");
    std::vector<WatchSockets> targets;
    for (const auto &[target, sockets] : totals.sockets())
        targets.push_back(sockets);
    // Those that something is wrong with come first.
    std::stable_sort(targets.begin(), targets.end(), [](const WatchSockets &a, const WatchSockets &b) {
        return troubles_of(a).size() > troubles_of(b).size();
    });
    std::size_t left_out = targets.size() - std::min(targets.size(), most_rows);
    targets.resize(targets.size() - left_out);
    draw_table(html, "cards", {{"target"}, {"delivered", true}, {"reads", true}, {"what is wrong"}}, [&](Html &into) {
        for (const WatchSockets &sockets : targets) {
            Html::Element row = into.open("tr");
            into.element("th", sockets.target.empty() ? "the host" : sockets.target, {{"scope", "row"}});
            count_cell(into, "delivered", sockets.delivered);
            count_cell(into, "reads", sockets.read);
            std::vector<std::string> troubles = troubles_of(sockets);
            into.element("td", troubles.empty() ? "nothing" : fmt::format("{}", fmt::join(troubles, "; ")),
                         {{"data-label", "what is wrong"}});
        }
    });
    if (left_out != 0)
        html.element("p", fmt::format("{} more targets are not shown; --json has all.", count_text(left_out)),
                     {{"class", "hint"}});
}

void draw_advice(Html &html, const WatchHistory &history, std::uint64_t windows) {
    if (history.advice().empty())
        return;
    Html::Element section = open_section(html, "advice", "Advice");
    for (const GivenAdvice &given : history.advice()) {
        Html::Element notice = html.open("div", {{"class", "notice advice"}});
        html.element("strong", fmt::format("{}: {}", given.advice.rule, given.advice.what));
        paragraph(html,
                  fmt::format("{}. Look at {} ({}).", given.advice.evidence, given.advice.setting, given.advice.page));
        html.element("p",
                     given.windows == 1
                         ? fmt::format("In one window, {}.", moment_text(given.first))
                         : fmt::format("In {} of {} windows, {} to {}.", count_text(given.windows), count_text(windows),
                                       moment_text(given.first), moment_text(given.last)),
                     {{"class", "hint"}});
    }
}

void draw_times(Html &html) {
    Html::Element section = open_section(html, "times", "Stages over time");
    {
        Html::Element label = html.open("label", {{"class", "scripted"}});
        html.text("Shown: ");
        Html::Element select = html.open("select", {{"id", "measure"}});
        for (const auto &[value, name] :
             {std::pair("mean_ns", "mean"), std::pair("p50_ns", "p50"), std::pair("p99_ns", "p99"),
              std::pair("max_ns", "slowest packet"), std::pair("rate", "packets a second")})
            html.element("option", name, {{"value", value}});
    }
    draw_chart(html, "times-out", "What the targets send: time on each stage, of all targets together.");
    draw_chart(html, "times-in", "What they receive.");
}

void draw_drops(Html &html, const WatchTotals &totals) {
    if (totals.drops().empty())
        return;
    Html::Element section = open_section(html, "drops", "Drops");
    draw_chart(html, "drops-over-time", "Packets dropped, by the kernel\u2019s reason.");
    std::vector<std::pair<WatchTotals::DropKey, std::uint64_t>> drops(totals.drops().begin(), totals.drops().end());
    std::sort(drops.begin(), drops.end(), [](const auto &a, const auto &b) { return a.second > b.second; });
    std::size_t left_out = drops.size() - std::min(drops.size(), most_rows);
    drops.resize(drops.size() - left_out);
    draw_table(html, "cards", {{"target"}, {"direction"}, {"seen last"}, {"reason"}, {"packets", true}},
               [&](Html &into) {
                   for (const auto &[key, count] : drops) {
                       const auto &[target, flow, last, reason] = key;
                       Html::Element row = into.open("tr");
                       into.element("th", owner(target), {{"scope", "row"}});
                       into.element("td", std::string(name_of(flow)), {{"data-label", "direction"}});
                       into.element("td", name_of(last), {{"data-label", "seen last"}});
                       into.element("td", reason, {{"data-label", "reason"}});
                       count_cell(into, "packets", count);
                   }
               });
    if (left_out != 0)
        html.element("p", fmt::format("{} more kinds of drops are not shown; --csv has all.", count_text(left_out)),
                     {{"class", "hint"}});
}

void draw_slowest(Html &html, const WatchHistory &history) {
    if (history.slowest().empty())
        return;
    Html::Element section = open_section(html, "slowest", "Slowest packets");
    paragraph(html,
              "Of all windows. A row is a CPU and the task that had it; each stretch lies in the row where it ended.");
    for (const SlowPacket &packet : history.slowest()) {
        Html::Element one = html.open("details", {{"class", "packet"}, {"open", ""}});
        {
            Html::Element summary = html.open("summary");
            Html::Element total = html.open("strong");
            time_figure(html, static_cast<double>(packet.total));
            html.text(fmt::format(" {} {}", owner(packet.target), name_of(packet.flow)));
        }
        html.element("p", fmt::format("{}, {} bytes", ends_text(packet, "\u2192"), packet.bytes), {{"class", "hint"}});
        draw_moments(html, moments_of(packet));
    }
}

void draw_moments_of_note(Html &html, const WatchReport &report) {
    if (report.moments.empty())
        return;
    Html::Element section = open_section(html, "moments", "Where to look");
    paragraph(html, "The windows in which most time was spent more than in the one before, or most was dropped.");
    draw_table(html, "cards",
               {{"window", true},
                {"begun"},
                {"what grew most"},
                {"mean", true},
                {"before", true},
                {"p99", true},
                {"dropped", true}},
               [&](Html &into) {
                   for (const WatchMoment &moment : report.moments) {
                       Html::Element row = into.open("tr");
                       into.element("td", count_text(moment.number), {{"class", "number"}, {"data-label", "window"}});
                       into.element("td", moment_text(moment.begun));
                       {
                           Html::Element cell = into.open("td");
                           if (moment.worst) {
                               draw_stage(into, moment.worst->stage);
                               into.text(fmt::format(" {} of {}", name_of(moment.worst->flow), moment.worst->group));
                           }
                       }
                       std::optional<double> none;
                       time_cell(into, "mean", moment.worst ? moment.worst->time.mean() : none);
                       time_cell(into, "before", moment.worst ? moment.worst->before : none);
                       time_cell(into, "p99", moment.worst ? moment.worst->time.percentile(0.99) : none);
                       count_cell(into, "dropped", moment.dropped);
                   }
               });
}

void draw_targets(Html &html, const WatchTotals &totals) {
    Html::Element section = open_section(html, "targets", "Targets and stages");
    std::vector<WatchRow> rows = rows_of_all(totals);
    if (rows.empty()) {
        paragraph(html, "No packets were seen.");
        return;
    }
    draw_chart(html, "busiest",
               "Time that packets spent on each stage in a second, of the targets with the most of it.");
    {
        Html::Element label = html.open("label", {{"class", "scripted"}});
        html.text("A distribution in full: ");
        Html::Element select = html.open("select", {{"id", "which"}});
    }
    draw_chart(html, "histogram", "How many packets of all targets took how long; both axes are logarithmic.");
    std::sort(rows.begin(), rows.end(),
              [](const WatchRow &a, const WatchRow &b) { return a.time.sum() > b.time.sum(); });
    std::size_t left_out = rows.size() - std::min(rows.size(), most_rows);
    rows.resize(rows.size() - left_out);
    draw_table(html, "cards",
               {{"target"},
                {"direction"},
                {"stage"},
                {"packets/s", true},
                {"n", true},
                {"mean", true},
                {"p50", true},
                {"p99", true},
                {"max", true}},
               [&](Html &into) {
                   for (const WatchRow &row : rows) {
                       Html::Element line = into.open("tr");
                       into.element("th", row.group, {{"scope", "row"}});
                       into.element("td", std::string(name_of(row.flow)));
                       {
                           Html::Element cell = into.open("td");
                           draw_stage(into, row.stage);
                       }
                       into.element("td", rate_text(row.rate), {{"class", "number"}, {"data-label", "packets/s"}});
                       distribution_cells(into, row.time);
                   }
               });
    if (left_out != 0)
        html.element("p",
                     fmt::format("{} more rows, on which less time was spent, are not shown; --csv has all.",
                                 count_text(left_out)),
                     {{"class", "hint"}});
}

void draw_books(Html &html, const WatchReport &report, const WatchHistory &history) {
    const WatchConservation &books = report.totals.conservation();
    Html::Element section = open_section(html, "packets", "Packets");
    std::string verdict = "NOT BALANCED: packets are unaccounted for.";
    if (books.balanced())
        verdict =
            report.totals.unseen().empty()
                ? "Balanced: what entered was completed, dropped, or ended otherwise."
                : "Balanced, as far as packets were seen: what entered was completed, dropped, or ended otherwise.";
    paragraph(html, verdict);
    const std::array<std::pair<const char *, std::uint64_t>, 15> counts = {{
        {"entered", books.entered},
        {"completed", books.completed},
        {"of these: left by the last device", books.left},
        {"of these: delivered to sockets", books.delivered},
        {"of these: TCP control", books.control},
        {"of these: to the host\u2019s sockets", books.to_host},
        {"of these: let go by TCP without harm", books.discarded},
        {"dropped", books.dropped},
        {"merged by GRO", books.merged},
        {"segmented", books.segmented},
        {"ended early without a drop", books.consumed},
        {"died unseen", books.stale},
        {"evicted", books.evicted},
        {"in flight", books.in_flight},
        {"slower than allowed and not shown", report.totals.slow_suppressed()},
    }};
    const std::set<std::string_view> always = {"entered", "completed", "dropped"};
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto &[name, count] : counts)
        if (count != 0 || always.contains(name))
            pairs.emplace_back(name, count_text(count));
    draw_pairs(html, pairs);
    if (history.notes().empty())
        return;
    Html::Element details = html.open("details");
    html.element("summary", fmt::format("{} notes", history.notes().size() + history.notes_left_out()));
    Html::Element list = html.open("ul");
    if (history.notes_left_out() != 0)
        html.element("li", fmt::format("{} before these are left out", history.notes_left_out()));
    for (const std::string &note : history.notes())
        html.element("li", note);
}

void draw_node(Html &html, const Environment &environment) {
    Html::Element section = open_section(html, "machine", "The machine");
    draw_pairs(html, {{"kernel", environment.kernel},
                      {"vethtrace", fmt::format("{}, libbpf {}", environment.tool, environment.libbpf)}});
}

} // namespace

std::string to_page(const WatchReport &report, const WatchHistory &history, const std::string &filter) {
    const WatchTotals &totals = report.totals;
    std::vector<std::string> facts = {"from " + moment_text(totals.begun()),
                                      fmt::format("{} window{}", totals.windows(), totals.windows() == 1 ? "" : "s"),
                                      "ended: " + report.ended, "kernel " + report.environment.kernel};
    if (!filter.empty())
        facts.push_back("only " + filter);
    if (report.lab) {
        facts.push_back(fmt::format("{}, {} topology", report.lab->mode, report.lab->topology));
        facts.push_back("--cmd " + report.lab->command);
        if (!report.lab->peer_command.empty())
            facts.push_back("--peer-cmd " + report.lab->peer_command);
    }
    PageHead head{"watch", report.lab ? "A load of your own in the lab" : "A node\u2019s own traffic", std::move(facts),
                  report.environment.tool, false};
    auto body = [&](Html &html) {
        if (std::vector<std::string> faults = faults_of(report); !faults.empty())
            draw_notices(html, totals.conservation().balanced() && totals.unseen().empty() ? Tint::plain : Tint::bad,
                         "To be known about it:", faults);
        html.element("p",
                     "Where packets of these targets spend their time on this node. No sum is claimed: nothing here "
                     "measures the whole way.",
                     {{"class", "lead"}});
        draw_summary(html, report, history);
        draw_unseen(html, totals);
        draw_sockets(html, totals);
        draw_advice(html, history, totals.windows());
        if (!history.points().empty())
            draw_times(html);
        draw_drops(html, totals);
        draw_moments_of_note(html, report);
        draw_slowest(html, history);
        draw_targets(html, totals);
        draw_books(html, report, history);
        draw_node(html, report.environment);
    };
    return page_of(head, body,
                   watch_data(report, history).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                   {&page_script, &charts_library, &charts_script, &watch_script});
}

} // namespace vethtrace
