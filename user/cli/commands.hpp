// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/options.hpp"

namespace vethtrace {

// Does what the command line asked for, prints it, and tells the exit status.
[[nodiscard]] Exit execute(const Command &command);

// One line for the error, one for the hint, to stderr.
void print_error(const Error &error);

} // namespace vethtrace
