// SPDX-License-Identifier: GPL-2.0-only
#include "watch/links.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <tuple>

namespace vethtrace {

namespace {

using namespace layout;

bool is_one_of(std::string_view kind, std::initializer_list<std::string_view> kinds) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

// Those that a namespace has by itself are down.
constexpr auto tunnel_kinds = std::to_array<std::string_view>(
    {"vxlan", "geneve", "ipip", "sit", "gre",     "gretap", "erspan",  "ip6gre",    "ip6gretap", "ip6erspan", "ip6tnl",
     "vti",   "vti6",   "xfrm", "gtp", "bareudp", "amt",    "l2tpeth", "wireguard", "ovpn",      "ppp"});

} // namespace

bool is_pair(const Interface &interface) {
    return is_one_of(interface.kind, {"veth", "netkit"});
}

bool is_on_parent(const Interface &interface) {
    return interface.link != 0 &&
           is_one_of(interface.kind, {"macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "macsec"});
}

bool is_bridge(const Interface &interface) {
    return is_one_of(interface.kind, {"bridge", "openvswitch"});
}

bool is_tunnel(const Interface &interface) {
    return std::find(tunnel_kinds.begin(), tunnel_kinds.end(), interface.kind) != tunnel_kinds.end();
}

// What nobody has heard of yet may pass its packets on: then they are followed, and otherwise they end by themselves.
bool is_end(const Interface &interface) {
    return is_one_of(interface.kind, {"", "tun", "dummy", "nlmon", "vsockmon", "netdevsim", "ipoib", "wwan", "can",
                                      "vcan", "vxcan", "mhi_net"});
}

bool is_bridge_port(const Interface &port, const std::vector<Interface> &all) {
    return port.master != 0 && std::any_of(all.begin(), all.end(), [&](const Interface &master) {
               return master.ifindex == port.master && is_bridge(master);
           });
}

bool is_used(const Interface &interface) {
    return !interface.is_loopback &&
           (interface.is_up || is_pair(interface) || is_one_of(interface.kind, {"macvlan", "ipvlan", ""}));
}

std::optional<std::uint32_t> namespace_of_link(const NetnsLinks &links, const Interface &interface) {
    if (interface.link_netns == -1)
        return links.netns;
    auto found = links.lead_to.find(interface.link_netns);
    return found == links.lead_to.end() ? std::nullopt : std::optional(found->second);
}

const Interface *other_end(const NetnsLinks &inside, const Interface &interface, const NetnsLinks &outside,
                           bool must_confirm) {
    if (!is_pair(interface) || interface.link == 0 || inside.netns == outside.netns)
        return nullptr;
    auto found = std::find_if(outside.interfaces.begin(), outside.interfaces.end(), [&](const Interface &candidate) {
        return candidate.ifindex == interface.link && candidate.link == interface.ifindex &&
               candidate.kind == interface.kind;
    });
    if (found == outside.interfaces.end())
        return nullptr;
    std::optional<std::uint32_t> there = namespace_of_link(inside, interface);
    std::optional<std::uint32_t> back = namespace_of_link(outside, *found);
    bool confirmed = back == inside.netns && (!there || *there == outside.netns);
    bool likely = there == outside.netns && !back;
    return confirmed || (likely && !must_confirm) ? &*found : nullptr;
}

role role_of_kind(const Interface &interface) {
    if (is_bridge(interface))
        return ROLE_BRIDGE;
    if (is_tunnel(interface))
        return ROLE_TUNNEL;
    if (interface.kind == "ifb")
        return ROLE_IFB;
    return is_pair(interface) && interface.link_netns != -1 ? ROLE_HOST2 : ROLE_ELSEWHERE;
}

std::optional<Mode> mode_of(const Interface &inside, const Interface *outside, const std::vector<Interface> &beside) {
    if (inside.kind == "netkit")
        return Mode::netkit;
    if (inside.kind == "veth")
        return outside != nullptr && is_bridge_port(*outside, beside) ? Mode::bridge : Mode::veth;
    if (inside.kind == "openvswitch")
        return Mode::bridge;
    if (inside.kind == "macvlan")
        return Mode::macvlan;
    if (inside.kind == "ipvlan")
        return inside.ipvlan_mode == IPVLAN_MODE_L2 ? Mode::ipvlan : Mode::ipvlan_l3;
    return std::nullopt;
}

Unseen unseen_at(const Interface &interface, LeadsTo leads_to) {
    const std::string &name = interface.name;
    if (interface.kind == "tun") {
        std::string why = fmt::format("{} is fed by a process, as of a user-mode network (slirp4netns, pasta) or a "
                                      "virtual machine: what that does is not in the kernel",
                                      name);
        return {true, {{Flow::out, Stage::device_xmit, why}, {Flow::in, Stage::device_xmit, why}}};
    }
    if (interface.kind.empty() || interface.kind == "ipoib")
        return {true,
                {{Flow::in, Stage::wire,
                  name + " is a network card of the container's own: nothing of the host is before it"}}};
    if (leads_to == LeadsTo::own_namespace || leads_to == LeadsTo::watched)
        return {};
    const char *where = leads_to == LeadsTo::unreadable ? "is in a network namespace that cannot be looked into"
                                                        : "is in a network namespace that no process or name leads to";
    if (is_pair(interface)) {
        std::string why = fmt::format("the other end of {} {}", name, where);
        return {true, {{Flow::in, Stage::qdisc, why}, {Flow::in, Stage::device_xmit, why}}};
    }
    // Nothing is received at it: its parent hands the packet up in its name, which no hook sees.
    if (is_on_parent(interface))
        return {true,
                {{Flow::in, Stage::stack_rx,
                  fmt::format("the parent of {}, where its packets are received, {}", name, where)}}};
    return {};
}

void settle_claims(std::vector<Target> &targets) {
    using Place = std::pair<std::uint32_t, int>;
    std::map<Place, std::size_t> owners; // by their own devices
    std::vector<long> sizes(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i)
        for (const WatchedDevice &device : targets[i].devices)
            if (device.role == ROLE_CONTAINER) {
                owners[{device.netns, device.ifindex}] = i;
                ++sizes[i];
            }
    std::vector<std::pair<std::size_t, Place>> lost; // the target, and which device it does not have
    for (std::size_t i = 0; i < targets.size(); ++i)
        for (const WatchedDevice &device : targets[i].devices) {
            auto owner = owners.find({device.netns, device.ifindex});
            if (device.role != ROLE_HOST || owner == owners.end())
                continue;
            lost.emplace_back(sizes[i] < sizes[owner->second] ? owner->second : i, owner->first);
        }
    for (const auto &[target, place] : lost)
        std::erase_if(targets[target].devices, [&, where = place](const WatchedDevice &device) {
            return device.netns == where.first && device.ifindex == where.second;
        });
}

} // namespace vethtrace
