// SPDX-License-Identifier: GPL-2.0-only
#include "core/advice.hpp"

#include "core/evidence.hpp"
#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <span>

namespace vethtrace {

namespace {

// What a packet may wait without anybody being to blame, in ns. Only what is beyond counts.
constexpr double usual_backlog = 50 * ns_per_us;
constexpr double usual_qdisc = 20 * ns_per_us;
constexpr double usual_wakeup = 1 * ns_per_ms;

// Of a CPU's NET_RX runs, from which on it counts that ksoftirqd does them.
constexpr double large_ksoftirqd_share = 0.2;
constexpr std::uint64_t many_squeezes = 10;

Advice advice(std::string_view rule, std::string what, std::string evidence, std::string_view setting) {
    return {std::string(rule), std::move(what), std::move(evidence), std::string(setting),
            fmt::format("docs/advice.md#{}", rule)};
}

std::string owner(const std::string &target) {
    return target.empty() ? "the host" : target;
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

double share_of(std::uint64_t part, std::uint64_t all) {
    return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

std::vector<WatchDrop> drops_by(const Evidence &evidence, std::span<const std::string_view> reasons) {
    std::vector<WatchDrop> drops;
    for (const WatchDrop &drop : evidence.drops())
        if (std::find(reasons.begin(), reasons.end(), drop.reason) != reasons.end())
            drops.push_back(drop);
    std::stable_sort(drops.begin(), drops.end(),
                     [](const WatchDrop &a, const WatchDrop &b) { return a.count > b.count; });
    return drops;
}

std::uint64_t count_of(const std::vector<WatchDrop> &drops) {
    std::uint64_t count = 0;
    for (const WatchDrop &drop : drops)
        count += drop.count;
    return count;
}

std::string place_of(const WatchDrop &drop, const Evidence &evidence) {
    std::string device = evidence.device_at(drop.target, drop.last);
    return device.empty() ? name_of(drop.last) : fmt::format("{} ({})", name_of(drop.last), device);
}

// "7 of web, in, last seen at receive@host (veth1), NETFILTER_DROP; ..."
std::string text_of(const std::vector<WatchDrop> &drops, const Evidence &evidence) {
    constexpr std::size_t most = 3;
    std::vector<std::string> lines;
    std::uint64_t told = 0;
    for (const WatchDrop &drop : drops) {
        if (lines.size() == most)
            break;
        lines.push_back(fmt::format("{} of {}, {}, last seen at {}, {}", drop.count,
                                    drop.target.empty() ? "nobody known" : drop.target, name_of(drop.flow),
                                    place_of(drop, evidence), drop.reason));
        told += drop.count;
    }
    if (std::uint64_t rest = count_of(drops) - told; rest != 0)
        lines.push_back(fmt::format("{} more", rest));
    return fmt::format("{}", fmt::join(lines, "; "));
}

// ---- rules about packets that were lost

struct Loss {
    std::string_view rule;
    std::string_view what;
    std::string_view setting;
    std::vector<std::string_view> reasons;
    std::uint64_t WatchSockets::*counted = nullptr; // by the kernel, whether or not a hook sees it
    std::string_view of_counted = {};
};

const std::array<Loss, 9> &losses() {
    static const std::array<Loss, 9> all = {{
        {"socket-buffer",
         "a socket's buffer is full, and packets for it are dropped",
         "whether the application keeps up, then SO_RCVBUF, net.core.rmem_max and net.ipv4.tcp_rmem",
         {"SOCKET_RCVBUFF", "SOCKET_BACKLOG", "PROTO_MEM"},
         &WatchSockets::buffer_full,
         "packets refused by full sockets"},
        {"listen-overflow",
         "connections are refused, because the queue of a listening socket is full",
         "whether the application accepts in time, then the backlog of its listen() and net.core.somaxconn",
         {"TCP_LISTEN_OVERFLOW"},
         &WatchSockets::listen_overflows,
         "refusals by full queues of listeners"},
        {"checksum",
         "packets are thrown away, because their checksum is wrong",
         "checksum offload of the sending device and of its tunnel (ethtool -K DEV tx off), NAT before encapsulation",
         {"UDP_CSUM", "TCP_CSUM", "ICMP_CSUM", "IP_CSUM", "SKB_CSUM"},
         &WatchSockets::bad_checksums,
         "wrong checksums of UDP and TCP"},
        {"neighbour",
         "packets are dropped, because the next hop's link address is not known",
         "whether the neighbour answers (`ip neigh`), its table's size: net.ipv4.neigh.default.gc_thresh3",
         {"NEIGH_CREATEFAIL", "NEIGH_FAILED", "NEIGH_QUEUEFULL", "NEIGH_DEAD", "NEIGH_HH_FILLFAIL"}},
        {"rp-filter",
         "packets are dropped, because the way back to their sender leads through another device",
         "net.ipv4.conf.all.rp_filter and DEV.rp_filter (the larger counts), the routes to the sender",
         {"IP_RPFILTER"}},
        {"packet-too-big",
         "packets are larger than the next device takes, and may not be fragmented",
         "the MTU of the devices on the way, and whether the ICMP answers (\"fragmentation needed\") get through",
         {"PKT_TOO_BIG"}},
        {"paws",
         "TCP drops packets, because their timestamps run backwards",
         "several machines behind one address (NAT), net.ipv4.tcp_timestamps and tcp_tw_reuse",
         {"TCP_RFC7323_PAWS", "TCP_RFC7323_TW_PAWS", "TCP_RFC7323_TSECR"}},
        {"broadcast-backlog",
         "broadcasts do not reach all containers, because their queue is full",
         "bcqueuelen of the macvlan, how many containers share its parent, who broadcasts so much",
         {"MACVLAN_BROADCAST_BACKLOG", "IPVLAN_MULTICAST_BACKLOG"}},
        {"qdisc-drop",
         "packets are dropped, because a qdisc is full",
         "`tc -s qdisc` of that device: its limit, its shaping, what else it sends",
         {"QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED", "QDISC_BURST_DROP", "CAKE_FLOOD", "FQ_BAND_LIMIT",
          "FQ_HORIZON_LIMIT", "FQ_FLOW_LIMIT", "DUALPI2_STEP_DROP"}},
    }};
    return all;
}

std::optional<Advice> lost(const Evidence &evidence, const Loss &loss) {
    std::vector<std::string> numbers;
    if (loss.counted != nullptr)
        for (const WatchSockets &sockets : evidence.sockets())
            if (std::uint64_t count = sockets.*loss.counted; count != 0)
                numbers.push_back(fmt::format("{} {} in {}", count, loss.of_counted, owner(sockets.target)));
    if (std::vector<WatchDrop> drops = drops_by(evidence, loss.reasons); count_of(drops) != 0)
        numbers.push_back("dropped " + text_of(drops, evidence));
    if (numbers.empty())
        return std::nullopt;
    return advice(loss.rule, std::string(loss.what), fmt::format("{}", fmt::join(numbers, "; ")), loss.setting);
}

std::optional<Advice> backlog_drops(const Evidence &evidence) {
    constexpr std::array<std::string_view, 1> reasons = {"CPU_BACKLOG"};
    std::uint64_t dropped = sum_of(evidence.node()).backlog_dropped;
    std::uint64_t ours = count_of(drops_by(evidence, reasons));
    if (dropped == 0 && ours == 0)
        return std::nullopt;
    return advice("backlog-drops", "a CPU's backlog is full, and packets are dropped",
                  fmt::format("{} dropped by all CPUs (softnet_stat), {} of them watched", dropped, ours),
                  "net.core.netdev_max_backlog, and RPS (rps_cpus) to spread the load");
}

// Somebody may want it so: the last to be told.
std::optional<Advice> netfilter_drop(const Evidence &evidence) {
    constexpr std::array<std::string_view, 1> reasons = {"NETFILTER_DROP"};
    std::vector<WatchDrop> drops = drops_by(evidence, reasons);
    if (count_of(drops) == 0)
        return std::nullopt;
    const WatchDrop &most = drops.front();
    std::string what = fmt::format("netfilter drops packets of {} after {}",
                                   most.target.empty() ? "nobody known" : most.target, place_of(most, evidence));
    return advice("netfilter-drop", std::move(what), text_of(drops, evidence),
                  "the rules of the namespace where they were seen last (`nft list ruleset`, counters), and whether "
                  "conntrack is full (nf_conntrack_count and _max, dmesg)");
}

// One that is sent again has waited for 200 ms, or as long as it took three later ones to arrive.
std::optional<Advice> retransmission(const Evidence &evidence) {
    constexpr double noticeable = 0.01;
    constexpr double for_sure = 0.001; // if there are several
    constexpr std::uint64_t several = 5;
    const WatchSockets *worst = nullptr;
    for (const WatchSockets &sockets : evidence.sockets()) {
        double share = share_of(sockets.retransmitted, sockets.retransmitted + sockets.sent_segments);
        bool is_enough = share >= noticeable || (share >= for_sure && sockets.retransmitted >= several);
        if (sockets.retransmitted != 0 && is_enough &&
            (worst == nullptr || sockets.retransmitted > worst->retransmitted))
            worst = &sockets;
    }
    if (worst == nullptr)
        return std::nullopt;
    std::string numbers = fmt::format("{} segments of {} were sent again", worst->retransmitted, owner(worst->target));
    if (worst->sent_segments != 0)
        numbers += fmt::format(", {:.1f} % of {}",
                               share_of(worst->retransmitted, worst->retransmitted + worst->sent_segments) * percent,
                               worst->retransmitted + worst->sent_segments);
    return advice("retransmission", fmt::format("TCP of {} sends again what was lost", owner(worst->target)),
                  std::move(numbers),
                  "what drops them: the drops here, the counters of the devices on the way (`ip -s link`), the peer's");
}

// ---- rules about the application

const WatchSockets *most_throttled(const Evidence &evidence) {
    constexpr double least_share = 0.01;
    const WatchSockets *most = nullptr;
    for (const WatchSockets &sockets : evidence.sockets())
        if (sockets.throttled_periods != 0 &&
            static_cast<double>(sockets.throttled) >= least_share * static_cast<double>(evidence.duration_ns()) &&
            (most == nullptr || sockets.throttled > most->throttled))
            most = &sockets;
    return most;
}

std::optional<Advice> throttled(const Evidence &evidence) {
    const WatchSockets *most = most_throttled(evidence);
    if (most == nullptr)
        return std::nullopt;
    std::string numbers = fmt::format("throttled {} times, {} in all", most->throttled_periods,
                                      wait_text(static_cast<double>(most->throttled)));
    if (!most->quota.empty())
        numbers += fmt::format(" ({})", most->quota);
    if (std::optional<Wait> wait = evidence.longest_wait(most->target, Stage::wakeup, usual_wakeup))
        numbers += "; " + wait->text();
    return advice("throttled", fmt::format("{} has to stop, because it has used up its CPU time", owner(most->target)),
                  std::move(numbers), "the CPU limit of its control group, and its number of busy threads");
}

std::optional<Advice> unread(const Evidence &evidence) {
    constexpr double too_long = 1 * ns_per_s;
    const WatchSockets *worst = nullptr;
    for (const WatchSockets &sockets : evidence.sockets())
        if (sockets.waiting != 0 && static_cast<double>(sockets.oldest) > too_long &&
            (worst == nullptr || sockets.oldest > worst->oldest))
            worst = &sockets;
    if (worst == nullptr)
        return std::nullopt;
    return advice("unread", fmt::format("nobody reads what has come for {}", owner(worst->target)),
                  fmt::format("{} socket{} with data; the oldest waited for {}", worst->waiting,
                              worst->waiting == 1 ? "" : "s", wait_text(static_cast<double>(worst->oldest))),
                  "whether the application is stopped, stuck or busy (its state in /proc/PID/status, its stacks)");
}

std::optional<Advice> slow_reader(const Evidence &evidence) {
    std::optional<Wait> longest;
    for (const auto &[whose, spent] : evidence.spent()) {
        const WatchSockets *stopped = most_throttled(evidence);
        if (stopped != nullptr && stopped->target == whose.first)
            continue; // said already, with the cause
        std::optional<Wait> wait = evidence.longest_wait(whose.first, Stage::wakeup, usual_wakeup);
        if (wait && (!longest || wait->late_ns > longest->late_ns))
            longest = std::move(wait);
    }
    if (!longest)
        return std::nullopt;
    return advice("slow-reader", fmt::format("data waits for the application of {} to read it", longest->target),
                  longest->text(), "the run queue of its CPUs, and what it does before it reads again");
}

// ---- rules about waiting

// Once NET_RX has run for two jiffies or ten rounds the rest is left to ksoftirqd, which waits for its turn like any
// other task (kernel/softirq.c).
std::optional<Advice> ksoftirqd(const Evidence &evidence) {
    NodeCounters::Cpu node = sum_of(evidence.node());
    double share = share_of(node.ksoftirqd_runs, node.net_rx_runs);
    std::optional<Wait> wait = evidence.longest_wait({Stage::backlog}, usual_backlog);
    if (!wait || share < large_ksoftirqd_share)
        return std::nullopt;
    return advice(
        "ksoftirqd",
        fmt::format("packets of {} wait in a backlog that ksoftirqd empties, as a task among others", wait->target),
        fmt::format("{} of {} NET_RX runs in ksoftirqd ({:.0f} %); {}", node.ksoftirqd_runs, node.net_rx_runs,
                    share * percent, wait->text()),
        "what else runs on that CPU, its softirq load, RPS (rps_cpus) to spread it");
}

std::optional<Advice> time_squeeze(const Evidence &evidence) {
    constexpr double least_share = 0.01;
    NodeCounters::Cpu node = sum_of(evidence.node());
    if (node.time_squeezed < many_squeezes || node.net_rx_runs == 0 ||
        share_of(node.time_squeezed, node.net_rx_runs) < least_share)
        return std::nullopt;
    return advice("time-squeeze", "NET_RX stops with packets left, because its budget is used up",
                  fmt::format("time_squeeze grew by {} in {} NET_RX runs of watched packets", node.time_squeezed,
                              node.net_rx_runs),
                  "net.core.netdev_budget and netdev_budget_usecs");
}

// That one CPU receives all is a pity only if it cannot keep up.
std::optional<Advice> one_cpu(const Evidence &evidence) {
    constexpr double nearly_all = 0.9;
    constexpr double busy_rate = 10'000; // packets a second: below that one CPU is as good as many
    const std::vector<NodeCounters::Cpu> &cpus = evidence.node().cpus;
    NodeCounters::Cpu node = sum_of(evidence.node());
    auto most = std::max_element(cpus.begin(), cpus.end(), [](const NodeCounters::Cpu &a, const NodeCounters::Cpu &b) {
        return a.packets < b.packets;
    });
    double rate = per_second(static_cast<double>(node.packets), evidence.duration_ns()).value_or(0);
    if (cpus.size() < 2 || rate < busy_rate || share_of(most->packets, node.packets) < nearly_all)
        return std::nullopt;
    bool is_full = most->backlog_dropped != 0 || most->time_squeezed >= many_squeezes ||
                   share_of(most->ksoftirqd_runs, most->net_rx_runs) >= large_ksoftirqd_share;
    std::optional<Wait> wait = evidence.longest_wait({Stage::backlog}, usual_backlog);
    if (!is_full || !wait)
        return std::nullopt;
    return advice(
        "one-cpu", fmt::format("CPU {} receives nearly all packets of the node, and they wait", most->id),
        fmt::format("{} of {} packets, on {} CPUs; {}", most->packets, node.packets, cpus.size(), wait->text()),
        "RPS (rps_cpus) of the devices, and interrupt affinity of the network card");
}

std::optional<Advice> qdisc_wait(const Evidence &evidence) {
    std::optional<Wait> wait = evidence.longest_wait({Stage::qdisc, Stage::uplink_qdisc}, usual_qdisc);
    if (!wait)
        return std::nullopt;
    const std::string &device = wait->spent.device;
    return advice("qdisc-wait",
                  fmt::format("packets of {} wait in a qdisc{}", wait->target, device.empty() ? "" : " of " + device),
                  wait->text(),
                  fmt::format("`tc -s qdisc{}`: shaping, its backlog, what else it sends",
                              device.empty() ? "` of that device" : " show dev " + device + "`"));
}

std::optional<Advice> netfilter(const Evidence &evidence) {
    constexpr double dominant_share = 0.5;
    constexpr double long_mean = 5 * ns_per_us;
    constexpr std::uint64_t enough_packets = 5;
    for (const auto &[whose, spent] : evidence.spent()) {
        auto stage = spent.stages.find(Stage::host_forward);
        if (stage == spent.stages.end() || stage->second.time.count() < enough_packets)
            continue;
        const SparseHistogram &time = stage->second.time;
        double share = static_cast<double>(time.sum()) / spent.sum_ns;
        // One may have waited for its neighbour's address.
        double mean_of_others =
            static_cast<double>(time.sum() - time.max().value_or(0)) / static_cast<double>(time.count() - 1);
        if (share < dominant_share || mean_of_others < long_mean)
            continue;
        return advice(
            "netfilter",
            fmt::format("packets of {} spend most of their way in the host's routing and netfilter hooks", whose.first),
            fmt::format("host_forward: mean {}, {:.0f} % of the way {}, {} packets", wait_text(*time.mean()),
                        share * percent, name_of(whose.second), stage->second.packets),
            "the number of rules in FORWARD and its chains, conntrack, sets and maps in place of long lists");
    }
    return std::nullopt;
}

std::vector<Advice> judged(const Evidence &evidence) {
    std::vector<Advice> all;
    auto add = [&](std::optional<Advice> piece) {
        if (piece)
            all.push_back(std::move(*piece));
    };
    add(backlog_drops(evidence));
    for (const Loss &loss : losses())
        add(lost(evidence, loss));
    using Rule = std::optional<Advice> (*)(const Evidence &);
    constexpr std::array<Rule, 10> rules = {retransmission, throttled,  unread,    slow_reader, ksoftirqd,
                                            time_squeeze,   qdisc_wait, netfilter, one_cpu,     netfilter_drop};
    for (Rule rule : rules)
        add(rule(evidence));
    return all;
}

} // namespace

std::vector<Advice> advise(const WatchWindow &window) {
    return judged(Evidence(window));
}

std::vector<Advice> advise(const WatchWindow &window, const WatchTotals &so_far) {
    return judged(Evidence(window, &so_far));
}

std::vector<Advice> advise(const WatchTotals &totals) {
    return judged(Evidence(totals));
}

} // namespace vethtrace
