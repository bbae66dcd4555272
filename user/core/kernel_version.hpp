// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace vethtrace {

// Whether the running kernel is older than this release, by the name that it gives itself.
[[nodiscard]] bool kernel_is_before(int major, int minor);

} // namespace vethtrace
