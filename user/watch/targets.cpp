// SPDX-License-Identifier: GPL-2.0-only
#include "watch/targets.hpp"

#include "privileges/privileges.hpp"
#include "watch/near.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <set>

namespace vethtrace {

namespace {

using namespace layout;

constexpr std::size_t short_id = 12; // as docker and podman show it

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

std::optional<Mode> mode_of(const Interface &inside, const Interface *outside) {
    if (inside.kind == "netkit")
        return Mode::netkit;
    if (inside.kind == "veth")
        return outside != nullptr && outside->master != 0 ? Mode::bridge : Mode::veth;
    if (inside.kind == "macvlan")
        return Mode::macvlan;
    if (inside.kind == "ipvlan")
        return inside.ipvlan_mode == "l2" ? Mode::ipvlan : Mode::ipvlan_l3;
    return std::nullopt;
}

tl::unexpected<Error> no_match(const std::string &object, std::string_view word, std::vector<std::string> names) {
    std::vector<std::string> near = near_matches(word, std::move(names));
    std::string hint = near.empty() ? "`vethtrace watch --all` shows what there is"
                                    : fmt::format("did you mean {}?", fmt::join(near, ", "));
    return tl::unexpected(Error{object, "fits nothing that is here", std::move(hint), Exit::usage});
}

bool has_name(const Target &target, std::string_view word) {
    std::string_view rest = target.name;
    for (;;) {
        std::size_t plus = rest.find('+');
        if (rest.substr(0, plus) == word)
            return true;
        if (plus == std::string_view::npos)
            return false;
        rest.remove_prefix(plus + 1);
    }
}

bool has_id(const Namespace &netns, std::string_view word) {
    constexpr std::size_t least = 4;
    return word.size() >= least && std::any_of(netns.containers.begin(), netns.containers.end(),
                                               [&](const ContainerId &id) { return id.id.starts_with(word); });
}

// The file of a namespace as the user named it; empty: by its inode, or by a name that is looked for.
std::filesystem::path path_of(const NetnsTarget &netns, const Roots &roots) {
    if (const auto *name = std::get_if<NetnsName>(&netns))
        return roots.run / "netns" / name->name;
    if (const auto *process = std::get_if<NetnsOfProcess>(&netns))
        return roots.proc / std::to_string(process->pid) / "ns/net";
    if (const auto *path = std::get_if<NetnsPath>(&netns))
        return path->path;
    return {};
}

std::string text_of(const NetnsTarget &netns) {
    if (const auto *name = std::get_if<NetnsName>(&netns))
        return name->name;
    if (const auto *process = std::get_if<NetnsOfProcess>(&netns))
        return std::to_string(process->pid);
    if (const auto *path = std::get_if<NetnsPath>(&netns))
        return path->path;
    return fmt::format("inode:{}", std::get<NetnsInode>(netns).inode);
}

} // namespace

TargetFinder::TargetFinder(Selection selection, Roots roots)
    : selection_(std::move(selection)), roots_(std::move(roots)), names_(roots_),
      host_(namespace_inode(roots_.proc / "self/ns/net")) {
    for (pid_t pid : selection_.pids)
        selection_.netns.emplace_back(NetnsOfProcess{pid});
}

Result<Found> TargetFinder::find() {
    RaisedPrivileges raised(Purpose::looking);
    Result<std::vector<Interface>> host = read_interfaces();
    if (!host)
        return tl::unexpected(host.error());
    // The machine's own is nobody's container, also for a host that is itself in a namespace.
    std::map<std::uint32_t, Namespace> namespaces =
        find_namespaces(roots_, {host_, namespace_inode(roots_.proc / "1/ns/net")});
    for (const NetnsTarget &asked : selection_.netns)
        if (std::filesystem::path path = path_of(asked, roots_); !path.empty())
            if (std::uint32_t inode = namespace_inode(path); inode != 0 && inode != host_)
                if (Namespace &netns = namespaces[inode]; netns.path.empty())
                    netns.path = path;
    for (const auto &[pid, container] : names_.started_by_hand())
        if (auto netns = namespaces.find(namespace_inode(roots_.proc / std::to_string(pid) / "ns/net"));
            netns != namespaces.end() && netns->second.containers.empty())
            netns->second.containers.push_back(container);

    std::vector<Target> all;
    Found found;
    if (Result<void> selected = select(namespaces, all, found.targets); !selected)
        return tl::unexpected(selected.error());
    // For an interface of the host it matters what its other end is, whoever that belongs to.
    bool ends_matter = !selection_.interfaces.empty() && selection_.netns.empty();
    for (Target &target : ends_matter ? all : found.targets)
        if (const Inside *inside = look_inside(target.netns, namespaces.at(target.netns), *host))
            add_devices(target, *inside, *host);
    std::erase_if(inside_, [&](const auto &known) { return !namespaces.contains(known.first); });
    if (Result<void> added = add_interfaces(*host, all, found); !added)
        return tl::unexpected(added.error());
    add_node(*host, found);
    first_ = false;
    return found;
}

Target TargetFinder::describe(std::uint32_t inode, const Namespace &netns) {
    Target target;
    target.netns = inode;
    target.pid = netns.pid;
    std::vector<std::string> names;
    for (const ContainerId &id : netns.containers) {
        const ContainerName &known = names_.of(id);
        if (!known.pod.empty())
            target.pod = known.pod;
        target.kind = TargetKind::container;
        target.runtime = known.runtime.empty() ? id.runtime : known.runtime;
        if (target.container_id.empty() || !known.is_sandbox)
            target.container_id = id.id;
        if (!known.is_sandbox)
            names.push_back(known.name.empty() ? id.id.substr(0, short_id) : known.name);
    }
    std::sort(names.begin(), names.end());
    target.name = fmt::format("{}", fmt::join(names, "+"));
    if (!names.empty())
        return target;
    if (target.kind == TargetKind::container) { // a pod of which nothing but its sandbox is there yet
        target.name = target.pod.empty() ? target.container_id.substr(0, short_id) : target.pod;
    } else if (!netns.names.empty()) {
        target.kind = TargetKind::netns;
        target.name = printable(netns.names.front());
    } else if (netns.pid != 0) {
        target.kind = TargetKind::process;
        target.name = fmt::format("pid {}", netns.pid);
    } else {
        target.name = netns.path.filename().string();
    }
    return target;
}

Result<void> TargetFinder::select(const std::map<std::uint32_t, Namespace> &namespaces, std::vector<Target> &all,
                                  std::vector<Target> &chosen) {
    all.reserve(namespaces.size());
    for (const auto &[inode, netns] : namespaces)
        all.push_back(describe(inode, netns));
    if (selection_.all) {
        chosen = all;
        return {};
    }
    std::set<std::uint32_t> taken;
    auto take = [&](const std::string &object, const std::string &word, bool just_one,
                    const std::function<bool(const Target &)> &fits,
                    const std::function<std::string(const Target &)> &name) -> Result<void> {
        std::vector<std::string> names;
        for (const Target &target : all) {
            if (!fits(target))
                continue;
            names.push_back(fmt::format("{} ({}, {})", target.name, target.runtime.empty() ? "netns" : target.runtime,
                                        target.container_id.substr(0, short_id)));
            if (taken.insert(target.netns).second)
                chosen.push_back(target);
        }
        if (first_ && names.empty()) {
            std::vector<std::string> known(all.size());
            std::transform(all.begin(), all.end(), known.begin(), name);
            return no_match(object, word, std::move(known));
        }
        if (first_ && just_one && names.size() > 1)
            return tl::unexpected(Error{object,
                                        fmt::format("fits {} containers: {}", names.size(), fmt::join(names, ", ")),
                                        "an identifier, or more of it, tells them apart", Exit::usage});
        return {};
    };
    auto name_of_target = [](const Target &target) { return target.name; };
    for (const std::string &word : selection_.containers) {
        auto fits = [&](const Target &target) {
            return target.kind == TargetKind::container &&
                   (has_name(target, word) || has_id(namespaces.at(target.netns), word));
        };
        if (Result<void> taken_one = take("--container " + word, word, true, fits, name_of_target); !taken_one)
            return taken_one;
    }
    for (const std::string &word : selection_.pods) {
        auto fits = [&](const Target &target) { return target.pod == word || target.pod.ends_with("/" + word); };
        Result<void> taken_one =
            take("--pod " + word, word, false, fits, [](const Target &target) { return target.pod; });
        if (!taken_one)
            return taken_one;
    }
    for (const NetnsTarget &asked : selection_.netns) {
        std::filesystem::path path = path_of(asked, roots_);
        std::uint64_t inode = path.empty() ? std::get<NetnsInode>(asked).inode : std::uint64_t{namespace_inode(path)};
        if (inode == host_ && inode != 0)
            return tl::unexpected(Error{"--netns " + text_of(asked), "is the host's own namespace",
                                        "-I INTERFACE watches the host's own traffic", Exit::usage});
        auto fits = [&](const Target &target) { return target.netns == inode; };
        if (Result<void> taken_one = take("--netns " + text_of(asked), text_of(asked), false, fits, name_of_target);
            !taken_one)
            return taken_one;
    }
    return {};
}

const TargetFinder::Inside *TargetFinder::look_inside(std::uint32_t inode, const Namespace &netns,
                                                      const std::vector<Interface> &host) {
    constexpr unsigned often_enough = 10; // looks; nothing outside tells of a new macvlan, or of a new name
    Inside &known = inside_[inode];
    if (!known.number)
        known.number = number_of_namespace(netns.path);
    std::vector<Interface> outside;
    std::copy_if(host.begin(), host.end(), std::back_inserter(outside),
                 [&](const Interface &end) { return known.number && end.link_netns == *known.number; });
    if (!known.interfaces.empty() && outside == known.outside && ++known.age < often_enough)
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
        target.devices.push_back(to_device(target.netns, interface, ROLE_CONTAINER));
        if (outside != nullptr)
            target.devices.push_back(to_device(host_, *outside, ROLE_HOST));
        if (!target.mode)
            target.mode = mode_of(interface, outside);
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

void TargetFinder::add_node(const std::vector<Interface> &host, Found &found) const {
    std::set<int> owned;
    for (const Target &target : found.targets)
        for (const WatchedDevice &device : target.devices)
            if (device.netns == host_)
                owned.insert(device.ifindex);
    std::vector<int> routed = interfaces_with_default_route();
    std::set<int> uplinks(routed.begin(), routed.end());
    for (const auto &[inode, inside] : inside_)
        for (const Interface &interface : inside.interfaces)
            if (is_on_parent(interface))
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
