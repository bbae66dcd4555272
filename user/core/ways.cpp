// SPDX-License-Identifier: GPL-2.0-only
#include "core/ways.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <iterator>

namespace vethtrace {

namespace {

using namespace layout;

constexpr ModeRow::Special nothing_special = {};
constexpr ModeRow::Special through_napi = {.through_napi = true};
constexpr ModeRow::Special masquerades = {.masquerades = true};
constexpr ModeRow::Special ipvlan_l2 = {.ipvlan = IpvlanMode::l2};
constexpr ModeRow::Special ipvlan_l3 = {.ipvlan = IpvlanMode::l3};

constexpr std::array<ModeRow, 9> modes = {{
    {Mode::host, "host", Attachment::none, DeviceKind::veth, nothing_special, "CONFIG_VETH", "veth",
     "no container: the host's own stack on its uplink"},
    {Mode::veth, "veth", Attachment::routed_pair, DeviceKind::veth, nothing_special, "CONFIG_VETH", "veth",
     "a veth pair, routed by the host"},
    {Mode::veth_gro, "veth-gro", Attachment::routed_pair, DeviceKind::veth, through_napi, "CONFIG_VETH", "veth",
     "the same with GRO on and TSO off, so that NAPI receives (5.13 and later)"},
    {Mode::bridge, "bridge", Attachment::bridge_port, DeviceKind::veth, nothing_special, "CONFIG_BRIDGE", "bridge",
     "a veth pair into a Linux bridge, routed by the host"},
    {Mode::nat, "nat", Attachment::bridge_port, DeviceKind::veth, masquerades, "CONFIG_NFT_MASQ", "nft_masq",
     "the same with masquerade, as Docker has it by default"},
    {Mode::netkit, "netkit", Attachment::routed_pair, DeviceKind::netkit, nothing_special, "CONFIG_NETKIT", "netkit",
     "a netkit pair in L3 mode, routed by the host (6.7 and later)"},
    {Mode::macvlan, "macvlan", Attachment::uplink, DeviceKind::macvlan, nothing_special, "CONFIG_MACVLAN", "macvlan",
     "a macvlan in bridge mode on the host's uplink"},
    {Mode::ipvlan, "ipvlan", Attachment::uplink, DeviceKind::ipvlan, ipvlan_l2, "CONFIG_IPVLAN", "ipvlan",
     "an ipvlan in L2 mode on the host's uplink"},
    {Mode::ipvlan_l3, "ipvlan-l3", Attachment::uplink, DeviceKind::ipvlan_l3, ipvlan_l3, "CONFIG_IPVLAN", "ipvlan",
     "an ipvlan in L3 mode on the host's uplink"},
}};

constexpr Step app_send_client = {at(MOMENT_APP_SEND, END_CLIENT), Stage::application};
constexpr Step app_send_server = {at(MOMENT_APP_SEND, END_SERVER), Stage::application};

// Across the wire and into the server, from the uplink's queue on.
constexpr std::array<Step, 6> wire_to_server = {{
    {at(POINT_XMIT, ROLE_UPLINK), Stage::uplink_qdisc},
    {at(POINT_NETIF_RX, ROLE_PEER), Stage::wire},
    {at(POINT_RECEIVE, ROLE_PEER), Stage::backlog},
    {at(MOMENT_DATA_READY, END_SERVER), Stage::stack_rx},
    {at(MOMENT_APP_RECV, END_SERVER), Stage::wakeup},
    app_send_server,
}};

// From the server across the wire, up to the uplink's receive.
constexpr std::array<Step, 4> wire_from_server = {{
    {at(POINT_QUEUE, ROLE_PEER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_PEER), Stage::peer_qdisc},
    {at(POINT_NETIF_RX, ROLE_UPLINK), Stage::wire},
    {at(POINT_RECEIVE, ROLE_UPLINK), Stage::backlog},
}};

constexpr std::array<Step, 2> into_client = {{
    {at(MOMENT_DATA_READY, END_CLIENT), Stage::stack_rx},
    {at(MOMENT_APP_RECV, END_CLIENT), Stage::wakeup},
}};

// The client is the host itself.
constexpr std::array<Step, 2> host_out = {{
    app_send_client,
    {at(POINT_QUEUE, ROLE_UPLINK), Stage::socket_tx},
}};

// Out of the container and through the pair; the host routes the packet to its uplink.
constexpr std::array<Step, 6> veth_out = {{
    app_send_client,
    {at(POINT_QUEUE, ROLE_CONTAINER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc},
    {at(POINT_NETIF_RX, ROLE_HOST), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_HOST), Stage::backlog},
    {at(POINT_QUEUE, ROLE_UPLINK), Stage::host_forward},
}};

constexpr std::array<Step, 4> veth_in = {{
    {at(POINT_QUEUE, ROLE_HOST), Stage::host_forward},
    {at(POINT_XMIT, ROLE_HOST), Stage::qdisc},
    {at(POINT_NETIF_RX, ROLE_CONTAINER), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_CONTAINER), Stage::backlog},
}};

// A veth without TSO, whose other end has GRO on, puts the packet into a ring of that end's, and NAPI takes it up.
constexpr std::array<Step, 6> veth_gro_out = {{
    app_send_client,
    {at(POINT_QUEUE, ROLE_CONTAINER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc},
    {at(POINT_GRO, ROLE_HOST), Stage::backlog},
    {at(POINT_RECEIVE, ROLE_HOST), Stage::gro},
    {at(POINT_QUEUE, ROLE_UPLINK), Stage::host_forward},
}};

constexpr std::array<Step, 4> veth_gro_in = {{
    {at(POINT_QUEUE, ROLE_HOST), Stage::host_forward},
    {at(POINT_XMIT, ROLE_HOST), Stage::qdisc},
    {at(POINT_GRO, ROLE_CONTAINER), Stage::backlog},
    {at(POINT_RECEIVE, ROLE_CONTAINER), Stage::gro},
}};

// Through the pair into a port of the bridge. Its rx_handler passes the packet up as the bridge's own, and that is a
// second netif_receive_skb; from there the host routes it.
constexpr std::array<Step, 7> bridge_out = {{
    app_send_client,
    {at(POINT_QUEUE, ROLE_CONTAINER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc},
    {at(POINT_NETIF_RX, ROLE_HOST), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_HOST), Stage::backlog},
    {at(POINT_RECEIVE, ROLE_BRIDGE), Stage::bridge},
    {at(POINT_QUEUE, ROLE_UPLINK), Stage::host_forward},
}};

constexpr std::array<Step, 6> bridge_in = {{
    {at(POINT_QUEUE, ROLE_BRIDGE), Stage::host_forward},
    {at(POINT_XMIT, ROLE_BRIDGE), Stage::bridge},
    {at(POINT_QUEUE, ROLE_HOST), Stage::bridge},
    {at(POINT_XMIT, ROLE_HOST), Stage::qdisc},
    {at(POINT_NETIF_RX, ROLE_CONTAINER), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_CONTAINER), Stage::backlog},
}};

// macvlan and ipvlan hand the packet to the queue of their parent, the uplink. On the way in the parent's rx_handler
// changes the device without a second netif_receive_skb, so nothing is seen between the uplink and the socket.
constexpr std::array<Step, 4> parent_out = {{
    app_send_client,
    {at(POINT_QUEUE, ROLE_CONTAINER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc},
    {at(POINT_QUEUE, ROLE_UPLINK), Stage::device_xmit},
}};

// What every request of topology local ends with, and every response begins with.
constexpr std::array<Step, 3> into_server = {{
    {at(MOMENT_DATA_READY, END_SERVER), Stage::stack_rx},
    {at(MOMENT_APP_RECV, END_SERVER), Stage::wakeup},
    app_send_server,
}};

// From the pair of the client's container through the host into that of the server's, and back.
constexpr std::array<Step, 4> second_pair_in = {{
    {at(POINT_QUEUE, ROLE_HOST2), Stage::host_forward},
    {at(POINT_XMIT, ROLE_HOST2), Stage::peer_qdisc},
    {at(POINT_NETIF_RX, ROLE_PEER), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_PEER), Stage::backlog},
}};

constexpr std::array<Step, 4> second_pair_out = {{
    {at(POINT_QUEUE, ROLE_PEER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_PEER), Stage::peer_qdisc},
    {at(POINT_NETIF_RX, ROLE_HOST2), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_HOST2), Stage::backlog},
}};

constexpr std::array<Step, 4> second_gro_in = {{
    {at(POINT_QUEUE, ROLE_HOST2), Stage::host_forward},
    {at(POINT_XMIT, ROLE_HOST2), Stage::peer_qdisc},
    {at(POINT_GRO, ROLE_PEER), Stage::backlog},
    {at(POINT_RECEIVE, ROLE_PEER), Stage::gro},
}};

constexpr std::array<Step, 4> second_gro_out = {{
    {at(POINT_QUEUE, ROLE_PEER), Stage::socket_tx},
    {at(POINT_XMIT, ROLE_PEER), Stage::peer_qdisc},
    {at(POINT_GRO, ROLE_HOST2), Stage::backlog},
    {at(POINT_RECEIVE, ROLE_HOST2), Stage::gro},
}};

// Between two ports of one bridge, which nobody routes.
constexpr std::array<Step, 4> second_port_in = {{
    {at(POINT_QUEUE, ROLE_HOST2), Stage::bridge},
    {at(POINT_XMIT, ROLE_HOST2), Stage::peer_qdisc},
    {at(POINT_NETIF_RX, ROLE_PEER), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_PEER), Stage::backlog},
}};

constexpr std::array<Step, 4> first_port_in = {{
    {at(POINT_QUEUE, ROLE_HOST), Stage::bridge},
    {at(POINT_XMIT, ROLE_HOST), Stage::qdisc},
    {at(POINT_NETIF_RX, ROLE_CONTAINER), Stage::device_xmit},
    {at(POINT_RECEIVE, ROLE_CONTAINER), Stage::backlog},
}};

// Between two devices of one parent. Neither leaves through the parent: the driver puts the packet into the backlog
// itself. macvlan does that in the parent's name (dev_forward_skb(lowerdev) in macvlan_queue_xmit) and lets its
// rx_handler find the receiver; ipvlan has found it already and does it in the receiver's (ipvlan_rcv_frame).
constexpr std::array<Step, 4> out_of_first(role backlog_of) {
    return {{
        {at(POINT_QUEUE, ROLE_CONTAINER), Stage::socket_tx},
        {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc},
        {at(POINT_NETIF_RX, backlog_of), Stage::device_xmit},
        {at(POINT_RECEIVE, backlog_of), Stage::backlog},
    }};
}

constexpr std::array<Step, 4> out_of_second(role backlog_of) {
    return {{
        {at(POINT_QUEUE, ROLE_PEER), Stage::socket_tx},
        {at(POINT_XMIT, ROLE_PEER), Stage::peer_qdisc},
        {at(POINT_NETIF_RX, backlog_of), Stage::device_xmit},
        {at(POINT_RECEIVE, backlog_of), Stage::backlog},
    }};
}

std::vector<Step> join(std::initializer_list<std::span<const Step>> parts) {
    std::vector<Step> steps;
    for (std::span<const Step> part : parts)
        std::copy(part.begin(), part.end(), std::back_inserter(steps));
    return steps;
}

std::vector<Step> wire_steps(const ModeRow &row) {
    switch (row.attachment) {
    case Attachment::none:
        return join({host_out, wire_to_server, wire_from_server, into_client});
    case Attachment::routed_pair: // of veth or netkit: it ends in the backlog as long as no program redirects
        if (row.special.through_napi)
            return join({veth_gro_out, wire_to_server, wire_from_server, veth_gro_in, into_client});
        return join({veth_out, wire_to_server, wire_from_server, veth_in, into_client});
    case Attachment::bridge_port:
        return join({bridge_out, wire_to_server, wire_from_server, bridge_in, into_client});
    case Attachment::uplink:
        return join({parent_out, wire_to_server, wire_from_server, into_client});
    }
    return {};
}

std::vector<Step> local_steps(const ModeRow &row) {
    const std::array<Step, 1> sent = {app_send_client};
    switch (row.attachment) {
    case Attachment::none:
        return {};
    case Attachment::routed_pair:
        if (row.special.through_napi)
            return join({std::span(veth_gro_out).first(veth_gro_out.size() - 1), second_gro_in, into_server,
                         second_gro_out, veth_gro_in, into_client});
        return join({std::span(veth_out).first(veth_out.size() - 1), second_pair_in, into_server, second_pair_out,
                     veth_in, into_client});
    case Attachment::bridge_port: // where nothing is translated
        return join({std::span(veth_out).first(veth_out.size() - 1), second_port_in, into_server, second_pair_out,
                     first_port_in, into_client});
    case Attachment::uplink:
        if (row.special.ipvlan)
            return join({sent, out_of_first(ROLE_PEER), into_server, out_of_second(ROLE_CONTAINER), into_client});
        return join({sent, out_of_first(ROLE_UPLINK), into_server, out_of_second(ROLE_UPLINK), into_client});
    }
    return {};
}

} // namespace

std::span<const ModeRow> all_modes() {
    return modes;
}

const ModeRow &row_of(Mode mode) {
    return *std::find_if(modes.begin(), modes.end(), [mode](const ModeRow &row) { return row.mode == mode; });
}

std::string_view name_of(Mode mode) {
    return row_of(mode).name;
}

std::string_view name_of(Topology topology) {
    return topology == Topology::wire ? "wire" : "local";
}

std::optional<Mode> mode_named(std::string_view name) {
    for (const ModeRow &row : modes)
        if (row.name == name)
            return row.mode;
    return std::nullopt;
}

std::optional<Topology> topology_named(std::string_view name) {
    for (Topology topology : {Topology::wire, Topology::local})
        if (name_of(topology) == name)
            return topology;
    return std::nullopt;
}

std::string_view name_of(DeviceKind kind) {
    switch (kind) {
    case DeviceKind::veth:
        return "veth";
    case DeviceKind::bridge:
        return "bridge";
    case DeviceKind::netkit:
        return "netkit";
    case DeviceKind::macvlan:
        return "macvlan";
    case DeviceKind::ipvlan:
        return "ipvlan";
    case DeviceKind::ipvlan_l3:
        return "ipvlan-l3";
    }
    return {};
}

Result<Way> Way::of(Mode mode, Topology topology) {
    if (topology == Topology::wire)
        return Way(mode, topology, wire_steps(row_of(mode)));
    std::vector<Step> steps = local_steps(row_of(mode));
    if (steps.empty())
        return fail(fmt::format("--topology local with --mode {}", name_of(mode)),
                    "local is between two containers, and this mode has none", "use --topology wire");
    return Way(mode, topology, std::move(steps));
}

std::vector<HopName> Way::hops() const {
    std::vector<HopName> hops;
    Direction direction = Direction::request;
    for (std::size_t i = 1; i < steps_.size(); ++i) {
        Station from = steps_[i - 1].station;
        Station to = steps_[i].station;
        if (to == app_send_server.station)
            direction = Direction::response;
        hops.push_back({direction, from, to, steps_[i].stage});
        bool enters = is_at_device(to) && !is_at_device(from);
        if (enters)
            hops.push_back({direction, to, to, Stage::segments, false});
    }
    return hops;
}

std::span<const Step> Way::steps(layout::end sender) const {
    auto middle = std::find_if(steps_.begin(), steps_.end(),
                               [](const Step &step) { return step.station == app_send_server.station; });
    auto split = static_cast<std::size_t>(middle - steps_.begin());
    std::span<const Step> all = steps_;
    return sender == END_CLIENT ? all.first(split) : all.subspan(split);
}

Station Way::entry(layout::end sender) const {
    std::span<const Step> steps = this->steps(sender);
    return std::find_if(steps.begin(), steps.end(), [](const Step &step) { return is_at_device(step.station); })
        ->station;
}

Station Way::last(layout::end sender) const {
    std::span<const Step> steps = this->steps(sender);
    return std::find_if(steps.rbegin(), steps.rend(), [](const Step &step) { return is_at_device(step.station); })
        ->station;
}

DeviceKind Way::kind_of(layout::role role) const {
    if (role == ROLE_BRIDGE)
        return DeviceKind::bridge;
    bool in_container = role == ROLE_CONTAINER || (role == ROLE_PEER && topology_ == Topology::local);
    bool other_end = row_of(mode_).attachment != Attachment::uplink && (role == ROLE_HOST || role == ROLE_HOST2);
    return in_container || other_end ? row_of(mode_).container_device : DeviceKind::veth;
}

bool Way::passes(Station station) const {
    return std::any_of(steps_.begin(), steps_.end(), [&](const Step &step) { return step.station == station; });
}

void Way::replace(Station old_station, Station new_station) {
    for (Step &step : steps_)
        if (step.station == old_station)
            step.station = new_station;
}

} // namespace vethtrace
