// SPDX-License-Identifier: GPL-2.0-only
#include "lab/lab.hpp"

#include "lab/links.hpp"
#include "lab/masquerade.hpp"
#include "lab/offload.hpp"
#include "lab/settings.hpp"
#include "privileges/privileges.hpp"

#include "lab_layout.h"

#include <fmt/format.h>

namespace vethtrace {

namespace {

using namespace layout;

// 198.18.0.0/15 is set aside for benchmarks (RFC 2544) and routed nowhere.
constexpr const char *uplink_address = "198.18.2.1";
constexpr const char *peer_address = "198.18.2.2";
constexpr const char *everywhere = "0.0.0.0/0";

// The network between a container and the host, in a mode that routes.
struct RoutedNet {
    const char *net;
    const char *outside; // the host's address
    const char *inside;  // the container's
};
constexpr RoutedNet first_net = {"198.18.1.0/24", "198.18.1.1", "198.18.1.2"};
constexpr RoutedNet second_net = {"198.18.3.0/24", "198.18.3.1", "198.18.3.2"};
// A second container at the same bridge.
constexpr const char *second_in_first_net = "198.18.1.3";

// In the uplink's own network: the addresses of devices on top of it.
constexpr const char *first_on_parent = "198.18.2.3";
constexpr const char *second_on_parent = "198.18.2.4";

std::string with_prefix(const char *address) {
    return std::string(address) + "/24";
}

Device device(role role) {
    // 02: a locally administered address.
    return {std::string(name_of(role)), LAB_IFINDEX + static_cast<int>(role),
            Mac{0x02, 0x76, 0x65, 0x74, 0x68, static_cast<std::uint8_t>(role)}};
}

} // namespace

// Builds a lab step by step; the first error ends it, and what there is goes with the unfinished lab.
class Builder {
public:
    Builder(Lab &lab, const ModeRow &row, Topology topology) : lab_(lab), row_(row), topology_(topology) {}

    Result<void> build() {
        return make(lab_.host_, host_, "host")
            .and_then([&] { return make(lab_.peer_, peer_, "peer"); })
            .and_then([&] { return has_container() ? make(lab_.container_, container_, "container") : nothing(); })
            .and_then([&] { return topology_ == Topology::wire ? wire() : local(); })
            .and_then([&] { return activate(); })
            .map_error([&](Error error) { return explained(std::move(error)); });
    }

private:
    // A namespace of the lab, and the way to speak to it.
    struct Part {
        const Netns *netns = nullptr;
        std::optional<Links> links;
    };

    static Result<void> nothing() { return {}; }

    [[nodiscard]] bool has_container() const { return row_.attachment != Attachment::none; }
    [[nodiscard]] bool is(DeviceKind kind) const { return row_.container_device == kind; }

    Result<void> make(std::optional<Netns> &netns, Part &part, const std::string &name) {
        return Netns::create(namespace_name(lab_.name(), name))
            .and_then([&](Netns made) {
                netns = std::move(made);
                part.netns = &*netns;
                return Links::of(netns->fd());
            })
            .and_then([&](Links opened) {
                part.links = std::move(opened);
                return part.links->set_up(1); // lo
            });
    }

    Result<void> activate() {
        for (Part *part : {&host_, &peer_, &container_})
            if (part->links)
                if (Result<void> active = part->links->wait_until_active(); !active)
                    return active;
        return {};
    }

    // The peer is another machine at the far end of the host's uplink.
    Result<void> wire() {
        lab_.server_address_ = peer_address;
        Device uplink = device(ROLE_UPLINK);
        Device peer = device(ROLE_PEER);
        return add_uplink(peer, peer_)
            .and_then([&] { return peer_.links->add_address(peer.ifindex, with_prefix(peer_address)); })
            .and_then([&] { return host_.links->add_neighbour(uplink.ifindex, peer_address, peer.mac); })
            .and_then([&] { return peer_.links->add_neighbour(peer.ifindex, uplink_address, uplink.mac); })
            .and_then([&] { return container(); });
    }

    // The peer is a second container like the first.
    Result<void> local() {
        if (row_.attachment == Attachment::bridge_port) {
            lab_.server_address_ = second_in_first_net;
            return bridge()
                .and_then([&] { return port(container_, ROLE_CONTAINER, ROLE_HOST, first_net.inside); })
                .and_then([&] { return port(peer_, ROLE_PEER, ROLE_HOST2, second_in_first_net); })
                .and_then(
                    [&] { return acquaint(container_, ROLE_CONTAINER, second_in_first_net, device(ROLE_PEER).mac); })
                .and_then([&] { return acquaint(peer_, ROLE_PEER, first_net.inside, device(ROLE_CONTAINER).mac); })
                .and_then([&] { return translation(); });
        }
        if (row_.attachment == Attachment::routed_pair) {
            lab_.server_address_ = second_net.inside;
            return routed_pair(container_, ROLE_CONTAINER, ROLE_HOST, first_net).and_then([&] {
                return routed_pair(peer_, ROLE_PEER, ROLE_HOST2, second_net);
            });
        }
        lab_.server_address_ = second_on_parent;
        return add_uplink(device(ROLE_FAR), host_)
            .and_then([&] { return on_parent(container_, ROLE_CONTAINER, first_on_parent); })
            .and_then([&] { return on_parent(peer_, ROLE_PEER, second_on_parent); })
            .and_then([&] { return acquaint(container_, ROLE_CONTAINER, second_on_parent, mac_on_parent(ROLE_PEER)); })
            .and_then([&] { return acquaint(peer_, ROLE_PEER, first_on_parent, mac_on_parent(ROLE_CONTAINER)); });
    }

    // The host's uplink, whose other end is a device elsewhere.
    Result<void> add_uplink(const Device &far, Part &where) {
        Device uplink = device(ROLE_UPLINK);
        return host_.links->add_veth(uplink, far, where.netns->fd())
            .and_then([&] { return host_.links->add_address(uplink.ifindex, with_prefix(uplink_address)); })
            .and_then([&] { return host_.links->set_up(uplink.ifindex); })
            .and_then([&] { return where.links->set_up(far.ifindex); });
    }

    // The container of topology wire.
    Result<void> container() {
        Device peer = device(ROLE_PEER);
        switch (row_.attachment) {
        case Attachment::none:
            return {};
        case Attachment::routed_pair:
            return routed_pair(container_, ROLE_CONTAINER, ROLE_HOST, first_net)
                .and_then([&] { return peer_.links->add_route(first_net.net, uplink_address, peer.ifindex); })
                .and_then([&] { return host_.links->set_forwarding(device(ROLE_UPLINK).ifindex); });
        case Attachment::bridge_port:
            return bridge()
                .and_then([&] { return port(container_, ROLE_CONTAINER, ROLE_HOST, first_net.inside); })
                .and_then([&] {
                    return container_.links->add_route(everywhere, first_net.outside, device(ROLE_CONTAINER).ifindex);
                })
                .and_then([&] { return peer_.links->add_route(first_net.net, uplink_address, peer.ifindex); })
                .and_then([&] { return host_.links->set_forwarding(device(ROLE_UPLINK).ifindex); })
                .and_then([&] { return host_.links->set_forwarding(device(ROLE_BRIDGE).ifindex); })
                .and_then([&] { return translation(); });
        case Attachment::uplink:
            return on_parent(container_, ROLE_CONTAINER, first_on_parent)
                .and_then([&] { return acquaint(container_, ROLE_CONTAINER, peer_address, peer.mac); })
                .and_then([&] { return acquaint(peer_, ROLE_PEER, first_on_parent, mac_on_parent(ROLE_CONTAINER)); });
        }
        return {};
    }

    // The host's bridge, with the address of the containers' gateway.
    Result<void> bridge() {
        Device bridge = device(ROLE_BRIDGE);
        return host_.links->add_bridge(bridge)
            .and_then([&] { return host_.links->add_address(bridge.ifindex, with_prefix(first_net.outside)); })
            .and_then([&] { return host_.links->set_up(bridge.ifindex); });
    }

    // A pair between a container and a port of the bridge.
    Result<void> port(Part &container, role inside_role, role outside_role, const char *address) {
        Device bridge = device(ROLE_BRIDGE);
        Device inside = device(inside_role);
        Device outside = device(outside_role);
        return host_.links->add_veth(outside, inside, container.netns->fd())
            .and_then([&] { return host_.links->add_port(outside.ifindex, bridge.ifindex); })
            .and_then([&] { return container.links->add_address(inside.ifindex, with_prefix(address)); })
            .and_then([&] { return host_.links->set_up(outside.ifindex); })
            .and_then([&] { return container.links->set_up(inside.ifindex); })
            .and_then([&] { return host_.links->add_neighbour(bridge.ifindex, address, inside.mac); })
            .and_then([&] { return acquaint(container, inside_role, first_net.outside, bridge.mac); });
    }

    Result<void> translation() {
        if (!row_.special.masquerades)
            return {};
        return masquerade(host_.netns->fd(), first_net.net, device(ROLE_UPLINK).name);
    }

    // A pair between a container and the host, which routes for it.
    Result<void> routed_pair(Part &container, role inside_role, role outside_role, const RoutedNet &net) {
        Device inside = device(inside_role);
        Device outside = device(outside_role);
        return add_pair(outside, inside, container)
            .and_then([&] { return host_.links->add_address(outside.ifindex, with_prefix(net.outside)); })
            .and_then([&] { return container.links->add_address(inside.ifindex, with_prefix(net.inside)); })
            .and_then([&] { return host_.links->set_up(outside.ifindex); })
            .and_then([&] { return container.links->set_up(inside.ifindex); })
            .and_then([&] { return acquaint_pair(container, inside, outside, net); })
            .and_then([&] { return container.links->add_route(everywhere, net.outside, inside.ifindex); })
            .and_then([&] { return host_.links->set_forwarding(outside.ifindex); });
    }

    Result<void> add_pair(const Device &outside, const Device &inside, Part &container) {
        if (is(DeviceKind::netkit))
            return host_.links->add_netkit(outside, inside, container.netns->fd());
        Result<void> added = host_.links->add_veth(outside, inside, container.netns->fd());
        if (!added || !row_.special.through_napi)
            return added;
        return exchange_tso_for_gro(host_.netns->fd(), outside.name).and_then([&] {
            return exchange_tso_for_gro(container.netns->fd(), inside.name);
        });
    }

    // netkit in L3 mode has neither addresses nor neighbours on its link.
    Result<void> acquaint_pair(Part &container, const Device &inside, const Device &outside, const RoutedNet &net) {
        if (is(DeviceKind::netkit))
            return {};
        return host_.links->add_neighbour(outside.ifindex, net.inside, inside.mac).and_then([&] {
            return container.links->add_neighbour(inside.ifindex, net.outside, outside.mac);
        });
    }

    // A container with a device on top of the uplink, in whose network it is.
    Result<void> on_parent(Part &container, role role, const char *address) {
        int inside = device(role).ifindex;
        return add_on_parent(device(role), container.netns->fd())
            .and_then([&] { return container.links->add_address(inside, with_prefix(address)); })
            .and_then([&] { return container.links->set_up(inside); })
            .and_then([&] { return read_port_mode(container, inside); });
    }

    Result<void> add_on_parent(const Device &inside, int netns) {
        int uplink = device(ROLE_UPLINK).ifindex;
        if (row_.special.ipvlan)
            return host_.links->add_ipvlan(inside, uplink, netns, *row_.special.ipvlan);
        return host_.links->add_macvlan(inside, uplink, netns);
    }

    Result<void> read_port_mode(Part &container, int ifindex) {
        if (!row_.special.ipvlan)
            return {};
        return container.links->ipvlan_mode(ifindex).map([&](std::string mode) { lab_.port_mode_ = std::move(mode); });
    }

    // An ipvlan has its parent's MAC address.
    [[nodiscard]] Mac mac_on_parent(role role) const { return device(row_.special.ipvlan ? ROLE_UPLINK : role).mac; }

    // Neighbours on a shared network are static: an ipvlan sends broadcasts, ARP among them, through a workqueue.
    static Result<void> acquaint(Part &part, role own, const char *address, const Mac &mac) {
        return part.links->add_neighbour(device(own).ifindex, address, mac);
    }

    [[nodiscard]] Error explained(Error error) const {
        if (error.hint.empty())
            error.hint = fmt::format("--mode {} needs a kernel with {} (module {}); this runs it in one: "
                                     "tools/vm run --kernel 6.12 -- vethtrace --mode {} -c 2000",
                                     row_.name, row_.kernel_option, row_.module, row_.name);
        return error;
    }

    Lab &lab_;
    const ModeRow &row_;
    Topology topology_;
    Part container_;
    Part host_;
    Part peer_;
};

Result<std::unique_ptr<Lab>> Lab::build(Mode mode, Topology topology) {
    return Ownership::take().and_then([&](Ownership owner) { return build(mode, topology, std::move(owner)); });
}

Result<std::unique_ptr<Lab>> Lab::build(Mode mode, Topology topology, Ownership owner) {
    if (Result<Way> way = Way::of(mode, topology); !way)
        return tl::unexpected(way.error());
    std::unique_ptr<Lab> lab(new Lab(std::move(owner)));
    if (Result<void> built = Builder(*lab, row_of(mode), topology).build(); !built)
        return tl::unexpected(built.error());
    return lab;
}

NetworkSettings Lab::settings() const {
    std::vector<std::reference_wrapper<const Netns>> all;
    for (const std::optional<Netns> *netns : {&container_, &host_, &peer_})
        if (*netns)
            all.emplace_back(**netns);
    return read_settings(client(), host(), all);
}

Lab::~Lab() {
    if (kept_)
        return;
    RaisedPrivileges raised(Purpose::removing);
    for (std::optional<Netns> *netns : {&container_, &host_, &peer_})
        if (*netns)
            (void)Netns::remove((*netns)->name());
}

} // namespace vethtrace
