// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch.hpp"

#include <algorithm>
#include <array>

namespace vethtrace {

namespace {

using namespace layout;

constexpr std::array<std::string_view, 5> target_kind_names = {"container", "netns", "process", "interface", "host"};
constexpr std::array<std::string_view, 2> flow_names = {"out", "in"};
constexpr std::array<std::string_view, 4> grouping_names = {"container", "interface", "cpu", "direction"};

// The enumerator whose name stands at that place.
template<typename Enum, std::size_t size>
std::optional<Enum> find_name(const std::array<std::string_view, size> &names, std::string_view name) {
    auto known = std::find(names.begin(), names.end(), name);
    return known == names.end() ? std::nullopt : std::optional(static_cast<Enum>(known - names.begin()));
}

Stage qdisc_stage(role role) {
    switch (role) {
    case ROLE_UPLINK:
        return Stage::uplink_qdisc;
    case ROLE_BRIDGE:
        return Stage::bridge;
    case ROLE_HOST2:
    case ROLE_PEER:
        return Stage::peer_qdisc;
    default:
        return Stage::qdisc;
    }
}

// A packet that was received is handed to another device. What is routed out of a bridge or into one passes the
// bridge's own device; so what comes straight from a target's port or goes straight to it has only crossed the bridge.
Stage stage_of_forwarding(role from, role to, bool bridged) {
    if (to == ROLE_IFB) // by tc, from a device's ingress
        return Stage::host_forward;
    bool between_ports = from == ROLE_HOST || (to == ROLE_HOST && from != ROLE_BRIDGE);
    return bridged && between_ports ? Stage::bridge : Stage::host_forward;
}

Stage stage_to_queue(Station from, Station to, bool bridged) {
    if (point_of(from) == POINT_RECEIVE)
        return stage_of_forwarding(role_of(from), role_of(to), bridged);
    if (point_of(from) != POINT_XMIT)
        return Stage::unforeseen;
    switch (role_of(from)) { // a device on top of another
    case ROLE_BRIDGE:
        return Stage::bridge;
    case ROLE_TUNNEL:
        return Stage::encap;
    case ROLE_IFB: // its tasklet gives back what was redirected from an egress
        return Stage::backlog;
    default: // macvlan, ipvlan, vlan, bond
        return Stage::device_xmit;
    }
}

// What comes in through a tunnel was received before, in another packet. Only a tunnel gives to GRO what was received.
bool is_unpacked(Station from, Station to) {
    point before = point_of(from);
    if (before != POINT_NETIF_RX && before != POINT_GRO && before != POINT_RECEIVE)
        return false;
    bool by_role = role_of(to) == ROLE_TUNNEL && role_of(from) != ROLE_TUNNEL;
    return by_role || (before == POINT_RECEIVE && point_of(to) == POINT_GRO);
}

Stage stage_to_device(Station from, Station to, bool bridged) {
    point before = point_of(from);
    switch (point_of(to)) {
    case POINT_QUEUE:
        return stage_to_queue(from, to, bridged);
    case POINT_XMIT:
        if (before == POINT_QUEUE && role_of(from) == role_of(to))
            return qdisc_stage(role_of(to));
        break;
    case POINT_NETIF_RX:
        if (is_unpacked(from, to))
            return Stage::decap;
        if (before == POINT_XMIT)
            return role_of(from) == ROLE_TUNNEL ? Stage::encap : Stage::device_xmit;
        // A port of Open vSwitch that is a device of its own: the bridge's, or one in a container.
        if (before == POINT_RECEIVE && (role_of(to) == ROLE_BRIDGE || (bridged && role_of(to) == ROLE_CONTAINER)))
            return Stage::bridge;
        break;
    case POINT_GRO:
        if (is_unpacked(from, to))
            return Stage::decap;
        if (before == POINT_XMIT)
            return Stage::backlog;
        break;
    case POINT_RECEIVE:
        if (is_unpacked(from, to))
            return Stage::decap;
        if (before == POINT_NETIF_RX)
            return Stage::backlog;
        if (before == POINT_GRO)
            return Stage::gro;
        if (before == POINT_RECEIVE && role_of(to) == ROLE_BRIDGE)
            return Stage::bridge;
        if (before == POINT_XMIT && role_of(from) == ROLE_IFB) // its tasklet gives it back
            return Stage::backlog;
        break;
    case POINTS:
        break;
    }
    return Stage::unforeseen;
}

} // namespace

std::string_view name_of(TargetKind kind) {
    return target_kind_names.at(static_cast<std::size_t>(kind));
}

std::optional<TargetKind> target_kind_named(std::string_view name) {
    return find_name<TargetKind>(target_kind_names, name);
}

std::string_view name_of(Flow flow) {
    return flow_names.at(static_cast<std::size_t>(flow));
}

std::optional<Flow> flow_named(std::string_view name) {
    return find_name<Flow>(flow_names, name);
}

std::string_view name_of(Grouping grouping) {
    return grouping_names.at(static_cast<std::size_t>(grouping));
}

std::optional<Grouping> grouping_named(std::string_view name) {
    return find_name<Grouping>(grouping_names, name);
}

Stage stage_of_hop(Station from, Station to, bool bridged) {
    if (is_at_device(to))
        return is_at_device(from) ? stage_to_device(from, to, bridged) : Stage::unforeseen;
    auto moment = static_cast<layout::moment>((to.id - FIRST_END_STATION) % MOMENTS);
    if (moment == MOMENT_APP_RECV)
        return Stage::wakeup;
    return moment == MOMENT_APP_SEND ? Stage::unforeseen : Stage::stack_rx;
}

bool WatchConservation::balanced() const {
    constexpr std::uint64_t one_in = 1000;
    std::uint64_t more = std::max(entered, accounted());
    std::uint64_t less = std::min(entered, accounted());
    return more - less <= entered / one_in;
}

} // namespace vethtrace
