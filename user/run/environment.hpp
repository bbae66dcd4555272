// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/environment.hpp"

namespace vethtrace {

// What of the machine bears on its latencies, without the network.
[[nodiscard]] Environment read_environment();

} // namespace vethtrace
