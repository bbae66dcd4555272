// SPDX-License-Identifier: GPL-2.0-only
//
// A command of the user's, by /bin/sh, in a network namespace.
#pragma once

#include "core/error.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace vethtrace {

struct ShellOptions {
    std::string object;                 // what errors call it
    std::vector<std::string> variables; // NAME=VALUE, added to the environment
    bool own_group = false;             // Ctrl-C does not reach it, and end() ends all that it has started
};

class ShellCommand {
public:
    // Its output goes to standard error: on standard output there may be a result.
    [[nodiscard]] static Result<ShellCommand> start(int netns_fd, const std::string &command, ShellOptions options);
    ShellCommand(ShellCommand &&other) noexcept;
    ShellCommand(const ShellCommand &) = delete;
    ShellCommand &operator=(const ShellCommand &) = delete;
    ShellCommand &operator=(ShellCommand &&) = delete;
    ~ShellCommand() { end(); }

    [[nodiscard]] pid_t pid() const { return pid_; }

    // Once it has ended: whether that was well, or how it failed. Null: it runs.
    [[nodiscard]] std::optional<Result<void>> ended();
    [[nodiscard]] Result<void> wait();
    // Asks it to end, and soon makes it.
    void end();

private:
    ShellCommand(pid_t pid, ShellOptions options) : pid_(pid), options_(std::move(options)) {}
    [[nodiscard]] Result<void> outcome(int status);

    pid_t pid_; // 0: it has ended
    ShellOptions options_;
};

} // namespace vethtrace
