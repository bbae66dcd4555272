// SPDX-License-Identifier: GPL-2.0-only
#include "report/text.hpp"

#include "core/footprint.hpp"
#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

std::string percentile_text(const Histogram &histogram, double quantile) {
    std::optional<double> value = histogram.percentile(quantile);
    return value ? duration_text(*value) : "-";
}

std::string optional_text(const std::optional<Nanoseconds> &value) {
    return value ? duration_text(static_cast<double>(*value)) : "-";
}

// ---- parts of a run

constexpr int hop_width = 42;
constexpr int widest_bar = 24;

double share_of(const Hop &hop, const RunResult &result) {
    double rtt = result.ledger.rtt_mean_ns * static_cast<double>(result.load.followed());
    return rtt > 0 ? static_cast<double>(hop.time.sum()) / rtt : 0;
}

std::string hop_text(const HopName &name) {
    if (name.stage == Stage::segments)
        return fmt::format("{}, first to last segment", name_of(name.to));
    return fmt::format("{} -> {}", name_of(name.from), name_of(name.to));
}

std::string heading(const RunResult &result) {
    const LoadResult &load = result.load;
    std::string cpus = load.client_cpu == load.server_cpu ? fmt::format("CPU {}", load.client_cpu)
                                                          : fmt::format("CPUs {},{}", load.client_cpu, load.server_cpu);
    return fmt::format("vethtrace {}  {}, {} topology  TCP_RR {}/{} byte, {} flow{}, {}  kernel {}  {} transactions{}",
                       result.environment.tool, name_of(result.mode), name_of(result.topology), load.request_bytes,
                       load.response_bytes, load.flows, load.flows == 1 ? "" : "s", cpus, result.environment.kernel,
                       count_text(load.transactions),
                       load.sample == 1 ? "" : fmt::format(", 1 in {} followed", load.sample));
}

std::string hop_rows(const RunResult &result, const TextStyle &style) {
    std::string out;
    double largest = 0;
    for (const Hop &hop : result.hops)
        largest = std::max(largest, share_of(hop, result));
    // What is left of a narrow terminal is the bar's.
    constexpr int before_bar = 105;
    int bar_width = std::clamp(style.width - before_bar, 0, widest_bar);

    std::optional<Direction> direction;
    int number = 0;
    for (const Hop &hop : result.hops) {
        if (hop.time.count() == 0 && !hop.name.every_message)
            continue; // a hop that only larger messages have
        if (direction != hop.name.direction) {
            direction = hop.name.direction;
            out += painted(fmt::format(" {:<{}} {:<12} {:>9} {:>8} {:>8} {:>8} {:>8}", name_of(*direction),
                                       hop_width + 3, "stage", "n", "mean", "p50", "p99", "max"),
                           Tone::strong, style);
            out += '\n';
        }
        double share = share_of(hop, result);
        auto bar = static_cast<std::size_t>(largest > 0 ? std::lround(share / largest * bar_width) : 0);
        std::optional<double> mean = hop.time.mean();
        out += fmt::format(" {:>2}  {:<{}} {:<12} {:>9} {:>8} {:>8} {:>8} {:>8}", ++number, hop_text(hop.name),
                           hop_width - 1, name_of(hop.name.stage), count_text(hop.time.count()),
                           mean ? duration_text(*mean) : "-", percentile_text(hop.time, 0.5),
                           percentile_text(hop.time, 0.99), optional_text(hop.time.max()));
        if (bar != 0)
            out += "  " + painted(std::string(bar, '#'), Tone::bar, style);
        out += '\n';
    }
    return out;
}

std::string ledger_line(const RunResult &result) {
    const Ledger &ledger = result.ledger;
    return fmt::format(" ledger    hops {} {} unexplained {} = RTT {}   ({:.1f} % explained)\n",
                       duration_text(ledger.explained_mean_ns), ledger.unexplained_mean_ns < 0 ? "-" : "+",
                       duration_text(std::abs(ledger.unexplained_mean_ns)), duration_text(ledger.rtt_mean_ns),
                       ledger.explained_ratio * percent);
}

std::string rtt_line(const LoadResult &load) {
    const Histogram &rtt = load.rtt;
    double rate = per_second(static_cast<double>(load.transactions), load.duration_ns).value_or(0);
    constexpr double most_rate = 1e12; // a stored result may say anything
    return fmt::format(" rtt       mean {}  min {}  p50 {}  p90 {}  p99 {}  p99.9 {}  max {}   {} transactions/s\n",
                       rtt.mean() ? duration_text(*rtt.mean()) : "-", optional_text(rtt.min()),
                       percentile_text(rtt, 0.5), percentile_text(rtt, 0.9), percentile_text(rtt, 0.99),
                       percentile_text(rtt, 0.999), optional_text(rtt.max()),
                       count_text(static_cast<std::uint64_t>(std::min(rate, most_rate))));
}

std::string softirq_line(const RunResult &result) {
    const NetRx &net_rx = result.net_rx;
    auto transactions = static_cast<double>(std::max<std::uint64_t>(result.load.followed(), 1));
    std::vector<std::string> contexts;
    auto add = [&](std::uint64_t count, std::string_view name) {
        if (count != 0)
            contexts.push_back(fmt::format("{} {:.2f}", name, static_cast<double>(count) / transactions));
    };
    add(net_rx.inline_, "inline");
    add(net_rx.irq_exit, "irq exit");
    add(net_rx.ksoftirqd, "ksoftirqd");
    add(net_rx.other_cpu, "for another CPU");
    add(net_rx.other, "other");
    auto mean = [](const Histogram &histogram) { return histogram.mean() ? duration_text(*histogram.mean()) : "-"; };
    return fmt::format(" softirq   NET_RX runs per transaction {:.2f} ({})   wait {}, run {} each\n",
                       static_cast<double>(net_rx.runs) / transactions, fmt::join(contexts, ", "), mean(net_rx.wait),
                       mean(net_rx.run));
}

std::string budget_line(const RunResult &result) {
    const std::optional<Budget> &budget = result.budget;
    if (!budget)
        return "";
    return fmt::format(
        " budget    at most {:.1f} %: following all would add {:.1f} %, the programs alone {:.1f} %; 1 in {} "
        "is followed and added {:.1f} %\n",
        budget->limit * percent, budget->all_followed * percent, budget->none_followed * percent, budget->sample,
        result.observer.added_ratio * percent);
}

std::string cost_line(const RunResult &result) {
    const Observer &observer = result.observer;
    const Conservation &conservation = result.conservation;
    std::string interval =
        observer.added_ci95_ns ? fmt::format(" +-{}", duration_text(*observer.added_ci95_ns)) : std::string();
    return fmt::format(" cost      tracing added {}{}{} (untraced {})   {}: {} packets entered, {} completed\n",
                       observer.added_ns < 0 ? "-" : "", duration_text(std::abs(observer.added_ns)), interval,
                       duration_text(observer.untraced_rtt_mean_ns),
                       conservation.balanced() ? "balanced" : "NOT BALANCED", count_text(conservation.entered),
                       count_text(conservation.completed)) +
           budget_line(result);
}

std::string hooks_line(const RunResult &result, const TextStyle &style) {
    std::vector<std::string> hooks;
    for (const StationResult &station : result.stations)
        if (station.hook != "load" && std::find(hooks.begin(), hooks.end(), station.hook) == hooks.end())
            hooks.push_back(station.hook);
    std::string out = fmt::format(" hooks     {}\n", fmt::join(hooks, ", "));
    if (style.verbosity < 1)
        return out;
    std::vector<std::string> shown;
    for (const StationResult &station : result.stations)
        for (const Attempt &attempt : station.tried) {
            std::string line = fmt::format("           {:<28} {}\n", attempt.rung.text(), attempt.result);
            if (std::find(shown.begin(), shown.end(), line) == shown.end())
                shown.push_back(line);
        }
    return out + fmt::format("{}", fmt::join(shown, ""));
}

} // namespace

std::string timeline_text(const Timeline &timeline, const TextStyle &style) {
    std::string out = painted(fmt::format("\n transaction {}{:>28}  {:>8} {:>4}  {:<8} {:<16} {}\n",
                                          timeline.transaction, "at", "+", "cpu", "pid", "task", "context"),
                              Tone::strong, style);
    Nanoseconds before = 0;
    for (const TimelineMark &mark : timeline.marks) {
        out +=
            fmt::format("   {:<24} {:>12}  {:>8} {:>4}  {:<8} {:<16} {}\n", name_of(mark.station),
                        fmt::format("{:.3f}us", static_cast<double>(mark.since_send) / ns_per_us),
                        mark.since_send < before ? "?" : duration_text(static_cast<double>(mark.since_send - before)),
                        mark.cpu, mark.pid, mark.comm, mark.context);
        before = mark.since_send;
    }
    return out;
}

std::string to_text(const RunResult &result, const TextStyle &style) {
    std::string out;
    if (style.verbosity >= 0) {
        out += painted(heading(result), Tone::strong, style) + "\n";
        out += hop_rows(result, style);
        out += rtt_line(result.load);
        out += ledger_line(result);
        out += softirq_line(result);
        out += cost_line(result);
        out += hooks_line(result, style);
        out += machine_line(result.environment, style);
        for (const Timeline &timeline : result.timelines)
            out += timeline_text(timeline, style);
        out += '\n';
    }
    out += closing_sentence(result) + "\n";
    if (!result.valid)
        out += painted("This result is not valid:", Tone::bad, style) + "\n";
    for (const std::string &warning : result.warnings)
        out += painted("  ! ", Tone::bad, style) + warning + "\n";
    return out;
}

std::string closing_sentence(const RunResult &result, std::string_view means) {
    std::map<Stage, double> stages;
    for (const Hop &hop : result.hops)
        stages[hop.name.stage] += share_of(hop, result);
    auto largest = std::max_element(stages.begin(), stages.end(),
                                    [](const auto &a, const auto &b) { return a.second < b.second; });
    if (largest == stages.end() || result.load.followed() == 0)
        return "Nothing was measured.";
    const Observer &observer = result.observer;
    std::string cost;
    if (observer.added_ci95_ns && std::abs(observer.added_ns) < *observer.added_ci95_ns)
        cost = "tracing does not change that beyond this run's noise";
    else
        cost = fmt::format("tracing made the round trip {:.0f} % longer, and {} include that",
                           observer.added_ratio * percent, means);
    return fmt::format("The largest stage is {} with {:.0f} % of the round trip; {}.", name_of(largest->first),
                       largest->second * percent, cost);
}

std::string to_text(const RrResult &result, const TextStyle &style) {
    const LoadResult &load = result.load;
    std::string out;
    if (style.verbosity >= 0)
        out += painted(fmt::format("vethtrace {}  TCP_RR {}/{} byte, {} flow{} to {}  {} transactions",
                                   result.environment.tool, load.request_bytes, load.response_bytes, load.flows,
                                   load.flows == 1 ? "" : "s", result.server, count_text(load.transactions)),
                       Tone::strong, style) +
               "\n";
    return out + rtt_line(load);
}

std::string to_text(const std::vector<Choice> &choices, const Environment &environment, const TextStyle &style) {
    std::string out = painted(fmt::format("vethtrace {}  libbpf {}  kernel {}", environment.tool, environment.libbpf,
                                          environment.kernel),
                              Tone::strong, style) +
                      "\n";
    for (const Choice &choice : choices) {
        std::string used =
            choice.used ? painted(choice.used->text(), Tone::good, style) : painted("no hook", Tone::bad, style);
        out += fmt::format(" {:<16} {:<46} {}\n", choice.ladder.name, choice.ladder.purpose, used);
        for (const Attempt &attempt : choice.tried)
            if (!choice.used || attempt.rung.text() != choice.used->text())
                out +=
                    painted(fmt::format("   {:<28} {}", attempt.rung.text(), attempt.result), Tone::dim, style) + "\n";
    }
    constexpr std::size_t kibi = 1024;
    return out + fmt::format(" memory of the maps: {} KiB for each of {} CPUs, {} KiB for all (one flow)\n",
                             map_bytes_of_each_cpu / kibi, environment.cpus, map_bytes_shared(1, 0) / kibi);
}

} // namespace vethtrace
