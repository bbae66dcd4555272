// SPDX-License-Identifier: GPL-2.0-only
//
// Finds what is to be watched: namespaces by what people call them, and the devices on the way of their packets.
#pragma once

#include "core/fd.hpp"
#include "core/watch.hpp"
#include "watch/container_names.hpp"
#include "watch/interfaces.hpp"
#include "watch/links.hpp"
#include "watch/processes.hpp"
#include "watch/selection.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace vethtrace {

struct Found {
    std::vector<Target> targets;
    std::vector<WatchedDevice> node; // of the namespaces around the targets, as far as they belong to none
    std::vector<std::string> notes;  // sentences on what could not be looked into, each once
};

class TargetFinder {
public:
    explicit TargetFinder(Selection selection, Roots roots = {});

    // The first time a name that fits nothing, or several, is an error; later a target that is gone is just not there.
    [[nodiscard]] Result<Found> find();

    // Of namespaces other than the host's, so far.
    [[nodiscard]] std::uint64_t dumps() const { return dumps_; }

private:
    // What was found in a namespace, and the host's ends of its pairs by which it is known to be the same still.
    struct Inside {
        NetnsLinks links;
        std::vector<IpAddress> addresses;
        std::vector<int> routed;
        std::vector<Interface> outside;
        std::optional<int> number;  // by which the host knows it
        unsigned age = 0;           // looks ago
        std::uint64_t looked = 0;   // the look in which it was read
        std::uint64_t searched = 0; // the generation of namespaces among which its links were searched
        bool has_lost_link = false; // that none of them has the other end of
    };

    [[nodiscard]] std::map<std::uint32_t, Namespace> look_for_namespaces() const;
    [[nodiscard]] Candidate describe(std::uint32_t inode, const Namespace &netns);
    void prepare_look(std::vector<Interface> host, const std::map<std::uint32_t, Namespace> &namespaces);
    const Inside *look_inside(std::uint32_t inode);
    const Inside *look_anew(std::uint32_t inode, Inside &known, std::vector<Interface> outside);
    [[nodiscard]] const NetnsLinks *links_of(std::uint32_t inode);
    [[nodiscard]] std::pair<const NetnsLinks *, const Interface *> find_other_end(const NetnsLinks &inside,
                                                                                  const Interface &interface);
    void add_devices(Target &target, const Inside &inside);
    void add_device(Target &target, const NetnsLinks &links, const Interface &interface);
    Result<void> add_interfaces(const std::vector<Target> &all, Found &found) const;
    [[nodiscard]] Result<void> check_inner_interfaces(const Found &found) const;
    [[nodiscard]] std::set<int> uplinks_of(std::uint32_t netns) const;
    std::set<std::uint32_t> go_outwards(const std::vector<Target> &targets);
    void add_node(Found &found);

    Selection selection_;
    Roots roots_;
    ContainerNames names_;
    std::uint32_t host_;
    Fd host_file_;
    std::uint32_t first_of_all_; // the namespace of the machine's first process
    Chooser chooser_;
    std::map<std::uint32_t, Inside> inside_; // by inode number
    std::uint64_t dumps_ = 0;
    std::uint64_t looks_ = 0;
    std::set<std::uint32_t> hubs_;       // that links of others lead to
    std::set<std::uint32_t> unreadable_; // of which it has been said
    bool first_ = true;

    // Of one look:
    NetnsLinks outside_;                                   // the host's
    std::map<std::uint32_t, std::filesystem::path> paths_; // of all namespaces
    std::set<std::uint32_t> inodes_;                       // of which there were in the look before
    std::uint64_t generation_ = 0;                         // of `inodes_`
    std::vector<NetnsFile> others_;                        // the host, those that links lead to, and then the rest
    std::size_t likely_others_ = 0;                        // without the rest
    std::set<std::pair<std::uint32_t, int>> led_through_;  // ends of pairs through which targets' packets go on
    std::map<std::uint32_t, std::set<int>> parents_;       // of targets' devices, by their namespace
    std::vector<std::string> notes_;
};

} // namespace vethtrace
