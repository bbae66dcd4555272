// SPDX-License-Identifier: GPL-2.0-only
#include "watch/processes.hpp"

#include "core/fd.hpp"
#include "watch/bounded_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <optional>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace vethtrace {

namespace {

namespace fs = std::filesystem;

// How the last steps of a control group's path begin, under systemd, and under cgroupfs its directory.
struct Runtime {
    std::string_view scope;     // "docker-ID.scope"
    std::string_view directory; // "/docker/ID"
    std::string_view name;
};
constexpr std::array<Runtime, 5> runtimes = {{
    {"docker-", "docker", "docker"},
    {"cri-containerd-", "cri-containerd", "containerd"},
    {"crio-", "crio", "cri-o"},
    {"libpod-", "libpod_parent", "podman"},
    {"nerdctl-", "nerdctl", "containerd"},
}};

bool take_prefix(std::string_view &text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

bool take_suffix(std::string_view &text, std::string_view suffix) {
    if (!text.ends_with(suffix))
        return false;
    text.remove_suffix(suffix.size());
    return true;
}

// As systemd writes a name in one of a unit's: "web\x2d1" is web-1.
std::string name_in_unit(std::string_view text) {
    return unescaped(text, "\\x", 2, 16);
}

// Of systemd's machines and of LXC, which have names and no identifiers.
ContainerId machine_of_step(std::string_view step, std::string_view directory) {
    if (take_prefix(step, "systemd-nspawn@") && take_suffix(step, ".service"))
        return {name_in_unit(step), "systemd-nspawn"};
    if (directory == "machine.slice" && take_prefix(step, "machine-") && take_suffix(step, ".scope"))
        return step.starts_with("qemu") ? ContainerId() // a virtual machine
                                        : ContainerId{name_in_unit(step), "systemd-nspawn"};
    if (take_prefix(step, "lxc.payload.") || directory == "lxc.payload" || directory == "lxc")
        return {std::string(step), "lxc"};
    return {};
}

ContainerId container_of_step(std::string_view step, std::string_view directory) {
    std::string_view unit = step;
    take_suffix(step, ".scope");
    for (const Runtime &runtime : runtimes)
        if (step.starts_with(runtime.scope) && is_container_id(step.substr(runtime.scope.size())))
            return {std::string(step.substr(runtime.scope.size())), std::string(runtime.name)};
    if (!is_container_id(step))
        return machine_of_step(unit, directory);
    for (const Runtime &runtime : runtimes)
        if (directory == runtime.directory)
            return {std::string(step), std::string(runtime.name)};
    return {std::string(step), ""};
}

// Of "user-1000.slice".
std::optional<std::uint32_t> user_of_step(std::string_view step) {
    std::uint32_t uid = 0;
    if (!take_prefix(step, "user-") || !take_suffix(step, ".slice"))
        return std::nullopt;
    auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), uid);
    return error == std::errc() && end == step.data() + step.size() ? std::optional(uid) : std::nullopt;
}

pid_t pid_of(const fs::path &directory) {
    std::string name = directory.filename();
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    return error == std::errc() && end == name.data() + name.size() ? pid : 0;
}

void add_processes(const Roots &roots, const std::vector<std::uint32_t> &left_out,
                   std::map<std::uint32_t, Namespace> &found) {
    std::error_code gone;
    for (const fs::directory_entry &entry : fs::directory_iterator(roots.proc, gone)) {
        pid_t pid = pid_of(entry.path());
        fs::path file = entry.path() / "ns/net";
        std::uint32_t inode = pid == 0 ? 0 : namespace_inode(roots, file);
        if (inode == 0 || std::find(left_out.begin(), left_out.end(), inode) != left_out.end())
            continue;
        Namespace &netns = found[inode];
        if (netns.pid == 0 || pid < netns.pid) {
            netns.pid = pid;
            netns.path = file;
        }
        ContainerId container = container_of_cgroup(whole_text_of(entry.path() / "cgroup"));
        bool known = std::find(netns.containers.begin(), netns.containers.end(), container) != netns.containers.end();
        if (!container.id.empty() && !known)
            netns.containers.push_back(std::move(container));
    }
}

// Files that hold a namespace without a process: of `ip netns`, and of container runtimes.
void add_named(const Roots &roots, const std::vector<std::uint32_t> &left_out,
               std::map<std::uint32_t, Namespace> &found) {
    for (const char *directory : {"netns", "docker/netns"}) {
        std::error_code none;
        for (const fs::directory_entry &entry : fs::directory_iterator(roots.run / directory, none)) {
            std::uint32_t inode = namespace_inode(roots, entry.path());
            if (inode == 0 || std::find(left_out.begin(), left_out.end(), inode) != left_out.end())
                continue;
            Namespace &netns = found[inode];
            netns.names.push_back(entry.path().filename());
            if (netns.path.empty())
                netns.path = entry.path();
        }
    }
}

} // namespace

bool is_container_id(std::string_view text) {
    constexpr std::size_t digits = 64;
    return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string short_id(const std::string &id) {
    constexpr std::size_t digits = 12;
    return is_container_id(id) ? id.substr(0, digits) : id;
}

bool is_network_namespace(const Roots &roots, const fs::path &path) {
    if (roots.any_file)
        return true;
    struct statfs system = {};
    // Not every file: what a pipe or a device does when it is opened is its own affair.
    if (statfs(path.c_str(), &system) != 0 || system.f_type != NSFS_MAGIC)
        return false;
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file && ioctl(file.get(), NS_GET_NSTYPE) == CLONE_NEWNET;
}

std::uint32_t namespace_inode(const Roots &roots, const fs::path &path) {
    struct stat status = {};
    struct statfs system = {};
    bool is_there = !path.empty() && stat(path.c_str(), &status) == 0;
    if (!is_there || (!roots.any_file && (statfs(path.c_str(), &system) != 0 || system.f_type != NSFS_MAGIC)))
        return 0;
    return static_cast<std::uint32_t>(status.st_ino);
}

ContainerId container_of_cgroup(std::string_view cgroup) {
    ContainerId found;
    std::uint32_t uid = 0;
    std::string_view directory;
    while (!cgroup.empty()) {
        std::size_t end = cgroup.find_first_of("/:\n");
        std::string_view step = cgroup.substr(0, end);
        // The deepest wins: containers run in containers.
        if (ContainerId container = container_of_step(step, directory); !container.id.empty())
            found = std::move(container);
        uid = user_of_step(step).value_or(uid);
        directory = step;
        cgroup.remove_prefix(end == std::string_view::npos ? cgroup.size() : end + 1);
    }
    if (!found.id.empty())
        found.uid = uid;
    return found;
}

std::map<std::uint32_t, Namespace> find_namespaces(const Roots &roots, const std::vector<std::uint32_t> &left_out) {
    std::map<std::uint32_t, Namespace> found;
    add_processes(roots, left_out, found);
    add_named(roots, left_out, found);
    for (auto &[inode, netns] : found)
        std::sort(netns.names.begin(), netns.names.end());
    return found;
}

} // namespace vethtrace
