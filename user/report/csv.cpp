// SPDX-License-Identifier: GPL-2.0-only
#include "report/csv.hpp"

#include "core/units.hpp"
#include "core/utc.hpp"
#include "report/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace vethtrace {

namespace {

template<typename Distribution>
void add_times(Csv &csv, const Distribution &time) {
    csv.number(std::optional(time.count()));
    csv.number(std::optional(time.sum()));
    csv.number(time.mean());
    csv.number(time.min());
    csv.number(time.max());
    for (double quantile : {0.5, 0.9, 0.99, 0.999})
        csv.number(time.percentile(quantile));
}

constexpr int time_columns = 9;

void add_difference(Csv &csv, const Difference &difference) {
    csv.number(std::optional(difference.mean));
    csv.number(difference.half_width ? std::optional(difference.low()) : std::nullopt);
    csv.number(difference.half_width ? std::optional(difference.high()) : std::nullopt);
}

// What is not of a stage has its place in that column all the same.
void add_total(Csv &csv, const Delta &delta, std::string_view name, const std::optional<double> &mode,
               const std::optional<double> &against, const Difference &difference) {
    csv.text(delta.mode);
    csv.text(delta.against);
    csv.text(name);
    csv.number(mode);
    csv.number(against);
    add_difference(csv, difference);
    csv.empty(2);
    csv.text(name == "rtt" ? name_of(delta.verdict) : "");
    csv.next();
}

std::string deltas_csv(std::span<const Delta> deltas) {
    Csv csv;
    csv.line({"mode", "against", "stage", "mode_ns", "against_ns", "delta_ns", "ci95_low_ns", "ci95_high_ns",
              "adjusted_p", "matters", "verdict"});
    for (const Delta &delta : deltas) {
        for (const StageDelta &stage : delta.stages) {
            csv.text(delta.mode);
            csv.text(delta.against);
            csv.text(name_of(stage.stage));
            csv.number(stage.mode_ns);
            csv.number(stage.against_ns);
            add_difference(csv, stage.delta);
            csv.number(stage.adjusted_p);
            csv.flag(stage.matters);
            csv.empty();
            csv.next();
        }
        add_total(csv, delta, "unexplained", std::nullopt, std::nullopt, delta.unexplained);
        add_total(csv, delta, "rtt", delta.against_rtt_ns + delta.rtt.mean, delta.against_rtt_ns, delta.rtt);
        add_total(csv, delta, "rtt_traced", std::nullopt, std::nullopt, delta.traced);
    }
    return csv.take();
}

void begin_window_line(Csv &csv, std::uint64_t number, const std::string &begun, Nanoseconds duration_ns,
                       std::string_view kind) {
    csv.number(std::optional(number));
    csv.text(begun);
    csv.number(std::optional(static_cast<double>(duration_ns) / ns_per_s));
    csv.text(kind);
}

void add_drop(Csv &csv, const std::string &target, Flow flow, Station last, const std::string &reason,
              std::uint64_t count) {
    csv.text(target);
    csv.text(name_of(flow));
    csv.empty();
    csv.text(name_of(last));
    csv.empty(2);
    csv.text(reason);
    csv.number(std::optional(count));
    csv.empty(1 + time_columns);
    csv.next();
}

} // namespace

// A spreadsheet takes a cell for a formula that begins with one of these, in quotes or not; behind an apostrophe it is
// text. https://owasp.org/www-community/attacks/CSV_Injection
void Csv::text(std::string_view text) {
    constexpr std::string_view begins_formula = "=+-@\t\r\n";
    std::string written;
    if (!text.empty() && begins_formula.find(text.front()) != std::string_view::npos)
        written += '\'';
    written += text;
    // Some spreadsheets take semicolons and tabs for commas.
    if (written.find_first_of(",;\t\"\r\n") == std::string::npos)
        return cell(written);
    std::string quoted = "\"";
    for (char letter : written) {
        if (letter == '"')
            quoted += '"';
        quoted += letter;
    }
    cell(quoted + '"');
}

void Csv::number(const std::optional<double> &value) {
    cell(value ? fmt::format("{}", rounded(*value)) : "");
}

void Csv::number(const std::optional<std::uint64_t> &value) {
    cell(value ? std::to_string(*value) : "");
}

void Csv::flag(bool value) {
    cell(value ? "true" : "false");
}

void Csv::empty(int cells) {
    for (int i = 0; i < cells; ++i)
        cell("");
}

void Csv::cell(std::string_view written) {
    if (!begins_line_)
        out_ += ',';
    out_ += written;
    begins_line_ = false;
}

void Csv::next() {
    out_ += "\r\n";
    begins_line_ = true;
}

void Csv::line(const std::vector<std::string_view> &texts) {
    for (std::string_view each : texts)
        text(each);
    next();
}

std::string Csv::take() {
    return std::move(out_);
}

std::string to_csv(const RunResult &result) {
    auto transactions = static_cast<double>(std::max<std::uint64_t>(result.load.followed(), 1));
    Csv csv;
    csv.line({"direction", "from", "to", "stage", "per_transaction_ns", "count", "sum_ns", "mean_ns", "min_ns",
              "max_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "observer_ns", "corrected_mean_ns"});
    for (const Hop &hop : result.hops) {
        bool any = hop.time.count() != 0;
        csv.text(name_of(hop.name.direction));
        csv.text(name_of(hop.name.from));
        csv.text(name_of(hop.name.to));
        csv.text(name_of(hop.name.stage));
        csv.number(std::optional(static_cast<double>(hop.time.sum()) / transactions));
        add_times(csv, hop.time);
        csv.number(any ? std::optional(hop.observer_ns) : std::nullopt);
        csv.number(any ? std::optional(hop.corrected_mean_ns) : std::nullopt);
        csv.next();
    }
    constexpr int corrections = 2;
    auto add_total = [&](std::string_view name, double ns) {
        csv.empty(3);
        csv.text(name);
        csv.number(std::optional(ns));
    };
    add_total("unexplained", result.ledger.unexplained_mean_ns);
    csv.empty(time_columns + corrections);
    csv.next();
    add_total("rtt", result.ledger.rtt_mean_ns);
    add_times(csv, result.load.followed_rtt);
    csv.empty(corrections);
    csv.next();
    return csv.take();
}

std::string to_csv(const CompareResult &result) {
    return deltas_csv(result.deltas);
}

std::string to_csv(const DiffResult &result) {
    return deltas_csv(result.deltas);
}

std::string to_csv(const RrResult &result) {
    Csv csv;
    csv.line({"server", "flows", "request_bytes", "response_bytes", "duration_s", "transactions_per_s", "count",
              "sum_ns", "mean_ns", "min_ns", "max_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns"});
    const LoadResult &load = result.load;
    csv.text(result.server);
    for (std::uint64_t count : {load.flows, load.request_bytes, load.response_bytes})
        csv.number(std::optional(count));
    csv.number(std::optional(static_cast<double>(load.duration_ns) / ns_per_s));
    csv.number(per_second(static_cast<double>(load.transactions), load.duration_ns));
    add_times(csv, load.rtt);
    csv.next();
    return csv.take();
}

std::string to_csv(const std::vector<Choice> &choices, const Environment &environment) {
    Csv csv;
    csv.line({"kernel", "ladder", "purpose", "hook", "tried", "kind", "result"});
    for (const Choice &choice : choices)
        for (const Attempt &attempt : choice.tried) {
            csv.text(environment.kernel);
            csv.text(choice.ladder.name);
            csv.text(choice.ladder.purpose);
            csv.text(choice.used ? choice.used->text() : "");
            csv.text(attempt.rung.text());
            csv.text(name_of(attempt.rung.kind));
            csv.text(attempt.result);
            csv.next();
        }
    return csv.take();
}

std::string watch_csv_heading() {
    Csv csv;
    csv.line({"window", "begun",  "duration_s", "kind",    "target",        "direction", "stage",  "from",
              "to",     "group",  "reason",     "packets", "packets_per_s", "count",     "sum_ns", "mean_ns",
              "min_ns", "max_ns", "p50_ns",     "p90_ns",  "p99_ns",        "p999_ns"});
    return csv.take();
}

std::string to_csv(const WatchWindow &window) {
    Csv csv;
    std::string begun = utc_text(window.begun);
    for (const WatchSeries &series : window.series) {
        double packets = window.all_of(series.time.count());
        begin_window_line(csv, window.number, begun, window.duration_ns, "hop");
        csv.text(series.target);
        csv.text(name_of(series.flow));
        csv.text(name_of(series.stage));
        csv.text(name_of(series.from));
        csv.text(name_of(series.to));
        csv.text(series.group);
        csv.empty();
        csv.number(std::optional(static_cast<std::uint64_t>(std::llround(packets))));
        csv.number(per_second(packets, window.duration_ns));
        add_times(csv, series.time);
        csv.next();
    }
    for (const WatchDrop &drop : window.drops) {
        begin_window_line(csv, window.number, begun, window.duration_ns, "drop");
        add_drop(csv, drop.target, drop.flow, drop.last, drop.reason, drop.count);
    }
    return csv.take();
}

std::string to_csv(const WatchTotals &totals) {
    Csv csv;
    std::string begun = utc_text(totals.begun());
    for (const auto &[key, total] : totals.series()) {
        const auto &[target, flow, from, to] = key;
        begin_window_line(csv, 0, begun, totals.duration_ns(), "hop");
        csv.text(target);
        csv.text(name_of(flow));
        csv.text(name_of(total.stage));
        csv.text(name_of(from));
        csv.text(name_of(to));
        csv.empty(2);
        csv.number(std::optional(total.packets));
        csv.number(per_second(static_cast<double>(total.packets), totals.duration_ns()));
        add_times(csv, total.time);
        csv.next();
    }
    for (const auto &[key, count] : totals.drops()) {
        begin_window_line(csv, 0, begun, totals.duration_ns(), "drop");
        add_drop(csv, std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), count);
    }
    return csv.take();
}

} // namespace vethtrace
