// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch.hpp"

#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <tuple>

namespace vethtrace {

namespace {

// With fewer packets a rule keeps silent.
constexpr std::uint64_t enough_packets = 100;
// A stage is called the one that dominates when it has more than half of a packet's time.
constexpr double dominant_share = 0.5;

double us(double ns) {
    return ns / ns_per_us;
}

struct Spent {
    std::map<Stage, SparseHistogram> stages;
    double sum_ns = 0; // without the time in which the application was not reading
};

// What the packets of each target spent where, in one direction.
std::map<std::pair<std::string, Flow>, Spent> spent_by_target(const WatchWindow &window) {
    std::map<std::pair<std::string, Flow>, Spent> all;
    for (const WatchSeries &series : window.series) {
        Spent &spent = all[{series.target, series.flow}];
        spent.stages[series.stage].merge(series.time);
        if (series.stage != Stage::wakeup)
            spent.sum_ns += static_cast<double>(series.time.sum());
    }
    return all;
}

Advice advice(std::string rule, std::string what, std::string evidence, std::string setting) {
    std::string page = "docs/advice.md#" + rule;
    return {std::move(rule), std::move(what), std::move(evidence), std::move(setting), std::move(page)};
}

// The target whose packets wait longest on one of the stages, if they do for longer than `mean` or `p99` ns.
struct Wait {
    std::string target;
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;
    double mean = 0;
    double p99 = 0;
    std::uint64_t count = 0;

    [[nodiscard]] std::string text() const {
        return fmt::format("{}, {}, {}: mean {:.1f} us, p99 {:.1f} us, {} packets", target, name_of(flow),
                           name_of(stage), us(mean), us(p99), count);
    }
};

std::optional<Wait> longest_wait(const WatchWindow &window, std::initializer_list<Stage> stages, double mean,
                                 double p99) {
    std::optional<Wait> longest;
    for (const auto &[whose, spent] : spent_by_target(window)) {
        for (Stage stage : stages) {
            auto time = spent.stages.find(stage);
            if (time == spent.stages.end() || time->second.count() < enough_packets)
                continue;
            Wait wait{whose.first,
                      whose.second,
                      stage,
                      *time->second.mean(),
                      time->second.percentile(0.99).value_or(0),
                      time->second.count()};
            if ((wait.mean > mean || wait.p99 > p99) && (!longest || wait.mean > longest->mean))
                longest = wait;
        }
    }
    return longest;
}

NodeCounters::Cpu sum_of(const NodeCounters &node) {
    NodeCounters::Cpu sum;
    for (const NodeCounters::Cpu &cpu : node.cpus) {
        sum.net_rx_runs += cpu.net_rx_runs;
        sum.ksoftirqd_runs += cpu.ksoftirqd_runs;
        sum.packets += cpu.packets;
        sum.time_squeezed += cpu.time_squeezed;
        sum.backlog_dropped += cpu.backlog_dropped;
    }
    return sum;
}

std::uint64_t drops_by(const WatchWindow &window, std::initializer_list<std::string_view> reasons) {
    std::uint64_t count = 0;
    for (const WatchDrop &drop : window.drops)
        if (std::find(reasons.begin(), reasons.end(), drop.reason) != reasons.end())
            count += drop.count;
    return count;
}

// ---- the rules

// Once NET_RX has run for two jiffies or ten rounds the rest is left to ksoftirqd, which waits for its turn like any
// other task (kernel/softirq.c).
std::optional<Advice> ksoftirqd(const WatchWindow &window) {
    constexpr double long_mean = 50 * ns_per_us;
    constexpr double long_p99 = 500 * ns_per_us;
    constexpr double large_share = 0.2;
    NodeCounters::Cpu node = sum_of(window.node);
    auto share =
        static_cast<double>(node.ksoftirqd_runs) / static_cast<double>(std::max<std::uint64_t>(node.net_rx_runs, 1));
    std::optional<Wait> wait = longest_wait(window, {Stage::backlog}, long_mean, long_p99);
    if (!wait || share < large_share)
        return std::nullopt;
    return advice(
        "ksoftirqd",
        fmt::format("packets of {} wait in a backlog that ksoftirqd empties, as a task among others", wait->target),
        fmt::format("{} of {} NET_RX runs in ksoftirqd ({:.0f} %); {}", node.ksoftirqd_runs, node.net_rx_runs,
                    share * percent, wait->text()),
        "what else runs on that CPU, its softirq load, RPS (rps_cpus) to spread it");
}

std::optional<Advice> time_squeeze(const WatchWindow &window) {
    constexpr std::uint64_t often = 10;
    constexpr double share = 0.01;
    NodeCounters::Cpu node = sum_of(window.node);
    if (node.time_squeezed < often ||
        static_cast<double>(node.time_squeezed) < share * static_cast<double>(node.net_rx_runs))
        return std::nullopt;
    return advice("time-squeeze", "NET_RX stops with packets left, because its budget is used up",
                  fmt::format("time_squeeze grew by {} in {} NET_RX runs of watched packets", node.time_squeezed,
                              node.net_rx_runs),
                  "net.core.netdev_budget and netdev_budget_usecs");
}

std::optional<Advice> backlog_drops(const WatchWindow &window) {
    std::uint64_t dropped = sum_of(window.node).backlog_dropped;
    std::uint64_t ours = drops_by(window, {"CPU_BACKLOG"});
    if (dropped == 0 && ours == 0)
        return std::nullopt;
    return advice("backlog-drops", "a CPU's backlog is full, and packets are dropped",
                  fmt::format("{} dropped by all CPUs (softnet_stat), {} of them watched", dropped, ours),
                  "net.core.netdev_max_backlog, and RPS (rps_cpus) to spread the load");
}

std::optional<Advice> one_cpu(const WatchWindow &window) {
    constexpr double nearly_all = 0.9;
    constexpr std::uint64_t busy = 10'000; // packets a second: below that one CPU is as good as many
    NodeCounters::Cpu node = sum_of(window.node);
    auto most =
        std::max_element(window.node.cpus.begin(), window.node.cpus.end(),
                         [](const NodeCounters::Cpu &a, const NodeCounters::Cpu &b) { return a.packets < b.packets; });
    double rate = per_second(static_cast<double>(node.packets), window.duration_ns).value_or(0);
    if (window.node.cpus.size() < 2 || rate < busy ||
        static_cast<double>(most->packets) < nearly_all * static_cast<double>(node.packets))
        return std::nullopt;
    return advice("one-cpu", fmt::format("CPU {} receives nearly all packets of the node", most->id),
                  fmt::format("{} of {} packets in this window, on {} CPUs", most->packets, node.packets,
                              window.node.cpus.size()),
                  "RPS (rps_cpus) of the devices, and interrupt affinity of the network card");
}

std::optional<Advice> netfilter(const WatchWindow &window) {
    constexpr double long_mean = 5 * ns_per_us;
    for (const auto &[whose, spent] : spent_by_target(window)) {
        auto time = spent.stages.find(Stage::host_forward);
        if (time == spent.stages.end() || time->second.count() < enough_packets)
            continue;
        double share = static_cast<double>(time->second.sum()) / spent.sum_ns;
        if (share < dominant_share || *time->second.mean() < long_mean)
            continue;
        return advice(
            "netfilter",
            fmt::format("packets of {} spend most of their way in the host's routing and netfilter hooks", whose.first),
            fmt::format("host_forward: mean {:.1f} us, {:.0f} % of the way {}, {} packets", us(*time->second.mean()),
                        share * percent, name_of(whose.second), time->second.count()),
            "the number of rules in FORWARD and its chains, conntrack, sets and maps in place of long lists");
    }
    return std::nullopt;
}

std::optional<Advice> qdisc_wait(const WatchWindow &window) {
    constexpr double long_mean = 20 * ns_per_us;
    constexpr double long_p99 = 500 * ns_per_us;
    std::optional<Wait> wait = longest_wait(window, {Stage::qdisc, Stage::uplink_qdisc}, long_mean, long_p99);
    if (!wait)
        return std::nullopt;
    return advice("qdisc-wait", fmt::format("packets of {} wait in a qdisc", wait->target), wait->text(),
                  "`tc -s qdisc` of that device: shaping, its backlog, what else it sends");
}

std::optional<Advice> socket_buffer(const WatchWindow &window) {
    std::uint64_t dropped = drops_by(window, {"SOCKET_RCVBUFF", "SOCKET_BACKLOG", "PROTO_MEM", "UDP_RCVBUFF"});
    if (dropped == 0)
        return std::nullopt;
    return advice("socket-buffer", "a socket's buffer is full, and packets for it are dropped",
                  fmt::format("{} dropped for want of room in a socket", dropped),
                  "whether the application keeps up, then SO_RCVBUF, net.core.rmem_max and net.ipv4.tcp_rmem");
}

std::optional<Advice> slow_reader(const WatchWindow &window) {
    constexpr double long_mean = 1000 * ns_per_us;
    std::optional<Wait> wait = longest_wait(window, {Stage::wakeup}, long_mean, long_mean * 1000);
    if (!wait)
        return std::nullopt;
    return advice("slow-reader", fmt::format("data waits for the application of {} to read it", wait->target),
                  wait->text(), "the run queue of its CPUs, cpu.max of its control group (throttling), what it does");
}

using Rule = std::optional<Advice> (*)(const WatchWindow &);
constexpr std::array<Rule, 8> rules = {backlog_drops, socket_buffer, ksoftirqd, time_squeeze,
                                       one_cpu,       qdisc_wait,    netfilter, slow_reader};

} // namespace

std::vector<Advice> advise(const WatchWindow &window) {
    std::vector<Advice> all;
    for (Rule rule : rules)
        if (std::optional<Advice> piece = rule(window))
            all.push_back(std::move(*piece));
    return all;
}

} // namespace vethtrace
