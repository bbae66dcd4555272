// SPDX-License-Identifier: GPL-2.0-only
#include "lab/lab.hpp"

#include "lab/links.hpp"

#include <fmt/format.h>

namespace vethtrace {

namespace {

using namespace layout;

// 198.18.0.0/15 is set aside for benchmarks (RFC 2544) and routed nowhere.
constexpr const char *container_address = "198.18.1.2";
constexpr const char *container_net = "198.18.1.0/24";
constexpr const char *host_address = "198.18.1.1";
constexpr const char *uplink_address = "198.18.2.1";
constexpr const char *peer_address = "198.18.2.2";
constexpr const char *on_parent_address = "198.18.2.3"; // of a macvlan or ipvlan, in the uplink's own net
constexpr const char *everywhere = "0.0.0.0/0";

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
    explicit Builder(Lab &lab) : lab_(lab) {}

    Result<void> build(Mode mode) {
        bool has_container = mode != Mode::host;
        return make(lab_.host_, host_links_, "host")
            .and_then([&] { return make(lab_.peer_, peer_links_, "peer"); })
            .and_then([&] { return has_container ? make(lab_.container_, container_links_, "container") : nothing(); })
            .and_then([&] { return wire(); })
            .and_then([&] { return container(mode); })
            .map_error([&](Error error) { return explained(std::move(error), mode); });
    }

private:
    static Result<void> nothing() { return {}; }

    Result<void> make(std::optional<Netns> &netns, std::optional<Links> &links, const std::string &part) {
        return Netns::create(namespace_name(lab_.name(), part))
            .and_then([&](Netns made) {
                netns = std::move(made);
                return Links::of(netns->fd());
            })
            .and_then([&](Links opened) {
                links = std::move(opened);
                return links->set_up(1); // lo
            });
    }

    // The host's uplink and the other machine at its far end.
    Result<void> wire() {
        lab_.server_address_ = peer_address;
        Device uplink = device(ROLE_UPLINK);
        Device peer = device(ROLE_PEER);
        return host_links_->add_veth(uplink, peer, lab_.peer_->fd())
            .and_then([&] { return host_links_->add_address(uplink.ifindex, with_prefix(uplink_address)); })
            .and_then([&] { return peer_links_->add_address(peer.ifindex, with_prefix(peer_address)); })
            .and_then([&] { return host_links_->set_up(uplink.ifindex); })
            .and_then([&] { return peer_links_->set_up(peer.ifindex); })
            .and_then([&] { return host_links_->add_neighbour(uplink.ifindex, peer_address, peer.mac); })
            .and_then([&] { return peer_links_->add_neighbour(peer.ifindex, uplink_address, uplink.mac); });
    }

    Result<void> container(Mode mode) {
        Device uplink = device(ROLE_UPLINK);
        Device on_parent = device(ROLE_CONTAINER);
        int netns = lab_.container_ ? lab_.container_->fd() : -1;
        switch (mode) {
        case Mode::host:
            return {};
        case Mode::veth:
            return routed_pair();
        case Mode::macvlan:
            return host_links_->add_macvlan(on_parent, uplink.ifindex, netns).and_then([&] {
                return beside_uplink(on_parent.mac);
            });
        case Mode::ipvlan: // an ipvlan has its parent's MAC address
            return host_links_->add_ipvlan(on_parent, uplink.ifindex, netns, IpvlanMode::l2).and_then([&] {
                return beside_uplink(uplink.mac);
            });
        case Mode::ipvlan_l3:
            return host_links_->add_ipvlan(on_parent, uplink.ifindex, netns, IpvlanMode::l3).and_then([&] {
                return beside_uplink(uplink.mac);
            });
        }
        return {};
    }

    Result<void> routed_pair() {
        Device inside = device(ROLE_CONTAINER);
        Device outside = device(ROLE_HOST);
        int peer = device(ROLE_PEER).ifindex;
        return host_links_->add_veth(outside, inside, lab_.container_->fd())
            .and_then([&] { return host_links_->add_address(outside.ifindex, with_prefix(host_address)); })
            .and_then([&] { return container_links_->add_address(inside.ifindex, with_prefix(container_address)); })
            .and_then([&] { return host_links_->set_up(outside.ifindex); })
            .and_then([&] { return container_links_->set_up(inside.ifindex); })
            .and_then([&] { return host_links_->add_neighbour(outside.ifindex, container_address, inside.mac); })
            .and_then([&] { return container_links_->add_neighbour(inside.ifindex, host_address, outside.mac); })
            .and_then([&] { return container_links_->add_route(everywhere, host_address, inside.ifindex); })
            .and_then([&] { return peer_links_->add_route(container_net, uplink_address, peer); })
            .and_then([&] { return host_links_->set_forwarding(outside.ifindex); })
            .and_then([&] { return host_links_->set_forwarding(device(ROLE_UPLINK).ifindex); });
    }

    // A container that shares the uplink's network and reaches the peer without a route. Its neighbours are static: an
    // ipvlan sends broadcasts, ARP among them, through a workqueue.
    Result<void> beside_uplink(const Mac &mac) {
        int inside = device(ROLE_CONTAINER).ifindex;
        Device peer = device(ROLE_PEER);
        return container_links_->add_address(inside, with_prefix(on_parent_address))
            .and_then([&] { return container_links_->set_up(inside); })
            .and_then([&] { return container_links_->add_neighbour(inside, peer_address, peer.mac); })
            .and_then([&] { return peer_links_->add_neighbour(peer.ifindex, on_parent_address, mac); });
    }

    static Error explained(Error error, Mode mode) {
        const ModeRow &row = row_of(mode);
        if (error.hint.empty())
            error.hint =
                fmt::format("--mode {} needs a kernel with {} (module {})", row.name, row.kernel_option, row.module);
        return error;
    }

    Lab &lab_;
    std::optional<Links> container_links_;
    std::optional<Links> host_links_;
    std::optional<Links> peer_links_;
};

Result<std::unique_ptr<Lab>> Lab::build(Mode mode, Topology topology) {
    return Ownership::take().and_then([&](Ownership owner) { return build(mode, topology, std::move(owner)); });
}

Result<std::unique_ptr<Lab>> Lab::build(Mode mode, Topology topology, Ownership owner) {
    if (Result<Way> way = Way::of(mode, topology); !way)
        return tl::unexpected(way.error());
    std::unique_ptr<Lab> lab(new Lab(std::move(owner)));
    if (Result<void> built = Builder(*lab).build(mode); !built)
        return tl::unexpected(built.error());
    return lab;
}

Lab::~Lab() {
    if (kept_)
        return;
    for (std::optional<Netns> *netns : {&container_, &host_, &peer_})
        if (*netns)
            (void)Netns::remove((*netns)->name());
}

} // namespace vethtrace
