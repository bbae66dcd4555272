// SPDX-License-Identifier: GPL-2.0-only
//
// A lab that outlives its process, to poke at: one at a time, until it is taken down.
#pragma once

#include "core/error.hpp"
#include "core/ways.hpp"

#include <string>
#include <vector>

namespace vethtrace {

// Builds it, and tells what there is now.
[[nodiscard]] Result<std::string> keep_lab(Mode mode);
[[nodiscard]] Result<void> remove_kept_lab();
// Becomes the command, inside one of the lab's namespaces: container, host or peer. Returns only if that failed.
[[nodiscard]] Error execute_in_kept_lab(const std::string &part, const std::vector<std::string> &command_line);

} // namespace vethtrace
