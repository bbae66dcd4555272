// SPDX-License-Identifier: GPL-2.0-only
//
// The interfaces of a network namespace, and which of them are the two ends of a pair.
#pragma once

#include "core/error.hpp"
#include "core/watch.hpp"
#include "netns/netns.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vethtrace {

struct Interface {
    int ifindex = 0;
    std::string name;
    std::string kind;    // "veth", "bridge", "macvlan", ...; empty: none, as a network card's
    int link = 0;        // the other end of a pair, or the parent; 0: none
    int link_netns = -1; // the number by which its namespace knows that of `link`; -1: its own
    int master = 0;      // the bridge that it is a port of
    bool is_up = false;
    bool is_loopback = false;
    std::optional<std::uint16_t> ipvlan_mode; // IPVLAN_MODE_L2, ...; null: no ipvlan

    friend bool operator==(const Interface &, const Interface &) = default;
};

// Of the namespace that the calling thread is in.
[[nodiscard]] Result<std::vector<Interface>> read_interfaces();

// A namespace by its file.
struct NetnsFile {
    std::uint32_t inode = 0;
    std::filesystem::path path;
};

// What there is in a namespace.
struct NetnsContents {
    std::vector<Interface> interfaces;
    std::vector<IpAddress> addresses;                // of all of them, without loopback's and those of a link only
    std::vector<int> routed;                         // interfaces that have a default route
    std::map<int, std::uint32_t> links_lead_to = {}; // by Interface::link_netns: the inode number of that namespace
};

// By its file. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<InNamespace> enter_namespace(const std::filesystem::path &netns);

// All in one visit. A number of `link_netns` that none of `others` has is left out of `links_lead_to`; they are asked
// in their order, and no more of them than it takes. Needs CAP_SYS_ADMIN.
[[nodiscard]] Result<NetnsContents> visit_netns(const std::filesystem::path &netns, std::span<const NetnsFile> others);

// The number by which the calling thread's namespace knows another one; null: it does not know it.
[[nodiscard]] std::optional<int> number_of_namespace(const std::filesystem::path &netns);

// The interfaces that have a default route, by ifindex.
[[nodiscard]] std::vector<int> interfaces_with_default_route();

} // namespace vethtrace
