// SPDX-License-Identifier: GPL-2.0-only
#include "lab/setup.hpp"

#include "lab/shell.hpp"

namespace vethtrace {

Result<void> run_setup(int netns_fd, const std::string &lab, const std::string &command) {
    return ShellCommand::start(
               netns_fd, command,
               {.object = "--setup '" + command + "'", .variables = {"VETHTRACE_LAB=" + lab}, .own_group = false})
        .and_then([](ShellCommand started) { return started.wait(); })
        .map_error([](Error error) {
            error.hint = "it runs in the network namespace of the lab's host";
            return error;
        });
}

} // namespace vethtrace
