// SPDX-License-Identifier: GPL-2.0-only
#include "core/ladder.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

using namespace layout;

constexpr std::array<std::string_view, 3> hook_kind_names = {"fentry", "kprobe", "tracepoint"};

Rung tracepoint(const std::string &name) {
    return {HookKind::tracepoint, name, name};
}

// A function by its entry: by fentry, which costs less, or else by kprobe. `program` is the name of both programs
// without the kind at its end.
void add_function(Ladder &ladder, const std::string &function, const std::string &program, const std::string &module) {
    ladder.rungs.push_back({HookKind::fentry, function, program + "_fentry", module});
    ladder.rungs.push_back({HookKind::kprobe, function, program + "_kprobe", module});
}

Ladder only_tracepoint(const std::string &name, const std::string &tracepoint_name, const std::string &purpose) {
    return {name, purpose, {tracepoint(tracepoint_name)}};
}

// A driver's transmit function: by its entry, or by the tracepoint that fires right before it is called. Compilers
// inline one or the other of ipvlan's (stock Debian kernels have no ipvlan_xmit_mode_l2), so all three are tried, the
// one that is nearest to the mode first.
Ladder xmit_ladder(DeviceKind kind) {
    std::vector<std::string> functions;
    std::string module(name_of(kind));
    switch (kind) {
    case DeviceKind::veth:
        functions = {"veth_xmit"};
        break;
    case DeviceKind::bridge:
        functions = {"br_dev_xmit"};
        break;
    case DeviceKind::netkit:
        functions = {"netkit_xmit"};
        break;
    case DeviceKind::macvlan:
        functions = {"macvlan_start_xmit"};
        break;
    case DeviceKind::ipvlan:
        functions = {"ipvlan_xmit_mode_l2", "ipvlan_queue_xmit", "ipvlan_start_xmit"};
        break;
    case DeviceKind::ipvlan_l3:
        functions = {"ipvlan_xmit_mode_l3", "ipvlan_queue_xmit", "ipvlan_start_xmit"};
        module = "ipvlan";
        break;
    }
    Ladder ladder{fmt::format("xmit ({})", name_of(kind)), fmt::format("transmit of {} devices", name_of(kind)), {}};
    for (const std::string &function : functions)
        add_function(ladder, function, module + "_xmit", module);
    ladder.rungs.push_back(tracepoint("net_dev_start_xmit"));
    return ladder;
}

// The tracepoint sees all callers. Of the functions, drivers call __netif_rx since 5.18 and netif_rx before, and
// dev_forward_skb calls neither, but the function behind both; so that one comes first, where it was not inlined.
Ladder netif_rx_ladder() {
    Ladder ladder{"netif_rx", "packets that enter a CPU's backlog", {tracepoint("netif_rx")}};
    for (const char *function : {"netif_rx_internal", "__netif_rx", "netif_rx"})
        add_function(ladder, function, "netif_rx", "");
    return ladder;
}

Ladder data_ready_ladder() {
    return {"data_ready",
            "delivery to the socket",
            {tracepoint("sk_data_ready"),
             {HookKind::fentry, "sock_def_readable", "sock_def_readable_fentry"},
             {HookKind::kprobe, "sock_def_readable", "sock_def_readable_kprobe"},
             tracepoint("tcp_probe")}};
}

std::string device_ladder_name(point point, DeviceKind kind) {
    switch (point) {
    case POINT_QUEUE:
        return "queue";
    case POINT_XMIT:
        return fmt::format("xmit ({})", name_of(kind));
    case POINT_NETIF_RX:
        return "netif_rx";
    case POINT_GRO:
        return "gro";
    case POINT_RECEIVE:
    case POINTS:
        break;
    }
    return "receive";
}

void add_once(std::vector<Ladder> &ladders, Ladder ladder) {
    if (std::none_of(ladders.begin(), ladders.end(), [&](const Ladder &known) { return known.name == ladder.name; }))
        ladders.push_back(std::move(ladder));
}

// When NET_RX ran, and which packets ended early.
void add_softirqs_and_ends(std::vector<Ladder> &ladders) {
    add_once(ladders, only_tracepoint("softirq_raise", "softirq_raise", "when NET_RX was asked for"));
    add_once(ladders, only_tracepoint("softirq_entry", "softirq_entry", "when NET_RX began"));
    add_once(ladders, only_tracepoint("softirq_exit", "softirq_exit", "when NET_RX ended"));
    add_once(ladders, only_tracepoint("drop", "kfree_skb", "packets that are dropped, and why"));
    add_once(ladders, only_tracepoint("consume", "consume_skb", "packets that end before their last station"));
}

Ladder queue_ladder() {
    return only_tracepoint("queue", "net_dev_queue", "packets that enter a device's qdisc");
}

void add_gro(std::vector<Ladder> &ladders) {
    add_once(ladders, only_tracepoint("gro", "napi_gro_receive_entry", "packets that a NAPI poll hands to GRO"));
    add_once(ladders, only_tracepoint("merged", "napi_gro_receive_exit", "packets that GRO merges"));
}

Ladder receive_ladder() {
    return only_tracepoint("receive", "netif_receive_skb", "packets that leave the backlog");
}

Ladder optional(Ladder ladder) {
    ladder.required = false;
    return ladder;
}

} // namespace

std::string_view name_of(HookKind kind) {
    return hook_kind_names.at(static_cast<std::size_t>(kind));
}

std::optional<HookKind> hook_kind_named(std::string_view name) {
    auto known = std::find(hook_kind_names.begin(), hook_kind_names.end(), name);
    return known == hook_kind_names.end() ? std::nullopt
                                          : std::optional(static_cast<HookKind>(known - hook_kind_names.begin()));
}

std::string Rung::text() const {
    return fmt::format("{} {}", target, kind == HookKind::tracepoint ? "tp_btf" : name_of(kind));
}

std::vector<Ladder> ladders_for(const Way &way) {
    std::vector<Ladder> ladders;
    add_once(ladders, queue_ladder());
    for (const Step &step : way.steps())
        if (is_at_device(step.station) && point_of(step.station) == POINT_XMIT)
            add_once(ladders, xmit_ladder(way.kind_of(role_of(step.station))));
    add_once(ladders, netif_rx_ladder());
    if (row_of(way.mode()).special.through_napi)
        add_gro(ladders);
    add_once(ladders, receive_ladder());
    add_once(ladders, data_ready_ladder());
    add_softirqs_and_ends(ladders);
    return ladders;
}

std::vector<Ladder> ladders_for_watching() {
    std::vector<Ladder> ladders = {
        queue_ladder(),
        only_tracepoint("xmit", "net_dev_start_xmit", "transmit of any device"),
        netif_rx_ladder(),
    };
    add_gro(ladders);
    ladders.push_back(receive_ladder());
    ladders.push_back(optional(only_tracepoint("tcp_rcv", "tcp_probe", "which packet TCP has for which socket")));
    ladders.push_back(optional(data_ready_ladder()));
    ladders.push_back(optional({"app_recv",
                                "when the application has read",
                                {tracepoint("sock_recv_length"), tracepoint("tcp_rcv_space_adjust")}}));
    ladders.push_back(optional(
        only_tracepoint("closed", "inet_sock_set_state", "connections that close with data that nobody has read")));
    add_softirqs_and_ends(ladders);
    return ladders;
}

std::vector<Ladder> all_ladders() {
    std::vector<Ladder> ladders;
    for (const ModeRow &row : all_modes())
        if (Result<Way> way = Way::of(row.mode, Topology::wire))
            for (Ladder &ladder : ladders_for(*way))
                add_once(ladders, std::move(ladder));
    for (Ladder &ladder : ladders_for_watching())
        add_once(ladders, std::move(ladder));
    return ladders;
}

std::optional<std::string> ladder_name(const Way &way, Station station) {
    if (is_at_device(station))
        return device_ladder_name(point_of(station), way.kind_of(role_of(station)));
    std::uint32_t moment = (station.id - FIRST_END_STATION) % MOMENTS;
    if (moment == MOMENT_DATA_READY || moment == MOMENT_TCP_RCV)
        return "data_ready";
    return std::nullopt;
}

Result<Denied> Denied::parse(const std::vector<std::string> &words) {
    Denied denied;
    for (const std::string &word : words) {
        std::size_t colon = word.find(':');
        std::string kind = word.substr(0, colon);
        std::optional<HookKind> known = hook_kind_named(kind);
        if (!known)
            return tl::unexpected(Error{"--no-hook " + word, "there is no such kind of hook",
                                        fmt::format("choose from {}, or one target as in tracepoint:sk_data_ready",
                                                    fmt::join(hook_kind_names, ", ")),
                                        Exit::usage});
        denied.entries_.push_back({*known, colon == std::string::npos ? "" : word.substr(colon + 1)});
    }
    return denied;
}

bool Denied::covers(const Rung &rung) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry &entry) {
        return entry.kind == rung.kind && (entry.target.empty() || entry.target == rung.target);
    });
}

} // namespace vethtrace
