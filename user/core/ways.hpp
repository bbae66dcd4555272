// SPDX-License-Identifier: GPL-2.0-only
//
// The one ordered table of the stations that a packet passes, for each mode and topology. Everything else follows from
// it: which hooks are needed, which edges must appear and how often, under which stage a hop is compared.
#pragma once

#include "core/error.hpp"
#include "core/stations.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

enum class Mode { host, veth, veth_gro, bridge, nat, netkit, macvlan, ipvlan, ipvlan_l3 };
enum class Topology { wire, local };
enum class DeviceKind { veth, bridge, netkit, macvlan, ipvlan, ipvlan_l3 };

// How the container's device is attached to the host.
enum class Attachment {
    none,        // there is no container, and the uplink is the first device
    routed_pair, // the host has the other end of it, and routes
    bridge_port, // the host has the other end of it, as a port of a bridge, and routes for that
    uplink,      // it is on top of the uplink, and shares its network
};

// Of an ipvlan's parent. Numbered as in the kernel's linux/if_link.h.
enum class IpvlanMode : std::uint16_t { l2, l3 };

// A mode is a row: what it is called, what the container's device is, and what the kernel must have for it.
struct ModeRow {
    struct Special {
        bool through_napi = false; // its packets are received by a NAPI poll with GRO, not from the backlog
        bool masquerades = false;  // what leaves by the uplink has the host's address
        std::optional<IpvlanMode> ipvlan = std::nullopt;
    };

    Mode mode;
    std::string_view name;
    Attachment attachment;
    DeviceKind container_device;
    Special special;
    std::string_view kernel_option;
    std::string_view module;
    std::string_view summary;
};

[[nodiscard]] std::span<const ModeRow> all_modes();
[[nodiscard]] const ModeRow &row_of(Mode mode);
[[nodiscard]] std::string_view name_of(Mode mode);
[[nodiscard]] std::string_view name_of(Topology topology);
[[nodiscard]] std::optional<Mode> mode_named(std::string_view name);
[[nodiscard]] std::optional<Topology> topology_named(std::string_view name);
[[nodiscard]] std::string_view name_of(DeviceKind kind);

// A station on the way, and the stage of the hop that ends there. The first step of a request ends no hop.
struct Step {
    Station station;
    Stage stage = Stage::unforeseen;
};

struct HopName {
    Direction direction = Direction::request;
    Station from;
    Station to;
    Stage stage = Stage::unforeseen;
    bool every_message = true; // false for `segments`, which only messages of several segments have
};

class Way {
public:
    [[nodiscard]] static Result<Way> of(Mode mode, Topology topology);

    // From app_send@client to app_recv@client, in the packet's order. The hop into app_send@server is `application`,
    // counted to the response.
    [[nodiscard]] const std::vector<Step> &steps() const { return steps_; }
    [[nodiscard]] std::vector<HopName> hops() const;

    // The steps of one end's messages. Those of the server begin with app_send@server.
    [[nodiscard]] std::span<const Step> steps(layout::end sender) const;

    // Where the messages of an end are first and last seen at a device.
    [[nodiscard]] Station entry(layout::end sender) const;
    [[nodiscard]] Station last(layout::end sender) const;

    [[nodiscard]] DeviceKind kind_of(layout::role role) const;
    [[nodiscard]] bool passes(Station station) const;

    // The last rung of the data_ready ladder sees the packet at another place, which has a name of its own.
    void replace(Station old_station, Station new_station);

    [[nodiscard]] Mode mode() const { return mode_; }
    [[nodiscard]] Topology topology() const { return topology_; }

private:
    Way(Mode mode, Topology topology, std::vector<Step> steps)
        : mode_(mode), topology_(topology), steps_(std::move(steps)) {}

    Mode mode_;
    Topology topology_;
    std::vector<Step> steps_;
};

} // namespace vethtrace
