// SPDX-License-Identifier: GPL-2.0-only
//
// Devices, addresses, routes and neighbours of one network namespace, by netlink.
#pragma once

#include "core/ways.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

struct nl_sock;
struct rtnl_link;

namespace vethtrace {

using Mac = std::array<std::uint8_t, 6>;

struct Device {
    std::string name;
    int ifindex = 0;
    Mac mac = {};
};

class Links {
public:
    // Speaks to the namespace that the descriptor refers to, whatever namespace the caller is in later.
    [[nodiscard]] static Result<Links> of(int netns_fd);

    // A pair of veth devices: one here, the other in the namespace `peer_netns_fd`.
    Result<void> add_veth(const Device &here, const Device &there, int peer_netns_fd);
    // A netkit pair in L3 mode, its primary end here.
    Result<void> add_netkit(const Device &here, const Device &there, int peer_netns_fd);
    Result<void> add_bridge(const Device &bridge);
    // Makes a device a port of a bridge.
    Result<void> add_port(int ifindex, int bridge);
    // A device on top of `parent` that goes to the namespace `netns_fd`.
    Result<void> add_macvlan(const Device &device, int parent, int netns_fd);
    Result<void> add_ipvlan(const Device &device, int parent, int netns_fd, IpvlanMode mode);

    // "l2", "l3" or "l3s", as the kernel says.
    Result<std::string> ipvlan_mode(int ifindex);

    // Of a device that may not be here, which is an error then.
    Result<std::string> qdisc(int ifindex);

    Result<void> set_up(int ifindex);
    // Until every device that is up has its qdisc. Before that it drops what it is given: the kernel activates a device
    // in the background when its carrier comes (linkwatch_event()), which on a busy machine is after the first SYN.
    Result<void> wait_until_active();
    Result<void> set_forwarding(int ifindex);
    // Addresses are written as 198.18.1.2/24, routes as 0.0.0.0/0.
    Result<void> add_address(int ifindex, const std::string &address);
    Result<void> add_route(const std::string &destination, const std::string &via, int ifindex);
    Result<void> add_neighbour(int ifindex, const std::string &address, const Mac &mac);

private:
    struct Free {
        void operator()(nl_sock *socket) const;
    };
    explicit Links(std::unique_ptr<nl_sock, Free> socket) : socket_(std::move(socket)) {}

    Result<void> change(int ifindex, rtnl_link *change);
    Result<void> add_on_top(rtnl_link *link, const Device &device, int parent, int netns_fd);

    std::unique_ptr<nl_sock, Free> socket_;
};

} // namespace vethtrace
