// SPDX-License-Identifier: GPL-2.0-only
//
// Finds what is to be watched: namespaces by what people call them, and the devices on the way of their packets.
#pragma once

#include "core/watch.hpp"
#include "watch/container_names.hpp"
#include "watch/interfaces.hpp"
#include "watch/processes.hpp"
#include "watch/selection.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace vethtrace {

struct Found {
    std::vector<Target> targets;
    std::vector<WatchedDevice> node; // of the host's namespace, as far as they belong to no target
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
        std::vector<Interface> interfaces;
        std::vector<Interface> outside;
        std::optional<int> number; // by which the host knows it
        unsigned age = 0;          // looks ago
    };

    [[nodiscard]] std::map<std::uint32_t, Namespace> look_for_namespaces() const;
    [[nodiscard]] Candidate describe(std::uint32_t inode, const Namespace &netns);
    const Inside *look_inside(std::uint32_t inode, const Namespace &netns, const std::vector<Interface> &host);
    void add_devices(Target &target, const Inside &inside, const std::vector<Interface> &host) const;
    Result<void> add_interfaces(const std::vector<Interface> &host, const std::vector<Target> &all, Found &found) const;
    [[nodiscard]] Result<void> check_inner_interfaces(const Found &found) const;
    void add_node(const std::vector<Interface> &host, Found &found) const;

    Selection selection_;
    Roots roots_;
    ContainerNames names_;
    std::uint32_t host_;
    Chooser chooser_;
    std::map<std::uint32_t, Inside> inside_; // by inode number
    std::uint64_t dumps_ = 0;
    bool first_ = true;
};

} // namespace vethtrace
