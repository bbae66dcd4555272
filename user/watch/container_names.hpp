// SPDX-License-Identifier: GPL-2.0-only
//
// What people call a container, from the state files of its runtime: no daemon is asked. A file that is missing, or is
// not what it should be, is as good as none.
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
    [[nodiscard]] ContainerName look_up(const ContainerId &container) const;

    struct Known {
        ContainerName name;
        unsigned asked = 0; // times
        bool is_used = false;
    };

    Roots roots_;
    std::map<std::string, Known> known_; // by identifier
};

} // namespace vethtrace
