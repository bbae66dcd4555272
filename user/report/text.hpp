// SPDX-License-Identifier: GPL-2.0-only
//
// Results for a person at a terminal.
#pragma once

#include "core/ladder.hpp"
#include "core/result.hpp"

#include <string>
#include <vector>

namespace vethtrace {

struct TextStyle {
    bool color = false;
    int width = 100;   // columns
    int verbosity = 0; // 1: also what each station tried; -1: only the closing sentence and warnings
};

[[nodiscard]] std::string to_text(const RunResult &result, const TextStyle &style);
[[nodiscard]] std::string to_text(const std::vector<Choice> &choices, const Environment &environment,
                                  const TextStyle &style);

// 912ns, 1.42us, 13.0ms: three digits that count.
[[nodiscard]] std::string duration_text(double ns);
// 20,000
[[nodiscard]] std::string count_text(std::uint64_t count);

} // namespace vethtrace
