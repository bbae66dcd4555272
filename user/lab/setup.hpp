// SPDX-License-Identifier: GPL-2.0-only
//
// A command of the user's that changes a lab before it is measured: rules, qdiscs, sysctls.
#pragma once

#include "core/error.hpp"

#include <string>

namespace vethtrace {

// Runs it by /bin/sh in a network namespace, with $VETHTRACE_LAB set to the lab's name, and waits for its end. Another
// exit status than 0 is an error. What it prints goes to standard error.
[[nodiscard]] Result<void> run_setup(int netns_fd, const std::string &lab, const std::string &command);

} // namespace vethtrace
