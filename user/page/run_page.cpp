// SPDX-License-Identifier: GPL-2.0-only
#include "page/run_parts.hpp"

#include "core/units.hpp"
#include "page/figures.hpp"
#include "page/frame.hpp"
#include "page/page.hpp"
#include "page/timeline_picture.hpp"
#include "page/way_picture.hpp"
#include "report/json.hpp"
#include "report/style.hpp"
#include "report/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

constexpr const char *no_picture =
    "The hops of this result are not those of its mode, so there is no picture of its way.";

std::string plus_minus(const std::optional<double> &half_width) {
    return half_width ? fmt::format(", \u00B1{}", time_text(*half_width)) : "";
}

std::string percentile_text(const Histogram &time, double quantile) {
    std::optional<double> value = time.percentile(quantile);
    return value ? time_text(*value) : "\u2013";
}

double share_of(const Hop &hop, const RunResult &result) {
    double rtt = result.ledger.rtt_mean_ns * static_cast<double>(result.load.followed());
    return rtt > 0 ? static_cast<double>(hop.time.sum()) / rtt : 0;
}

double per_transaction(std::uint64_t count, const RunResult &result) {
    return static_cast<double>(count) / static_cast<double>(std::max<std::uint64_t>(result.load.followed(), 1));
}

double rate_of(const LoadResult &load) {
    return per_second(static_cast<double>(load.transactions), load.duration_ns).value_or(0);
}

// ---- what it comes to

void draw_summary(Html &html, const RunResult &result) {
    const Observer &observer = result.observer;
    const Ledger &ledger = result.ledger;
    const Histogram &rtt = result.load.rtt;
    html.element("p", unbroken(closing_sentence(result, "the means here")), {{"class", "lead"}});
    draw_tiles(
        html, {{"round trip, untraced", time_text(observer.untraced_rtt_mean_ns), "mean"},
               {"round trip, traced", time_text(ledger.rtt_mean_ns),
                fmt::format("p50 {}, p99 {}", percentile_text(rtt, 0.5), percentile_text(rtt, 0.99))},
               {"cost of tracing", change_text(observer.added_ns),
                percent_text(observer.added_ratio) + plus_minus(observer.added_ci95_ns)},
               {"explained", percent_text(ledger.explained_ratio),
                fmt::format("unexplained {}", time_text(ledger.unexplained_mean_ns))},
               {"NET_RX runs a transaction", fmt::format("{:.2f}", per_transaction(result.net_rx.runs, result)),
                result.net_rx.wait.mean() ? fmt::format("each waits {}, runs {}", time_text(*result.net_rx.wait.mean()),
                                                        time_text(result.net_rx.run.mean().value_or(0)))
                                          : "none was seen"},
               {"transactions", count_text(result.load.transactions),
                fmt::format("{} a second", count_text(static_cast<std::uint64_t>(rate_of(result.load))))}});
}

// ---- the way

struct StageTotal {
    Stage stage = Stage::unforeseen;
    double share = 0; // of the round trip
    double mean_ns = 0;
    std::size_t hops = 0;
};

// In the order of the way.
std::vector<StageTotal> stage_totals(const RunResult &result) {
    std::vector<StageTotal> totals;
    for (const NumberedHop &each : numbered_hops(result)) {
        Stage stage = each.hop->name.stage;
        auto known =
            std::find_if(totals.begin(), totals.end(), [stage](const StageTotal &one) { return one.stage == stage; });
        if (known == totals.end())
            known = totals.insert(known, {stage});
        known->share += share_of(*each.hop, result);
        known->mean_ns += per_transaction(each.hop->time.sum(), result);
        ++known->hops;
    }
    return totals;
}

void draw_share_bar(Html &html, double share) {
    constexpr double full = 100;
    constexpr double height = 8;
    Html::Element svg = html.open("svg", {{"class", "bar"},
                                          {"viewBox", fmt::format("0 0 {} {}", full, height)},
                                          {"preserveAspectRatio", "none"},
                                          {"aria-hidden", "true"}});
    html.shape("rect", {{"width", px(std::clamp(share, 0.0, 1.0) * full)}, {"height", px(height)}});
}

void draw_stage_list(Html &html, const RunResult &result) {
    std::vector<StageTotal> totals = stage_totals(result);
    double largest = 0;
    for (const StageTotal &total : totals)
        largest = std::max(largest, total.share);
    Html::Element list = html.open("ul", {{"class", "stages"}});
    for (const StageTotal &total : totals) {
        std::string name(name_of(total.stage));
        Html::Element item = html.open("li");
        {
            Html::Element head = html.open("div", {{"class", "stage-head"}});
            {
                Html::Element what = html.open("span");
                draw_stage(html, total.stage);
                if (total.hops > 1)
                    html.element("span", fmt::format(" {} hops", total.hops), {{"class", "hop-count"}});
            }
            Html::Element number = html.open("span", {{"class", "number"}, {"data-stage", name}});
            time_figure(html, total.mean_ns);
            html.element("span", percent_text(total.share), {{"class", "share"}});
        }
        {
            Html::Element colour = html.open("div", {{"class", "stage-" + name}});
            draw_share_bar(html, largest > 0 ? total.share / largest : 0);
        }
        html.element("p", std::string(description_of(total.stage)));
    }
}

void draw_way_section(Html &html, const RunResult &result) {
    Html::Element section = open_section(html, "way", "The packet\u2019s way");
    paragraph(html,
              "From the client\u2019s send() down to the server and back up to its recv(). Each stretch is as thick as "
              "its time is long; times are means of a transaction, the cost of tracing included.");
    Html::Element side_by_side = html.open("div", {{"class", "side-by-side"}});
    draw_ways(html, result);
    draw_stage_list(html, result);
}

// ---- the ledger

void ledger_row(Html &html, Literal kind, const std::string &name, double ns, const std::string &remark = {}) {
    Html::Element row = html.open("tr", {{"class", std::string(kind.text())}});
    {
        Html::Element head = html.open("th", {{"scope", "row"}});
        html.text(name);
        if (!remark.empty())
            html.element("small", remark);
    }
    time_cell(html, "", ns);
}

void draw_ledger(Html &html, const RunResult &result) {
    const Ledger &ledger = result.ledger;
    const Observer &observer = result.observer;
    Html::Element section = open_section(html, "ledger", "The ledger");
    paragraph(html,
              "The hops\u2019 means must add up to the round trip, which the load measured itself, with another clock. "
              "What they leave of it is unexplained.");
    draw_chart(html, "waterfall",
               "One hop begins where the one before it ends; on the left the client sends, on the "
               "right it has its answer.");
    Html::Element tables = html.open("div", {{"class", "side-by-side even"}});
    {
        Html::Element table = html.open("table", {{"class", "ledger"}});
        html.element("caption", "As it was traced");
        Html::Element body = html.open("tbody");
        ledger_row(html, "", "hops, sum of their means", ledger.explained_mean_ns,
                   percent_text(ledger.explained_ratio) + " explained");
        ledger_row(html, "", "+ unexplained", ledger.unexplained_mean_ns);
        ledger_row(html, "sum", "= round trip, traced", ledger.rtt_mean_ns);
    }
    Html::Element table = html.open("table", {{"class", "ledger"}});
    html.element("caption", "Without the cost of tracing");
    Html::Element body = html.open("tbody");
    ledger_row(html, "", "hops, corrected", ledger.corrected_sum_ns,
               fmt::format("an event costs {}, {:.1f} of them a transaction", time_text(observer.event_ns),
                           observer.events_per_transaction));
    ledger_row(html, "", "+ residual", ledger.corrected_residual_ns);
    ledger_row(html, "sum", "= round trip, untraced", observer.untraced_rtt_mean_ns);
}

// ---- tables

void draw_hop_row(Html &html, const RunResult &result, const NumberedHop &each, double largest) {
    const Hop &hop = *each.hop;
    std::string name(name_of(hop.name.stage));
    Html::Element row = html.open(
        "tr", {{"id", fmt::format("hop-{}", each.number)}, {"class", std::string(name_of(hop.name.direction))}});
    html.element("td", std::to_string(each.number), {{"class", "index"}});
    html.element("td",
                 hop.name.stage == Stage::segments
                     ? fmt::format("{}, first to last segment", name_of(hop.name.to))
                     : fmt::format("{} \u2192 {}", name_of(hop.name.from), name_of(hop.name.to)),
                 {{"class", "hop-name"}});
    {
        Html::Element cell = html.open("td", {{"class", "stage-cell"}});
        draw_stage(html, hop.name.stage);
    }
    distribution_cells(html, hop.time);
    std::optional<double> corrected;
    if (hop.time.count() != 0)
        corrected = hop.corrected_mean_ns;
    time_cell(html, "corrected", corrected);
    Html::Element cell = html.open("td", {{"class", "bar-cell stage-" + name}});
    draw_share_bar(html, largest > 0 ? share_of(hop, result) / largest : 0);
}

void draw_hops(Html &html, const RunResult &result) {
    Html::Element section = open_section(html, "hops", "All hops");
    paragraph(html,
              "A percentile is missing where fewer than ten packets lie beyond it. Corrected: the mean without what "
              "tracing added to it.");
    std::vector<NumberedHop> hops = numbered_hops(result);
    double largest = 0;
    for (const NumberedHop &each : hops)
        largest = std::max(largest, share_of(*each.hop, result));
    draw_table(html, "hops cards",
               {{"", true},
                {"hop"},
                {"stage"},
                {"n", true},
                {"mean", true},
                {"p50", true},
                {"p99", true},
                {"max", true},
                {"corrected", true},
                {"share"}},
               [&](Html &into) {
                   for (const NumberedHop &each : hops)
                       draw_hop_row(into, result, each, largest);
               });
}

void draw_distributions(Html &html, const RunResult &result) {
    Html::Element section = open_section(html, "distributions", "Distributions");
    draw_chart(html, "spread",
               "Every hop on a logarithmic axis: the bar reaches from p50 to p99, the thin line from the "
               "fastest packet to the slowest, the mark is the mean.");
    {
        Html::Element label = html.open("label", {{"class", "scripted"}});
        html.text("One of them in full: ");
        Html::Element select = html.open("select", {{"id", "which"}});
        html.element("option", "round trip", {{"value", "rtt"}});
        for (Direction direction : {Direction::request, Direction::response}) {
            Html::Element group = html.open("optgroup", {{"label", std::string(name_of(direction))}});
            for (const NumberedHop &each : numbered_hops(result))
                if (each.hop->name.direction == direction)
                    html.element("option",
                                 fmt::format("{} {}: {} \u2192 {}", each.number, name_of(each.hop->name.stage),
                                             name_of(each.hop->name.from), name_of(each.hop->name.to)),
                                 {{"value", std::to_string(each.number)}});
        }
        Html::Element group = html.open("optgroup", {{"label", "NET_RX"}});
        html.element("option", "from raised to run", {{"value", "wait"}});
        html.element("option", "the run itself", {{"value", "run"}});
    }
    draw_chart(html, "histogram",
               "How many packets took how long; both axes are logarithmic, so that a few slow ones are "
               "seen as well.");
}

void draw_softirq(Html &html, const RunResult &result) {
    const NetRx &net_rx = result.net_rx;
    Html::Element section = open_section(html, "softirq", "Softirq");
    paragraph(html, fmt::format("{} NET_RX runs received a packet of the load, {:.2f} a transaction. What they ran in:",
                                count_text(net_rx.runs), per_transaction(net_rx.runs, result)));
    draw_chart(html, "contexts", "NET_RX runs a transaction, by what they ran in.");
    struct Context {
        const char *name;
        const char *meaning;
        std::uint64_t count;
    };
    const std::array<Context, 5> contexts = {{
        {"inline", "when the sending task let softirqs run again", net_rx.inline_},
        {"irq exit", "at the end of an interrupt", net_rx.irq_exit},
        {"ksoftirqd", "in the kernel\u2019s own thread, which the scheduler lets run when it sees fit",
         net_rx.ksoftirqd},
        {"another CPU", "where RPS sent the packet", net_rx.other_cpu},
        {"other", "cannot be told", net_rx.other},
    }};
    draw_table(html, "cards", {{"context"}, {"what it is"}, {"runs", true}, {"a transaction", true}}, [&](Html &into) {
        for (const Context &context : contexts) {
            Html::Element row = into.open("tr");
            into.element("th", context.name, {{"scope", "row"}});
            into.element("td", context.meaning);
            count_cell(into, "runs", context.count);
            into.element("td", fmt::format("{:.2f}", per_transaction(context.count, result)),
                         {{"class", "number"}, {"data-label", "a transaction"}});
        }
    });
    draw_table(html, "cards", {{"NET_RX"}, {"n", true}, {"mean", true}, {"p50", true}, {"p99", true}, {"max", true}},
               [&](Html &into) {
                   for (const auto &[name, time] :
                        {std::pair("from raised to run", &net_rx.wait), std::pair("the run itself", &net_rx.run)}) {
                       Html::Element row = into.open("tr");
                       into.element("th", name, {{"scope", "row"}});
                       distribution_cells(into, *time);
                   }
               });
}

void draw_packets(Html &html, const RunResult &result) {
    const Conservation &books = result.conservation;
    Html::Element section = open_section(html, "packets", "Packets");
    paragraph(html, books.balanced() ? "Balanced: what came in went out."
                                     : "NOT BALANCED: packets are unaccounted for, so hops may be missing.");
    std::vector<std::pair<std::string, std::string>> pairs = {{"entered", count_text(books.entered)},
                                                              {"completed", count_text(books.completed)}};
    const std::array<std::pair<const char *, std::uint64_t>, 6> others = {{{"cloned", books.cloned},
                                                                           {"segmented", books.segmented},
                                                                           {"merged by GRO", books.merged},
                                                                           {"evicted", books.evicted},
                                                                           {"in flight", books.in_flight},
                                                                           {"missed", books.missed}}};
    for (const auto &[name, count] : others)
        if (count != 0)
            pairs.emplace_back(name, count_text(count));
    for (const auto &[reason, count] : books.dropped)
        pairs.emplace_back("dropped, " + reason, count_text(count));
    for (const auto &[reason, count] : books.not_followed)
        pairs.emplace_back("not followed, " + reason, count_text(count));
    draw_pairs(html, pairs);
}

// ---- hooks

void draw_hooks(Html &html, const RunResult &result) {
    Html::Element section = open_section(html, "hooks", "Hooks");
    paragraph(html, "Where each station is seen, and how often.");
    std::vector<std::string> refused; // each once
    draw_table(html, "cards", {{"station"}, {"hook"}, {"hits", true}, {"missed", true}}, [&](Html &into) {
        for (const StationResult &station : result.stations) {
            Html::Element row = into.open("tr");
            into.element("th", name_of(station.station), {{"scope", "row"}});
            into.element("td", station.hook);
            count_cell(into, "hits", station.hits);
            count_cell(into, "missed", station.missed);
            for (const Attempt &attempt : station.tried) {
                std::string text = fmt::format("{}: {}", attempt.rung.text(), attempt.result);
                if (attempt.result != "used" && std::find(refused.begin(), refused.end(), text) == refused.end())
                    refused.push_back(text);
            }
        }
    });
    if (refused.empty())
        return;
    html.element("h3", "Tried before, and not to be had on this kernel");
    Html::Element list = html.open("ul", {{"class", "refused"}});
    for (const std::string &text : refused)
        html.element("li", text);
}

void draw_timelines(Html &html, const RunResult &result) {
    if (result.timelines.empty())
        return;
    Html::Element section = open_section(html, "timelines", "Single transactions");
    paragraph(html, "Each was followed from its send() on, moment by moment; a row is a CPU and what ran on it.");
    for (const Timeline &timeline : result.timelines) {
        html.element("h3", fmt::format("transaction {}", count_text(timeline.transaction)));
        draw_moments(html, moments_of(timeline, result.hops));
    }
}

} // namespace

std::vector<std::string> facts_of(const LoadResult &load) {
    std::vector<std::string> facts = {fmt::format("TCP_RR {}/{} byte", load.request_bytes, load.response_bytes),
                                      fmt::format("{} flow{}", load.flows, load.flows == 1 ? "" : "s"),
                                      load.client_cpu == load.server_cpu
                                          ? fmt::format("CPU {}", load.client_cpu)
                                          : fmt::format("CPUs {} and {}", load.client_cpu, load.server_cpu),
                                      count_text(load.transactions) + " transactions"};
    if (load.sample != 1)
        facts.push_back(fmt::format("1 in {} followed", load.sample));
    return facts;
}

void draw_stage(Html &html, Stage stage) {
    std::string name(name_of(stage));
    Html::Element element = html.open("span", {{"class", "stage stage-" + name}});
    html.text(name);
}

void draw_ways(Html &html, const RunResult &result) {
    Html::Element figure = html.open("figure", {{"class", "ways"}});
    for (PictureSize size : {PictureSize::wide, PictureSize::narrow})
        if (std::optional<WayLayout> layout = lay_out_way(result, size))
            draw_way(html, *layout);
        else if (size == PictureSize::wide)
            paragraph(html, no_picture);
}

void draw_small_way(Html &html, const RunResult &result, double thickest_ns) {
    Html::Element figure = html.open("figure", {{"class", "small-way"}});
    if (std::optional<WayLayout> layout = lay_out_way(result, PictureSize::small, thickest_ns))
        draw_way(html, *layout);
    else
        paragraph(html, no_picture);
}

std::string to_page(const RunResult &result) {
    std::vector<std::string> facts = facts_of(result.load);
    facts.insert(facts.begin(), fmt::format("{} topology", name_of(result.topology)));
    facts.push_back("kernel " + result.environment.kernel);
    PageHead head{fmt::format("{}, {}", name_of(result.mode), name_of(result.topology)),
                  fmt::format("Where the time of a packet goes: {}", name_of(result.mode)), std::move(facts),
                  result.environment.tool};
    auto body = [&](Html &html) {
        draw_verdict(html, result.valid, result.warnings);
        draw_summary(html, result);
        draw_way_section(html, result);
        draw_ledger(html, result);
        draw_distributions(html, result);
        draw_hops(html, result);
        draw_softirq(html, result);
        draw_timelines(html, result);
        draw_packets(html, result);
        draw_hooks(html, result);
        draw_environment(html, result.environment);
    };
    return page_of(head, body, to_text(to_json(result), false),
                   {&page_script, &charts_library, &charts_script, &run_script});
}

} // namespace vethtrace
