// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/result.hpp"

namespace vethtrace {

// What of the machine bears on its latencies.
[[nodiscard]] Environment read_environment();

} // namespace vethtrace
