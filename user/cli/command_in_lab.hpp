// SPDX-License-Identifier: GPL-2.0-only
//
// `--cmd`: a command of the user's in a lab, in place of the built-in load. Both ends of the lab are watched while it
// runs; since nothing measures its round trips, there is no ledger.
#pragma once

#include "cli/options.hpp"

namespace vethtrace {

// Good, or invalid if the command failed or packets went astray.
[[nodiscard]] Result<Exit> run_command_in_lab(const InLabCommand &command);

} // namespace vethtrace
