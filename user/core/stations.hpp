// SPDX-License-Identifier: GPL-2.0-only
//
// Names: of stations (`xmit@container`), of the stages under which hops of different modes are compared.
#pragma once

#include "layout.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vethtrace {

// A point at a device or a moment at an end, numbered as in bpf/layout.h.
struct Station {
    std::uint32_t id = 0;

    friend bool operator==(Station a, Station b) { return a.id == b.id; }
    friend bool operator<(Station a, Station b) { return a.id < b.id; }
};

constexpr Station at(layout::point point, layout::role role) {
    return {layout::device_station(role, point)};
}
constexpr Station at(layout::moment moment, __u32 end) {
    return {layout::end_station(end, moment)};
}

[[nodiscard]] bool is_at_device(Station station);
[[nodiscard]] layout::point point_of(Station station); // of a station at a device
[[nodiscard]] layout::role role_of(Station station);   // of a station at a device
[[nodiscard]] std::string name_of(Station station);
[[nodiscard]] std::string_view name_of(layout::role role);
[[nodiscard]] std::optional<layout::role> role_named(std::string_view name);
[[nodiscard]] std::optional<Station> station_named(std::string_view name);

enum class Stage {
    socket_tx,    // the application's send to its device's queue
    segments,     // the first segment of a message to the one that completes it
    qdisc,        // waiting for the container's device, either side of the pair
    device_xmit,  // through the container's driver: veth to its other end, macvlan or ipvlan to its parent
    backlog,      // waiting for NET_RX to take the packet up; with NAPI the driver's transmit is a part of it
    gro,          // held by GRO, in case that more of the same stream comes
    bridge,       // between a bridge's ports, or a port and the bridge itself
    host_forward, // routing and netfilter in the host
    uplink_qdisc, // waiting for the host's uplink
    wire,         // transmit at one machine to netif_rx at the other
    peer_qdisc,   // waiting for the other machine's device
    stack_rx,     // IP and TCP receive, and the rx_handler of macvlan and ipvlan
    wakeup,       // data in the socket to the application's return from recv
    application,  // the server's own time between recv and send
    encap,        // a tunnel's device to the queue of the device that the outer packet leaves by
    decap,        // the outer packet's receive to that of the inner one, at the tunnel's device
    unforeseen,   // an edge that is not in the mode's table
};

[[nodiscard]] std::string_view name_of(Stage stage);
[[nodiscard]] std::optional<Stage> stage_named(std::string_view name);
// What the kernel does there, and in which functions, as a clause: "the packet waits ...".
[[nodiscard]] std::string_view description_of(Stage stage);

enum class Direction { request, response };

[[nodiscard]] std::string_view name_of(Direction direction);
[[nodiscard]] std::optional<Direction> direction_named(std::string_view name);

} // namespace vethtrace
