// SPDX-License-Identifier: GPL-2.0-only
#include "core/stations.hpp"

#include <array>
#include <fmt/format.h>

namespace vethtrace {

namespace {

constexpr std::array<std::string_view, layout::ROLES> role_names = {"elsewhere", "container", "host", "uplink",
                                                                    "peer",      "host2",     "far",  "bridge"};
constexpr std::array<std::string_view, layout::POINTS> point_names = {"queue", "xmit", "netif_rx", "gro", "receive"};
constexpr std::array<std::string_view, layout::ENDS> end_names = {"client", "server"};
constexpr std::array<std::string_view, layout::MOMENTS> moment_names = {"app_send", "data_ready", "app_recv",
                                                                        "tcp_rcv"};

constexpr std::array<std::string_view, 15> stage_names = {
    "socket_tx",    "segments", "qdisc",      "device_xmit", "backlog", "gro",         "bridge", "host_forward",
    "uplink_qdisc", "wire",     "peer_qdisc", "stack_rx",    "wakeup",  "application", "unforeseen"};

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

std::optional<Station> station_named(std::string_view name) {
    for (std::uint32_t id = 0; id < layout::STATIONS_USED; ++id)
        if (name_of(Station{id}) == name)
            return Station{id};
    return std::nullopt;
}

std::string_view name_of(Stage stage) {
    return stage_names.at(static_cast<std::size_t>(stage));
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
