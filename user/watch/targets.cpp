// SPDX-License-Identifier: GPL-2.0-only
#include "watch/targets.hpp"

#include "input/target.hpp"
#include "privileges/privileges.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/if_link.h>
#include <set>

namespace vethtrace {

namespace {

using namespace layout;

bool is_one_of(std::string_view kind, std::initializer_list<std::string_view> kinds) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

// What is sent through it goes on through another device of the same machine.
bool passes_on(const Interface &interface) {
    return is_one_of(interface.kind,
                     {"bridge", "vlan", "bond", "team", "macvlan", "macvtap", "ipvlan", "vxlan", "geneve", "ipip",
                      "sit", "gre", "gretap", "ip6gre", "ip6tnl", "wireguard", "vrf"});
}

// A namespace has tunnels that nobody made; while they are down nothing passes there.
bool is_used(const Interface &interface) {
    return !interface.is_loopback &&
           (interface.is_up || is_one_of(interface.kind, {"veth", "netkit", "macvlan", "ipvlan", ""}));
}

bool is_pair(const Interface &interface) {
    return interface.link != 0 && is_one_of(interface.kind, {"veth", "netkit"});
}

bool is_on_parent(const Interface &interface) {
    return is_one_of(interface.kind, {"macvlan", "macvtap", "ipvlan"});
}

WatchedDevice to_device(std::uint32_t netns, const Interface &interface, role role, bool is_last = false) {
    return {netns, interface.ifindex, interface.name, role, is_last};
}

// The host's end of a pair whose other end is `inside`.
const Interface *other_end(const Interface &inside, std::optional<int> number, const std::vector<Interface> &host) {
    auto found = std::find_if(host.begin(), host.end(), [&](const Interface &outside) {
        return outside.ifindex == inside.link && outside.link == inside.ifindex && outside.kind == inside.kind &&
               (!number || outside.link_netns == *number);
    });
    return found == host.end() ? nullptr : &*found;
}

// What stands in the host of the pairs of the namespace that the host knows by that number.
std::vector<Interface> ends_outside(std::optional<int> number, const std::vector<Interface> &host) {
    std::vector<Interface> ends;
    std::copy_if(host.begin(), host.end(), std::back_inserter(ends),
                 [&](const Interface &end) { return number && end.link_netns == *number; });
    return ends;
}

bool is_bridge_port(const Interface &port, const std::vector<Interface> &host) {
    return port.master != 0 && std::any_of(host.begin(), host.end(), [&](const Interface &master) {
               return master.ifindex == port.master && master.kind == "bridge";
           });
}

std::optional<Mode> mode_of(const Interface &inside, const Interface *outside, const std::vector<Interface> &host) {
    if (inside.kind == "netkit")
        return Mode::netkit;
    if (inside.kind == "veth")
        return outside != nullptr && is_bridge_port(*outside, host) ? Mode::bridge : Mode::veth;
    if (inside.kind == "macvlan")
        return Mode::macvlan;
    if (inside.kind == "ipvlan")
        return inside.ipvlan_mode == IPVLAN_MODE_L2 ? Mode::ipvlan : Mode::ipvlan_l3;
    return std::nullopt;
}

} // namespace

TargetFinder::TargetFinder(Selection selection, Roots roots)
    : selection_(std::move(selection)), roots_(std::move(roots)), names_(roots_),
      host_(namespace_inode(roots_, roots_.proc / "self/ns/net")), chooser_(selection_, roots_, host_) {}

std::map<std::uint32_t, Namespace> TargetFinder::look_for_namespaces() const {
    // The machine's own is nobody's container, also for a host that is itself in a namespace.
    std::map<std::uint32_t, Namespace> namespaces =
        find_namespaces(roots_, {host_, namespace_inode(roots_, roots_.proc / "1/ns/net")});
    chooser_.add_asked(namespaces);
    for (const auto &[pid, container] : names_.started_by_hand())
        if (auto netns = namespaces.find(namespace_inode(roots_, roots_.proc / std::to_string(pid) / "ns/net"));
            netns != namespaces.end() && netns->second.containers.empty())
            netns->second.containers.push_back(container);
    return namespaces;
}

Result<Found> TargetFinder::find() {
    RaisedPrivileges raised(Purpose::looking);
    Result<std::vector<Interface>> host = read_interfaces();
    if (!host)
        return tl::unexpected(host.error());
    std::map<std::uint32_t, Namespace> namespaces = look_for_namespaces();
    std::vector<Candidate> all;
    all.reserve(namespaces.size());
    for (const auto &[inode, netns] : namespaces)
        all.push_back(describe(inode, netns));
    names_.forget_unused();
    Result<std::vector<Target>> chosen = chooser_.choose(all);
    if (!chosen)
        return tl::unexpected(chosen.error());

    Found found{std::move(*chosen), {}};
    // For an interface of the host it matters what its other end is, whoever that belongs to.
    std::vector<Target> owners;
    if (!selection_.interfaces.empty() && selection_.netns.empty())
        std::transform(all.begin(), all.end(), std::back_inserter(owners),
                       [](Candidate &candidate) { return std::move(candidate.target); });
    for (std::vector<Target> *targets : {&owners, &found.targets})
        for (Target &target : *targets)
            if (const Inside *inside = look_inside(target.netns, namespaces.at(target.netns), *host))
                add_devices(target, *inside, *host);
    std::erase_if(inside_, [&](const auto &known) { return !namespaces.contains(known.first); });
    Result<void> added = add_interfaces(*host, owners, found).and_then([&] { return check_inner_interfaces(found); });
    if (!added)
        return tl::unexpected(added.error());
    add_node(*host, found);
    first_ = false;
    return found;
}

Candidate TargetFinder::describe(std::uint32_t inode, const Namespace &netns) {
    Candidate candidate{{}, {}, netns.containers};
    Target &target = candidate.target;
    target.netns = inode;
    target.pid = netns.pid;
    for (const ContainerId &id : netns.containers) {
        const ContainerName &known = names_.of(id);
        if (!known.pod.empty())
            target.pod = known.pod;
        target.kind = TargetKind::container;
        target.runtime = known.runtime.empty() ? id.runtime : known.runtime;
        if (target.container_id.empty() || !known.is_sandbox)
            target.container_id = id.id;
        if (!known.is_sandbox)
            candidate.names.push_back(known.name.empty() ? short_id(id.id) : known.name);
    }
    std::sort(candidate.names.begin(), candidate.names.end());
    if (!target.pod.empty()) { // one namespace for all of its containers, whose names are those of its replicas as well
        target.name = target.pod;
    } else if (!candidate.names.empty()) {
        target.name = fmt::format("{}", fmt::join(candidate.names, "+"));
    } else if (target.kind == TargetKind::container) { // nothing but a sandbox is there yet
        target.name = short_id(target.container_id);
    } else if (!netns.names.empty()) {
        target.kind = TargetKind::netns;
        target.name = printable(netns.names.front());
    } else if (netns.pid != 0) {
        target.kind = TargetKind::process;
        target.name = fmt::format("pid {}", netns.pid);
    } else {
        target.name = netns.path.filename().string();
    }
    return candidate;
}

const TargetFinder::Inside *TargetFinder::look_inside(std::uint32_t inode, const Namespace &netns,
                                                      const std::vector<Interface> &host) {
    constexpr unsigned often_enough = 10; // looks; nothing outside tells of a new macvlan, or of a new name
    Inside &known = inside_[inode];
    std::vector<Interface> outside = ends_outside(known.number, host);
    bool is_due = known.interfaces.empty() || ++known.age >= often_enough;
    if (is_due || !known.number || outside != known.outside) {
        // The inode's number may be that of a namespace which is gone, and which the host knew by another one.
        known.number = number_of_namespace(netns.path);
        outside = ends_outside(known.number, host);
    }
    if (!is_due && outside == known.outside)
        return &known;
    Result<std::vector<Interface>> interfaces = read_interfaces(netns.path);
    if (!interfaces)
        return nullptr; // gone meanwhile
    ++dumps_;
    known.interfaces = std::move(*interfaces);
    known.outside = std::move(outside);
    known.age = 0;
    return &known;
}

void TargetFinder::add_devices(Target &target, const Inside &inside, const std::vector<Interface> &host) const {
    for (const Interface &interface : inside.interfaces) {
        bool wanted = selection_.interfaces.empty() || selection_.netns.empty() ||
                      std::find(selection_.interfaces.begin(), selection_.interfaces.end(), interface.name) !=
                          selection_.interfaces.end();
        if (!is_used(interface) || !wanted)
            continue;
        const Interface *outside = is_pair(interface) ? other_end(interface, inside.number, host) : nullptr;
        // A network card that was moved in, or a tunnel of its own, has no other end here.
        bool is_last = !is_pair(interface) && !passes_on(interface);
        target.devices.push_back(to_device(target.netns, interface, ROLE_CONTAINER, is_last));
        if (outside != nullptr)
            target.devices.push_back(to_device(host_, *outside, ROLE_HOST));
        if (!target.mode)
            target.mode = mode_of(interface, outside, host);
    }
}

Result<void> TargetFinder::add_interfaces(const std::vector<Interface> &host, const std::vector<Target> &all,
                                          Found &found) const {
    if (!selection_.netns.empty())
        return {};
    for (const std::string &name : selection_.interfaces) {
        auto interface = std::find_if(host.begin(), host.end(), [&](const Interface &one) { return one.name == name; });
        if (interface == host.end()) {
            if (!first_)
                continue;
            std::vector<std::string> names(host.size());
            std::transform(host.begin(), host.end(), names.begin(), [](const Interface &one) { return one.name; });
            return no_match("-I " + name, name, std::move(names));
        }
        auto owner = std::find_if(all.begin(), all.end(), [&](const Target &target) {
            return std::any_of(target.devices.begin(), target.devices.end(), [&](const WatchedDevice &device) {
                return device.netns == host_ && device.ifindex == interface->ifindex;
            });
        });
        auto is_owners = [&](const Target &target) {
            return owner == all.end() ? target.kind == TargetKind::interface && target.name == name
                                      : target.netns == owner->netns;
        };
        if (std::any_of(found.targets.begin(), found.targets.end(), is_owners))
            continue;
        if (owner != all.end()) {
            found.targets.push_back(*owner);
            continue;
        }
        Target target;
        target.kind = TargetKind::interface;
        target.name = name;
        target.netns = host_;
        target.devices.push_back(to_device(host_, *interface, ROLE_UPLINK, !passes_on(*interface)));
        found.targets.push_back(std::move(target));
    }
    return {};
}

// Those that were asked for in the namespaces that were asked for, each in at least one.
Result<void> TargetFinder::check_inner_interfaces(const Found &found) const {
    if (!first_ || selection_.netns.empty())
        return {};
    for (const std::string &name : selection_.interfaces) {
        std::vector<std::string> names;
        for (const Target &target : found.targets)
            if (auto inside = inside_.find(target.netns); inside != inside_.end())
                std::transform(inside->second.interfaces.begin(), inside->second.interfaces.end(),
                               std::back_inserter(names), [](const Interface &one) { return one.name; });
        if (std::find(names.begin(), names.end(), name) == names.end())
            return no_match("-I " + name, name, std::move(names));
    }
    return {};
}

void TargetFinder::add_node(const std::vector<Interface> &host, Found &found) const {
    std::set<int> owned;
    for (const Target &target : found.targets)
        for (const WatchedDevice &device : target.devices)
            if (device.netns == host_)
                owned.insert(device.ifindex);
    std::vector<int> routed = interfaces_with_default_route();
    std::set<int> uplinks(routed.begin(), routed.end());
    uplinks.insert(selection_.uplinks.begin(), selection_.uplinks.end());
    for (const auto &[inode, inside] : inside_)
        for (const Interface &interface : inside.interfaces)
            if (is_on_parent(interface) && interface.link_netns != -1)
                uplinks.insert(interface.link);
    for (const Interface &interface : host)
        if (is_on_parent(interface) && interface.link_netns == -1)
            uplinks.insert(interface.link);
    for (const Interface &interface : host) {
        if (interface.is_loopback || owned.contains(interface.ifindex))
            continue;
        bool is_uplink = interface.kind.empty() || uplinks.contains(interface.ifindex);
        role role = interface.kind == "bridge" ? ROLE_BRIDGE : is_uplink ? ROLE_UPLINK : ROLE_ELSEWHERE;
        found.node.push_back(to_device(host_, interface, role, !passes_on(interface)));
    }
}

} // namespace vethtrace
