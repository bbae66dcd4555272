// SPDX-License-Identifier: GPL-2.0-only
#include "watch/targets.hpp"

#include "input/target.hpp"
#include "privileges/privileges.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <set>

namespace vethtrace {

namespace {

using namespace layout;

WatchedDevice to_device(std::uint32_t netns, const Interface &interface, role role, bool is_last = false) {
    return {netns, interface.ifindex, interface.name, role, is_last, false, is_tunnel(interface)};
}

// What stands in the host of the pairs of the namespace that the host knows by that number.
std::vector<Interface> ends_outside(std::optional<int> number, const std::vector<Interface> &host) {
    std::vector<Interface> ends;
    std::copy_if(host.begin(), host.end(), std::back_inserter(ends),
                 [&](const Interface &end) { return number && end.link_netns == *number; });
    return ends;
}

} // namespace

TargetFinder::TargetFinder(Selection selection, Roots roots)
    : selection_(std::move(selection)), roots_(std::move(roots)), names_(roots_),
      host_(namespace_inode(roots_, roots_.proc / "self/ns/net")),
      host_file_(open((roots_.proc / "self/ns/net").c_str(), O_RDONLY | O_CLOEXEC)),
      first_of_all_(namespace_inode(roots_, roots_.proc / "1/ns/net")), chooser_(selection_, roots_, host_) {}

std::map<std::uint32_t, Namespace> TargetFinder::look_for_namespaces() const {
    // The machine's own is nobody's container, also for a host that is itself in a namespace.
    std::map<std::uint32_t, Namespace> namespaces = find_namespaces(roots_, {host_, first_of_all_});
    chooser_.add_asked(namespaces);
    for (const auto &[pid, container] : names_.started_by_hand())
        if (auto netns = namespaces.find(namespace_inode(roots_, roots_.proc / std::to_string(pid) / "ns/net"));
            netns != namespaces.end() && netns->second.containers.empty())
            netns->second.containers.push_back(container);
    return namespaces;
}

Result<Found> TargetFinder::find() {
    RaisedPrivileges raised(Purpose::looking);
    std::error_code none;
    if (host_ == 0 && !std::filesystem::exists(roots_.proc / "self/ns/net", none))
        return fail((roots_.proc / "self/ns/net").string(),
                    "cannot be read, and without it nothing tells which network namespaces there are",
                    fmt::format("{} must be a proc file system that shows all processes", roots_.proc.string()));
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

    Found found{std::move(*chosen), {}, {}};
    // For an interface of the host it matters what its other end is, whoever that belongs to.
    std::vector<Target> owners;
    if (!selection_.interfaces.empty() && selection_.netns.empty())
        std::transform(all.begin(), all.end(), std::back_inserter(owners),
                       [](Candidate &candidate) { return std::move(candidate.target); });
    prepare_look(std::move(*host), namespaces);
    for (std::vector<Target> *targets : {&owners, &found.targets})
        for (Target &target : *targets)
            if (const Inside *inside = look_inside(target.netns))
                add_devices(target, *inside);
    Result<void> added = add_interfaces(owners, found).and_then([&] { return check_inner_interfaces(found); });
    if (!added)
        return tl::unexpected(added.error());
    settle_claims(found.targets);
    add_node(found);
    std::erase_if(inside_, [&](const auto &known) { return !paths_.contains(known.first); });
    found.notes = std::move(notes_);
    first_ = false;
    return found;
}

Candidate TargetFinder::describe(std::uint32_t inode, const Namespace &netns) {
    Candidate candidate{{}, {}, netns.containers};
    Target &target = candidate.target;
    target.netns = inode;
    target.pid = netns.pid;
    target.path = netns.path;
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

void TargetFinder::prepare_look(std::vector<Interface> host, const std::map<std::uint32_t, Namespace> &namespaces) {
    ++looks_;
    outside_ = {host_, std::move(host)};
    led_through_.clear();
    parents_.clear();
    notes_.clear();
    paths_.clear();
    for (const auto &[inode, netns] : namespaces)
        paths_[inode] = netns.path;
    if (first_of_all_ != 0 && first_of_all_ != host_)
        paths_[first_of_all_] = roots_.proc / "1/ns/net";
    std::set<std::uint32_t> inodes;
    std::transform(paths_.begin(), paths_.end(), std::inserter(inodes, inodes.end()),
                   [](const auto &path) { return path.first; });
    if (inodes != inodes_)
        ++generation_;
    inodes_ = std::move(inodes);
    // By a descriptor: inside another namespace /proc/self/ns/net is that one.
    others_ = {{host_, fmt::format("/proc/self/fd/{}", host_file_.get())}};
    if (paths_.contains(first_of_all_))
        hubs_.insert(first_of_all_);
    std::erase_if(hubs_, [&](std::uint32_t inode) { return !paths_.contains(inode); });
    std::erase_if(unreadable_, [&](std::uint32_t inode) { return !paths_.contains(inode); });
    for (bool likely : {true, false}) {
        for (const auto &[inode, path] : paths_)
            if (hubs_.contains(inode) == likely)
                others_.push_back({inode, path});
        if (likely)
            likely_others_ = others_.size();
    }
}

const TargetFinder::Inside *TargetFinder::look_inside(std::uint32_t inode) {
    constexpr unsigned often_enough = 10; // looks; nothing outside tells of a new macvlan, or of a new name
    auto path = paths_.find(inode);
    if (path == paths_.end())
        return nullptr;
    Inside &known = inside_[inode];
    bool is_read = !known.links.interfaces.empty();
    if (is_read && known.looked == looks_)
        return &known;
    known.looked = looks_;
    std::vector<Interface> outside = ends_outside(known.number, outside_.interfaces);
    bool is_due = !is_read || ++known.age >= often_enough;
    if (is_due || !known.number || outside != known.outside) {
        // The inode's number may be that of a namespace which is gone, and which the host knew by another one.
        known.number = number_of_namespace(path->second);
        outside = ends_outside(known.number, outside_.interfaces);
    }
    if (known.number)
        outside_.lead_to[*known.number] = inode;
    is_due = is_due || outside != known.outside || (known.has_lost_link && known.searched != generation_);
    return is_due ? look_anew(inode, known, std::move(outside)) : &known;
}

const TargetFinder::Inside *TargetFinder::look_anew(std::uint32_t inode, Inside &known,
                                                    std::vector<Interface> outside) {
    // Whom none of them was the other end of is not asked again.
    bool is_searched = known.has_lost_link && known.searched == generation_;
    const std::filesystem::path &path = paths_.at(inode);
    Result<NetnsContents> contents =
        visit_netns(path, is_searched ? std::span(others_).first(likely_others_) : std::span(others_));
    if (!contents) {
        // One that is gone meanwhile is nothing to speak of.
        bool is_here = namespace_inode(roots_, path) == inode;
        if (is_here && unreadable_.insert(inode).second)
            notes_.push_back(fmt::format("{} cannot be looked into, so its devices are not known: {}", path.string(),
                                         contents.error().reason));
        known.links.interfaces.clear();
        return nullptr;
    }
    ++dumps_;
    unreadable_.erase(inode);
    known.links = {inode, std::move(contents->interfaces), std::move(contents->links_lead_to)};
    known.addresses = std::move(contents->addresses);
    known.routed = std::move(contents->routed);
    known.outside = std::move(outside);
    known.age = 0;
    known.searched = generation_;
    const std::vector<Interface> &all = known.links.interfaces;
    known.has_lost_link = std::any_of(all.begin(), all.end(), [&](const Interface &interface) {
        return !namespace_of_link(known.links, interface).has_value();
    });
    for (const auto &[number, leads_to] : known.links.lead_to)
        if (leads_to != host_)
            hubs_.insert(leads_to);
    return &known;
}

// Null: it cannot be looked into.
const NetnsLinks *TargetFinder::links_of(std::uint32_t inode) {
    if (inode == host_)
        return &outside_;
    const Inside *inside = look_inside(inode);
    return inside == nullptr ? nullptr : &inside->links;
}

std::pair<const NetnsLinks *, const Interface *> TargetFinder::find_other_end(const NetnsLinks &inside,
                                                                              const Interface &interface) {
    if (const Interface *end = other_end(inside, interface, outside_, true))
        return {&outside_, end};
    std::optional<std::uint32_t> netns = namespace_of_link(inside, interface);
    if (!netns || *netns == inside.netns)
        return {nullptr, nullptr};
    const NetnsLinks *links = links_of(*netns);
    const Interface *end = links == nullptr ? nullptr : other_end(inside, interface, *links, false);
    if (links != nullptr && end == nullptr && *netns != host_) { // it may have been read before this one was made
        if (auto known = inside_.find(*netns); known != inside_.end() && known->second.age != 0) {
            const Inside *anew = look_anew(*netns, known->second, known->second.outside);
            links = anew == nullptr ? nullptr : &anew->links;
            end = links == nullptr ? nullptr : other_end(inside, interface, *links, false);
        }
    }
    return {links, end};
}

void TargetFinder::add_devices(Target &target, const Inside &inside) {
    target.addresses = inside.addresses;
    for (const Interface &interface : inside.links.interfaces) {
        bool wanted = selection_.interfaces.empty() || selection_.netns.empty() ||
                      std::find(selection_.interfaces.begin(), selection_.interfaces.end(), interface.name) !=
                          selection_.interfaces.end();
        if (is_used(interface) && wanted)
            add_device(target, inside.links, interface);
    }
}

void TargetFinder::add_device(Target &target, const NetnsLinks &links, const Interface &interface) {
    auto [beside, end] =
        is_pair(interface) ? find_other_end(links, interface) : std::pair<const NetnsLinks *, const Interface *>();
    std::optional<std::uint32_t> netns = namespace_of_link(links, interface);
    // Kernels that do not tell in which namespace an ipvlan's parent is leave it out.
    auto is_here = [&] {
        return std::any_of(links.interfaces.begin(), links.interfaces.end(),
                           [&](const Interface &one) { return one.ifindex == interface.link; });
    };
    if (is_on_parent(interface) && netns == links.netns && !is_here())
        netns = host_;
    LeadsTo leads_to = LeadsTo::unknown;
    bool is_own = end == nullptr && netns == links.netns && (!is_pair(interface) || interface.link != 0);
    if (is_own)
        leads_to = LeadsTo::own_namespace;
    else if (end != nullptr || (netns && is_on_parent(interface) && links_of(*netns) != nullptr))
        leads_to = LeadsTo::watched;
    else if (netns)
        leads_to = LeadsTo::unreadable;
    if (netns && *netns != links.netns && is_on_parent(interface))
        parents_[*netns].insert(interface.link);

    Unseen unseen = unseen_at(interface, leads_to);
    WatchedDevice own = to_device(target.netns, interface, ROLE_CONTAINER, is_end(interface));
    own.is_entry = unseen.is_entry;
    target.devices.push_back(std::move(own));
    target.unseen.insert(target.unseen.end(), unseen.stages.begin(), unseen.stages.end());
    if (end != nullptr)
        target.devices.push_back(to_device(beside->netns, *end, ROLE_HOST));
    if (!target.mode)
        target.mode = mode_of(interface, end, beside == nullptr ? std::vector<Interface>() : beside->interfaces);
}

Result<void> TargetFinder::add_interfaces(const std::vector<Target> &all, Found &found) const {
    const std::vector<Interface> &host = outside_.interfaces;
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
        // What is received there comes in, and what is handed to it goes out, whatever has been before.
        role role = is_tunnel(*interface) ? ROLE_TUNNEL : ROLE_UPLINK;
        bool is_last = is_end(*interface) || is_pair(*interface);
        target.devices.push_back(to_device(host_, *interface, role, is_last));
        target.devices.back().is_entry = true;
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
                std::transform(inside->second.links.interfaces.begin(), inside->second.links.interfaces.end(),
                               std::back_inserter(names), [](const Interface &one) { return one.name; });
        if (std::find(names.begin(), names.end(), name) == names.end())
            return no_match("-I " + name, name, std::move(names));
    }
    return {};
}

// Where packets come into a namespace from outside, and leave it.
std::set<int> TargetFinder::uplinks_of(std::uint32_t netns) const {
    std::set<int> uplinks;
    const NetnsLinks *links = &outside_;
    if (netns == host_) {
        std::vector<int> routed = interfaces_with_default_route();
        uplinks.insert(routed.begin(), routed.end());
        uplinks.insert(selection_.uplinks.begin(), selection_.uplinks.end());
    } else {
        const Inside &inside = inside_.at(netns);
        uplinks.insert(inside.routed.begin(), inside.routed.end());
        links = &inside.links;
    }
    if (auto parents = parents_.find(netns); parents != parents_.end())
        uplinks.insert(parents->second.begin(), parents->second.end());
    for (const Interface &interface : links->interfaces)
        if (is_on_parent(interface) && interface.link_netns == -1)
            uplinks.insert(interface.link);
        else if (interface.kind.empty() && !interface.is_loopback)
            uplinks.insert(interface.ifindex);
    return uplinks;
}

// The namespaces through which the targets' packets pass on their way to the host: of containers in containers.
std::set<std::uint32_t> TargetFinder::go_outwards(const std::vector<Target> &targets) {
    std::set<std::uint32_t> around;
    std::vector<std::uint32_t> open;
    auto reach = [&](std::uint32_t netns) {
        if (netns != host_ && links_of(netns) != nullptr && around.insert(netns).second)
            open.push_back(netns);
    };
    for (const Target &target : targets)
        for (const WatchedDevice &device : target.devices)
            if (device.role == ROLE_HOST)
                reach(device.netns);
    for (const auto &[netns, parents] : parents_)
        reach(netns);
    while (!open.empty()) {
        std::uint32_t netns = open.back();
        open.pop_back();
        const NetnsLinks *links = links_of(netns);
        for (int ifindex : uplinks_of(netns)) {
            auto uplink = std::find_if(links->interfaces.begin(), links->interfaces.end(),
                                       [&](const Interface &one) { return one.ifindex == ifindex; });
            if (uplink == links->interfaces.end() || !is_pair(*uplink))
                continue;
            auto [beside, end] = find_other_end(*links, *uplink);
            if (end == nullptr)
                continue;
            led_through_.insert({beside->netns, end->ifindex});
            led_through_.insert({netns, ifindex});
            reach(beside->netns);
        }
    }
    around.insert(host_);
    return around;
}

void TargetFinder::add_node(Found &found) {
    std::set<std::pair<std::uint32_t, int>> owned;
    for (const Target &target : found.targets)
        for (const WatchedDevice &device : target.devices)
            owned.insert({device.netns, device.ifindex});
    for (std::uint32_t netns : go_outwards(found.targets)) {
        std::set<int> uplinks = uplinks_of(netns);
        const NetnsLinks *links = links_of(netns);
        if (links == nullptr)
            continue;
        for (const Interface &interface : links->interfaces) {
            std::pair<std::uint32_t, int> place = {netns, interface.ifindex};
            if (interface.is_loopback || owned.contains(place))
                continue;
            role role = role_of_kind(interface);
            if (uplinks.contains(interface.ifindex) && (role == ROLE_ELSEWHERE || role == ROLE_HOST2))
                role = ROLE_UPLINK;
            bool leads_out = is_pair(interface) && interface.link_netns != -1 && !led_through_.contains(place);
            found.node.push_back(to_device(netns, interface, role, is_end(interface) || leads_out));
        }
    }
}

} // namespace vethtrace
