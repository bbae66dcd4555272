// SPDX-License-Identifier: GPL-2.0-only
//
// Which network namespaces there are, by their processes and their names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace vethtrace {

// Where the system keeps what is looked at; tests have a tree of their own.
struct Roots {
    std::filesystem::path proc = "/proc";
    std::filesystem::path run = "/run";
    std::filesystem::path var_lib = "/var/lib";
    bool any_file = false; // plain files are as good as those of namespaces
    std::filesystem::path etc = "/etc";
    std::filesystem::path top = "/"; // of absolute paths that stand in configuration files

    // Where such a path is.
    [[nodiscard]] std::filesystem::path at(const std::filesystem::path &path) const {
        return top / path.relative_path();
    }
};

// A container by its control group.
struct ContainerId {
    std::string id;        // 64 hexadecimal digits; the name, where the runtime has no identifiers (LXC, crun, runc)
    std::string runtime;   // "docker", "containerd", "podman", "cri-o", "lxc", ...; empty: one cannot tell
    std::uint32_t uid = 0; // the user whose runtime it is

    friend bool operator==(const ContainerId &, const ContainerId &) = default;
};

// 64 hexadecimal digits.
[[nodiscard]] bool is_container_id(std::string_view text);

// As docker and podman show an identifier: its first 12 digits. A name stays whole.
[[nodiscard]] std::string short_id(const std::string &id);

// From /proc/PID/cgroup. Empty id: of no container.
[[nodiscard]] ContainerId container_of_cgroup(std::string_view cgroup);

struct Namespace {
    pid_t pid = 0;                       // the lowest of its processes; 0: none
    std::vector<std::string> names;      // as files of namespaces have them, without their directories
    std::filesystem::path path;          // by which it can be entered
    std::vector<ContainerId> containers; // each once
};

// By inode number. Processes of the namespaces in `left_out` are not looked at any further.
[[nodiscard]] std::map<std::uint32_t, Namespace> find_namespaces(const Roots &roots,
                                                                 const std::vector<std::uint32_t> &left_out);

// `ip netns` leaves an empty file where it could not bind a namespace.
[[nodiscard]] bool is_network_namespace(const Roots &roots, const std::filesystem::path &path);

// The inode number of a namespace's file; 0: there is none.
[[nodiscard]] std::uint32_t namespace_inode(const Roots &roots, const std::filesystem::path &path);

} // namespace vethtrace
