// SPDX-License-Identifier: GPL-2.0-only
//
// Text of a certain width in UTF-8, a column a character.
#pragma once

#include <string>
#include <string_view>

namespace vethtrace {

// Cut at its end, where there is too much of it.
[[nodiscard]] std::string cut(std::string_view text, std::size_t width);
// The same for a line with colours in it; they are lost where it is cut.
[[nodiscard]] std::string fitted(const std::string &line, std::size_t width);

// Filled with spaces. What is too long is shortened in the middle: names differ at their ends more often than there.
[[nodiscard]] std::string left(std::string_view text, std::size_t width);
// What is too long is cut.
[[nodiscard]] std::string right(std::string_view text, std::size_t width);

} // namespace vethtrace
