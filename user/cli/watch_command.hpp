// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace watch`, from the first look at the node to the closing summary.
#pragma once

#include "cli/options.hpp"

namespace vethtrace {

[[nodiscard]] Result<void> watch(const WatchCommand &command);

} // namespace vethtrace
