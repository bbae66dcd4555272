// SPDX-License-Identifier: GPL-2.0-only
//
// What the user asked to be watched, and which of the namespaces that are here it fits.
#pragma once

#include "core/fd.hpp"
#include "core/watch.hpp"
#include "input/target.hpp"
#include "watch/processes.hpp"

#include <map>
#include <string>
#include <vector>

namespace vethtrace {

struct Selection {
    bool all = false;                    // every namespace other than the host's
    std::vector<std::string> containers; // by name, identifier, or the beginning of one
    std::vector<std::string> pods;       // NAME or NAMESPACE/NAME
    std::vector<NetnsTarget> netns;
    std::vector<pid_t> pids;
    std::vector<std::string> interfaces; // of the host, or of the namespaces in `netns` if there are any
    std::vector<int> uplinks;            // of the host, where the links and routes do not tell: by index
};

// A namespace with all that a user may call it.
struct Candidate {
    Target target;
    std::vector<std::string> names; // of its containers
    std::vector<ContainerId> ids;
};

class Chooser {
public:
    Chooser(const Selection &selection, Roots roots, std::uint32_t host);

    // Adds namespaces that were asked for by a file which nothing else tells of.
    void add_asked(std::map<std::uint32_t, Namespace> &namespaces) const;

    // The first time what fits nothing, or too much, is an error; later it is just not there.
    [[nodiscard]] Result<std::vector<Target>> choose(const std::vector<Candidate> &all);

private:
    // A process is held by a descriptor, since its number may soon be another one's.
    struct AskedNetns {
        NetnsTarget netns;
        std::string object; // as it was asked for
        Fd process;
    };
    // A word of the command line, and what it is compared with.
    struct Wanted;

    [[nodiscard]] std::filesystem::path path_of(const AskedNetns &asked) const;
    [[nodiscard]] std::uint64_t inode_of(const AskedNetns &asked) const;
    [[nodiscard]] std::vector<Wanted> wanted() const;
    [[nodiscard]] Result<void> check_netns() const;
    [[nodiscard]] Result<void> check(const Wanted &one, const std::vector<const Candidate *> &fitting,
                                     const std::vector<Candidate> &all) const;

    Selection selection_;
    Roots roots_;
    std::uint32_t host_;
    std::vector<AskedNetns> netns_;
    bool first_ = true;
};

// For a word that fits none of the names: with those that are near.
[[nodiscard]] tl::unexpected<Error> no_match(const std::string &object, std::string_view word,
                                             std::vector<std::string> names);

} // namespace vethtrace
