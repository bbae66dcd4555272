// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

namespace vethtrace {

// Text from outside as it may go to a terminal or into a file: control characters and what is no UTF-8 become U+FFFD.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace vethtrace
