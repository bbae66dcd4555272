// SPDX-License-Identifier: GPL-2.0-only
//
// What people call a container, from the state files of its runtime: no daemon is asked. Where those files are, the
// runtimes' own configuration says, and the command lines of those that run. A file that is missing, or is not what it
// should be, is as good as none.
#pragma once

#include "watch/processes.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

struct ContainerName {
    std::string name;        // "web-1"; empty: not known
    std::string pod;         // "default/web-5d9"; empty: in none
    bool is_sandbox = false; // a pod's pause container, which only holds the namespace
    std::string runtime;
};

// Directories in which runtimes keep their state, each once, the likeliest first.
using Places = std::vector<std::filesystem::path>;

class ContainerNames {
public:
    explicit ContainerNames(Roots roots) : roots_(std::move(roots)) {}

    // Remembered once it is known; else looked up again, ever more rarely: a container is there before its files are.
    [[nodiscard]] const ContainerName &of(const ContainerId &container);
    // Forgets those that have not been asked for since the last call.
    void forget_unused();

    // Containers of bare crun and runc, which control groups do not tell, by process: name and runtime.
    [[nodiscard]] std::map<pid_t, ContainerId> started_by_hand() const;

private:
    struct Known {
        ContainerName name;
        unsigned asked = 0; // times
        bool is_used = false;
    };
    // A runtime's daemon, which may be in a container itself.
    struct Engine {
        std::string program; // "dockerd", "containerd"
        std::string cmdline;
        std::filesystem::path root; // as it sees "/"
    };

    [[nodiscard]] ContainerName look_up(const ContainerId &container);
    [[nodiscard]] std::string docker_name(const ContainerId &container);
    [[nodiscard]] std::string podman_name(const ContainerId &container);
    [[nodiscard]] ContainerName containerd_name(const ContainerId &container);
    [[nodiscard]] ContainerName crio_name(const ContainerId &container);
    [[nodiscard]] std::string nerdctl_name(const ContainerId &container);
    [[nodiscard]] std::string home_of(std::uint32_t uid) const;
    [[nodiscard]] Places docker_places(std::uint32_t uid);
    [[nodiscard]] Places containerd_places(std::uint32_t uid);
    [[nodiscard]] Places storage_places(std::uint32_t uid) const;
    const std::vector<Engine> &engines();

    Roots roots_;
    std::map<std::string, Known> known_; // by identifier
    // Until the next forget_unused():
    std::optional<std::vector<Engine>> engines_;
    std::map<std::filesystem::path, std::map<std::string, std::string>> stored_names_; // of podman, by file
};

} // namespace vethtrace
