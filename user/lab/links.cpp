// SPDX-License-Identifier: GPL-2.0-only
#include "lab/links.hpp"

#include "netns/netns.hpp"

#include <chrono>
#include <fmt/format.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/ipvlan.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <optional>
#include <string_view>
#include <thread>

namespace vethtrace {

namespace {

template<auto put>
struct Put {
    template<typename T>
    void operator()(T *object) const {
        put(object);
    }
};
using Link = std::unique_ptr<rtnl_link, Put<rtnl_link_put>>;
using VethLink = std::unique_ptr<rtnl_link, Put<rtnl_link_veth_release>>;
using Address = std::unique_ptr<nl_addr, Put<nl_addr_put>>;
using InterfaceAddress = std::unique_ptr<rtnl_addr, Put<rtnl_addr_put>>;
using Neighbour = std::unique_ptr<rtnl_neigh, Put<rtnl_neigh_put>>;
using Route = std::unique_ptr<rtnl_route, Put<rtnl_route_put>>;
using Cache = std::unique_ptr<nl_cache, Put<nl_cache_free>>;

constexpr auto patience = std::chrono::seconds(5);
constexpr auto between_looks = std::chrono::milliseconds(1);

Result<void> checked(int code, const std::string &object) {
    if (code >= 0)
        return {};
    if (code == -NLE_OPNOTSUPP)
        return fail(object, "this kernel does not have that kind of device");
    return fail(object, nl_geterror(code));
}

Result<Address> parse_address(const std::string &text) {
    nl_addr *address = nullptr;
    int code = nl_addr_parse(text.c_str(), AF_INET, &address);
    if (code < 0)
        return fail(text, nl_geterror(code));
    return Address(address);
}

// Null: all are.
Result<std::optional<std::string>> find_inactive(nl_sock *socket) {
    nl_cache *links = nullptr;
    if (int code = rtnl_link_alloc_cache(socket, AF_UNSPEC, &links); code < 0)
        return tl::unexpected(checked(code, "devices").error());
    Cache owner(links);
    for (nl_object *at = nl_cache_get_first(links); at != nullptr; at = nl_cache_get_next(at)) {
        auto *link = reinterpret_cast<rtnl_link *>(at);
        const char *qdisc = rtnl_link_get_qdisc(link);
        if ((rtnl_link_get_flags(link) & IFF_UP) != 0 && qdisc != nullptr && std::string_view(qdisc) == "noop")
            return rtnl_link_get_name(link);
    }
    return std::nullopt;
}

Address to_address(const Mac &mac) {
    return Address(nl_addr_build(AF_LLC, mac.data(), mac.size()));
}

Result<Link> find_link(nl_sock *socket, int ifindex) {
    rtnl_link *found = nullptr;
    if (int code = rtnl_link_get_kernel(socket, ifindex, nullptr, &found); code < 0)
        return tl::unexpected(checked(code, fmt::format("device {}", ifindex)).error());
    return Link(found);
}

void describe(rtnl_link *link, const Device &device) {
    rtnl_link_set_name(link, device.name.c_str());
    rtnl_link_set_ifindex(link, device.ifindex);
}

void describe_with_mac(rtnl_link *link, const Device &device) {
    describe(link, device);
    rtnl_link_set_addr(link, to_address(device.mac).get());
}

} // namespace

void Links::Free::operator()(nl_sock *socket) const {
    nl_socket_free(socket);
}

Result<Links> Links::of(int netns_fd) {
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
    if (!socket)
        return fail("netlink socket", "out of memory");
    if (int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0)
        return fail("netlink socket", nl_geterror(code));
    return Links(std::move(socket));
}

Result<void> Links::add_veth(const Device &here, const Device &there, int peer_netns_fd) {
    VethLink link(rtnl_link_veth_alloc());
    describe_with_mac(link.get(), here);
    Link peer(rtnl_link_veth_get_peer(link.get()));
    describe_with_mac(peer.get(), there);
    rtnl_link_set_ns_fd(peer.get(), peer_netns_fd);
    return checked(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL), here.name + " (veth)");
}

// libnl has no netkit, so the message is put together here. Attributes by include/uapi/linux/if_link.h of 6.7.
Result<void> Links::add_netkit(const Device &here, const Device &there, int peer_netns_fd) {
    enum { NETKIT_PEER_INFO = 1, NETKIT_MODE = 5, NETKIT_L3 = 1 };
    std::unique_ptr<nl_msg, Put<nlmsg_free>> message(
        nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK));
    ifinfomsg header = {};
    bool written = true;
    auto put = [&](int code) { written = written && code >= 0; };
    auto open = [&](int attribute) {
        nlattr *nested = nla_nest_start(message.get(), attribute);
        written = written && nested != nullptr;
        return nested;
    };
    header.ifi_index = here.ifindex;
    put(nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO));
    put(nla_put_string(message.get(), IFLA_IFNAME, here.name.c_str()));
    nlattr *info = open(IFLA_LINKINFO);
    put(nla_put_string(message.get(), IFLA_INFO_KIND, "netkit"));
    nlattr *data = open(IFLA_INFO_DATA);
    put(nla_put_u32(message.get(), NETKIT_MODE, NETKIT_L3));
    nlattr *peer = open(NETKIT_PEER_INFO);
    header.ifi_index = there.ifindex;
    put(nlmsg_append(message.get(), &header, sizeof(header), NLMSG_ALIGNTO));
    put(nla_put_string(message.get(), IFLA_IFNAME, there.name.c_str()));
    put(nla_put_u32(message.get(), IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_netns_fd)));
    if (!written)
        return fail(here.name + " (netkit)", "out of memory");
    for (nlattr *nested : {peer, data, info})
        nla_nest_end(message.get(), nested);
    return checked(nl_send_sync(socket_.get(), message.release()), here.name + " (netkit)");
}

Result<void> Links::add_bridge(const Device &bridge) {
    Link link(rtnl_link_alloc());
    describe_with_mac(link.get(), bridge);
    if (int code = rtnl_link_set_type(link.get(), "bridge"); code < 0)
        return checked(code, bridge.name + " (bridge)");
    return checked(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL), bridge.name + " (bridge)");
}

Result<void> Links::add_port(int ifindex, int bridge) {
    return checked(rtnl_link_enslave_ifindex(socket_.get(), bridge, ifindex), fmt::format("device {}", ifindex));
}

Result<void> Links::add_macvlan(const Device &device, int parent, int netns_fd) {
    Link link(rtnl_link_macvlan_alloc());
    rtnl_link_macvlan_set_mode(link.get(), static_cast<std::uint32_t>(rtnl_link_macvlan_str2mode("bridge")));
    rtnl_link_set_addr(link.get(), to_address(device.mac).get());
    return add_on_top(link.get(), device, parent, netns_fd);
}

Result<void> Links::add_ipvlan(const Device &device, int parent, int netns_fd, IpvlanMode mode) {
    Link link(rtnl_link_ipvlan_alloc());
    rtnl_link_ipvlan_set_mode(link.get(), static_cast<std::uint16_t>(mode));
    return add_on_top(link.get(), device, parent, netns_fd);
}

Result<void> Links::add_on_top(rtnl_link *link, const Device &device, int parent, int netns_fd) {
    describe(link, device);
    rtnl_link_set_link(link, parent);
    rtnl_link_set_ns_fd(link, netns_fd);
    return checked(rtnl_link_add(socket_.get(), link, NLM_F_CREATE | NLM_F_EXCL),
                   fmt::format("{} ({})", device.name, rtnl_link_get_type(link)));
}

Result<std::string> Links::ipvlan_mode(int ifindex) {
    Result<Link> link = find_link(socket_.get(), ifindex);
    if (!link)
        return tl::unexpected(link.error());
    std::uint16_t mode = 0;
    if (int code = rtnl_link_ipvlan_get_mode(link->get(), &mode); code < 0)
        return tl::unexpected(checked(code, fmt::format("device {}", ifindex)).error());
    constexpr std::array<const char *, 3> names = {"l2", "l3", "l3s"}; // libnl has no name for the last
    if (mode >= names.size())
        return fail(fmt::format("device {}", ifindex), fmt::format("is an ipvlan in a mode of number {}", mode));
    return names.at(mode);
}

Result<std::string> Links::qdisc(int ifindex) {
    return find_link(socket_.get(), ifindex).and_then([&](const Link &link) -> Result<std::string> {
        const char *name = rtnl_link_get_qdisc(link.get());
        if (name == nullptr)
            return fail(fmt::format("device {}", ifindex), "has no qdisc");
        return name;
    });
}

Result<void> Links::change(int ifindex, rtnl_link *change) {
    Link now(rtnl_link_alloc());
    rtnl_link_set_ifindex(now.get(), ifindex);
    return checked(rtnl_link_change(socket_.get(), now.get(), change, 0), fmt::format("device {}", ifindex));
}

Result<void> Links::set_up(int ifindex) {
    // No link-local address, so no IPv6 packets of the kernel's own among those of the load. A kernel without IPv6
    // refuses, and that is as good.
    Link quiet(rtnl_link_alloc());
    rtnl_link_inet6_set_addr_gen_mode(quiet.get(), static_cast<std::uint8_t>(rtnl_link_inet6_str2addrgenmode("none")));
    (void)change(ifindex, quiet.get());
    Link up(rtnl_link_alloc());
    rtnl_link_set_flags(up.get(), IFF_UP);
    return change(ifindex, up.get());
}

Result<void> Links::wait_until_active() {
    for (auto end = std::chrono::steady_clock::now() + patience;; std::this_thread::sleep_for(between_looks)) {
        Result<std::optional<std::string>> inactive = find_inactive(socket_.get());
        if (!inactive)
            return tl::unexpected(inactive.error());
        if (!*inactive)
            return {};
        if (std::chrono::steady_clock::now() > end)
            return fail(**inactive, "has no carrier", "the machine may be too busy; try again");
    }
}

Result<void> Links::set_forwarding(int ifindex) {
    Link forwarding(rtnl_link_alloc());
    rtnl_link_inet_set_conf(forwarding.get(), static_cast<unsigned>(rtnl_link_inet_str2devconf("forwarding")), 1);
    return change(ifindex, forwarding.get());
}

Result<void> Links::add_address(int ifindex, const std::string &address) {
    Result<Address> local = parse_address(address);
    if (!local)
        return tl::unexpected(local.error());
    InterfaceAddress entry(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(entry.get(), ifindex);
    rtnl_addr_set_local(entry.get(), local->get());
    return checked(rtnl_addr_add(socket_.get(), entry.get(), 0), "address " + address);
}

Result<void> Links::add_route(const std::string &destination, const std::string &via, int ifindex) {
    Result<Address> target = parse_address(destination);
    if (!target)
        return tl::unexpected(target.error());
    Result<Address> gateway = parse_address(via);
    if (!gateway)
        return tl::unexpected(gateway.error());
    Route route(rtnl_route_alloc());
    rtnl_route_set_dst(route.get(), target->get());
    rtnl_nexthop *hop = rtnl_route_nh_alloc();
    rtnl_route_nh_set_gateway(hop, gateway->get());
    rtnl_route_nh_set_ifindex(hop, ifindex);
    rtnl_route_add_nexthop(route.get(), hop); // which owns it from here on
    return checked(rtnl_route_add(socket_.get(), route.get(), 0), "route to " + destination);
}

Result<void> Links::add_neighbour(int ifindex, const std::string &address, const Mac &mac) {
    Result<Address> target = parse_address(address);
    if (!target)
        return tl::unexpected(target.error());
    Neighbour neighbour(rtnl_neigh_alloc());
    rtnl_neigh_set_ifindex(neighbour.get(), ifindex);
    rtnl_neigh_set_dst(neighbour.get(), target->get());
    rtnl_neigh_set_lladdr(neighbour.get(), to_address(mac).get());
    rtnl_neigh_set_state(neighbour.get(), rtnl_neigh_str2state("permanent"));
    return checked(rtnl_neigh_add(socket_.get(), neighbour.get(), NLM_F_CREATE | NLM_F_REPLACE),
                   "neighbour " + address);
}

} // namespace vethtrace
