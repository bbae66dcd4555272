// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

namespace vethtrace {

inline constexpr std::string_view tool_version = VETHTRACE_VERSION; // set by CMakeLists.txt

} // namespace vethtrace
