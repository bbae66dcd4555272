// SPDX-License-Identifier: GPL-2.0-only
#include "core/stations.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <functional>
#include <map>

namespace vethtrace {

namespace {

constexpr std::array<std::string_view, layout::ROLES> role_names = {
    "elsewhere", "container", "host", "uplink", "peer", "host2", "far", "bridge", "tunnel", "ifb"};
constexpr std::array<std::string_view, layout::POINTS> point_names = {"queue", "xmit", "netif_rx", "gro", "receive"};
constexpr std::array<std::string_view, layout::ENDS_NAMED> end_names = {"client", "server", "container"};
constexpr std::array<std::string_view, layout::MOMENTS> moment_names = {"app_send", "data_ready", "app_recv",
                                                                        "tcp_rcv"};

constexpr std::array<std::string_view, 17> stage_names = {
    "socket_tx", "segments",     "qdisc",        "device_xmit", "backlog",    "gro",
    "bridge",    "host_forward", "uplink_qdisc", "wire",        "peer_qdisc", "stack_rx",
    "wakeup",    "application",  "encap",        "decap",       "unforeseen"};

} // namespace

bool is_at_device(Station station) {
    return station.id < layout::FIRST_END_STATION;
}

layout::point point_of(Station station) {
    return static_cast<layout::point>(station.id % layout::POINTS);
}

layout::role role_of(Station station) {
    return static_cast<layout::role>(station.id / layout::POINTS);
}

std::string_view name_of(layout::role role) {
    return role_names.at(role);
}

std::string name_of(Station station) {
    if (is_at_device(station))
        return fmt::format("{}@{}", point_names.at(point_of(station)), name_of(role_of(station)));
    std::uint32_t index = station.id - layout::FIRST_END_STATION;
    return fmt::format("{}@{}", moment_names.at(index % layout::MOMENTS), end_names.at(index / layout::MOMENTS));
}

std::optional<layout::role> role_named(std::string_view name) {
    auto found = std::find(role_names.begin(), role_names.end(), name);
    return found == role_names.end() ? std::nullopt
                                     : std::optional(static_cast<layout::role>(found - role_names.begin()));
}

std::optional<Station> station_named(std::string_view name) {
    static const std::map<std::string, Station, std::less<>> all = [] {
        std::map<std::string, Station, std::less<>> names;
        for (std::uint32_t id = 0; id < layout::STATIONS_USED; ++id)
            names.emplace(name_of(Station{id}), Station{id});
        return names;
    }();
    auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
}

std::string_view name_of(Stage stage) {
    return stage_names.at(static_cast<std::size_t>(stage));
}

std::string_view description_of(Stage stage) {
    switch (stage) {
    case Stage::socket_tx:
        return "the sending task takes the data through TCP and IP to its device (tcp_sendmsg to __dev_queue_xmit)";
    case Stage::segments:
        return "the rest of the message follows its first segment";
    case Stage::qdisc:
        return "the packet passes the qdisc of the container's device (__dev_queue_xmit to the driver)";
    case Stage::device_xmit:
        return "the container's driver hands the packet on: veth to the other end of its pair, macvlan and ipvlan to "
               "their parent (ndo_start_xmit)";
    case Stage::backlog:
        return "the packet waits in a CPU's backlog until NET_RX takes it up (enqueue_to_backlog to process_backlog)";
    case Stage::gro:
        return "GRO looks for packets to merge it with (napi_gro_receive)";
    case Stage::bridge:
        return "the bridge takes the packet from one of its ports to another, or up to the host (br_handle_frame, "
               "br_dev_xmit), with the netfilter hooks on that way";
    case Stage::host_forward:
        return "the host routes the packet: PREROUTING, the route, FORWARD, POSTROUTING, and conntrack where there are "
               "rules (ip_rcv to ip_output)";
    case Stage::uplink_qdisc:
        return "the packet passes the qdisc of the host's uplink";
    case Stage::wire:
        return "the packet crosses the wire, which is a veth pair in the lab";
    case Stage::peer_qdisc:
        return "the packet passes the qdisc of the server's device";
    case Stage::stack_rx:
        return "IP and TCP receive the packet, after the rx_handler of macvlan and ipvlan (ip_rcv to tcp_data_queue)";
    case Stage::wakeup:
        return "the task that waits in recv() is woken, scheduled, and returns (sock_def_readable to the application)";
    case Stage::application:
        return "the server's own time between recv() and send()";
    case Stage::encap:
        return "a tunnel's device puts the packet into another, which the host routes on (vxlan_xmit, wg_xmit)";
    case Stage::decap:
        return "the host takes the packet out of the one that it came in (vxlan_rcv, wg_packet_receive)";
    case Stage::unforeseen:
        break;
    }
    return "the packet took a hop that the mode's table does not have";
}

std::optional<Stage> stage_named(std::string_view name) {
    for (std::size_t i = 0; i < stage_names.size(); ++i)
        if (stage_names.at(i) == name)
            return static_cast<Stage>(i);
    return std::nullopt;
}

std::string_view name_of(Direction direction) {
    return direction == Direction::request ? "request" : "response";
}

std::optional<Direction> direction_named(std::string_view name) {
    for (Direction direction : {Direction::request, Direction::response})
        if (name_of(direction) == name)
            return direction;
    return std::nullopt;
}

} // namespace vethtrace
