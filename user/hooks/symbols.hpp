// SPDX-License-Identifier: GPL-2.0-only
//
// Which functions and tracepoints the running kernel has: its list of symbols (/proc/kallsyms), and the types that it
// describes itself by (BTF). Anybody may read both.
#pragma once

#include "core/error.hpp"
#include "core/explain.hpp"

#include <span>
#include <string_view>

namespace vethtrace {

// Looks up functions and tracepoints. Of modules those are found that are loaded.
[[nodiscard]] Result<KernelNames> look_up(std::span<const std::string_view> functions,
                                          std::span<const std::string_view> tracepoints);

} // namespace vethtrace
