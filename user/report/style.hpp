// SPDX-License-Identifier: GPL-2.0-only
//
// What all tables on the terminal have in common.
#pragma once

#include "core/environment.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace vethtrace {

struct TextStyle {
    bool color = false;
    int width = 100;   // columns
    int verbosity = 0; // 1: also what each station tried; -1: only the closing sentence and warnings
};

enum class Tone { plain, dim, strong, good, bad, bar };

[[nodiscard]] std::string painted(const std::string &text, Tone tone, const TextStyle &style);

// Its words in lines that the terminal is wide enough for, each with the indentation.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indentation, const TextStyle &style);

// 912ns, 1.42us, 13.0ms: three digits that count.
[[nodiscard]] std::string duration_text(double ns);
// 20,000
[[nodiscard]] std::string count_text(std::uint64_t count);

// The line about the machine, and with it what makes its figures unstable, or how much does.
[[nodiscard]] std::string machine_line(const Environment &environment, const TextStyle &style);

} // namespace vethtrace
