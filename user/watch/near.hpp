// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

// Those of the names that somebody may have meant by a word that is none of them: that contain it, or are at most two
// letters away, and fewer than the word has. The nearest first, and no more than five.
[[nodiscard]] std::vector<std::string> near_matches(std::string_view word, std::vector<std::string> names);

} // namespace vethtrace
