// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

namespace vethtrace {

// Text from outside as it may go to a terminal or into a file: what is no UTF-8 becomes U+FFFD, and so does each
// character that would not be seen itself, as controls, marks that turn the direction of writing, and those of no
// width.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace vethtrace
