// SPDX-License-Identifier: GPL-2.0-only
#include "report/style.hpp"

#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <sstream>
#include <string_view>

namespace vethtrace {

std::string painted(const std::string &text, Tone tone, const TextStyle &style) {
    if (!style.color || tone == Tone::plain)
        return text;
    constexpr std::array<std::string_view, 6> codes = {"", "2", "1", "32", "31", "36"};
    return fmt::format("\033[{}m{}\033[0m", codes.at(static_cast<std::size_t>(tone)), text);
}

std::string duration_text(double ns) {
    auto three_digits = [](double value, std::string_view unit) {
        constexpr double two_digits = 9.995;
        constexpr double one_digit = 99.95;
        if (value < two_digits)
            return fmt::format("{:.2f}{}", value, unit);
        if (value < one_digit)
            return fmt::format("{:.1f}{}", value, unit);
        return fmt::format("{:.0f}{}", value, unit);
    };
    constexpr double just_below = 999.5;
    if (std::abs(ns) < just_below)
        return fmt::format("{:.0f}ns", ns);
    if (std::abs(ns) < just_below * ns_per_us)
        return three_digits(ns / ns_per_us, "us");
    if (std::abs(ns) < just_below * ns_per_ms)
        return three_digits(ns / ns_per_ms, "ms");
    return three_digits(ns / ns_per_s, "s");
}

std::string count_text(std::uint64_t count) {
    constexpr std::size_t group = 3;
    std::string digits = std::to_string(count);
    std::string text;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i != 0 && (digits.size() - i) % group == 0)
            text += ',';
        text += digits[i];
    }
    return text;
}

std::string wrapped(std::string_view text, std::size_t indentation, const TextStyle &style) {
    constexpr std::size_t narrowest = 40;
    constexpr std::size_t widest = 120;
    std::size_t width = std::clamp(static_cast<std::size_t>(std::max(style.width, 0)), narrowest, widest);
    std::string out;
    std::string line;
    std::istringstream words{std::string(text)};
    for (std::string word; words >> word;) {
        if (!line.empty() && indentation + line.size() + 1 + word.size() > width) {
            out += fmt::format("{:{}}{}\n", "", indentation, line);
            line.clear();
        }
        line += (line.empty() ? "" : " ") + word;
    }
    return line.empty() ? out : out + fmt::format("{:{}}{}\n", "", indentation, line);
}

std::string machine_line(const Environment &environment, const TextStyle &style) {
    std::string out = fmt::format(" machine   {}, clocksource {}",
                                  environment.cpu_model.value_or("CPU of unknown model"), environment.clocksource);
    std::vector<std::string> unstable = unstable_settings(environment);
    if (style.verbosity < 1 && !unstable.empty())
        out += unstable.size() == 1
                   ? std::string("   1 setting makes figures unstable, -v names it")
                   : fmt::format("   {} settings make figures unstable, -v names them", unstable.size());
    out += '\n';
    if (style.verbosity >= 1)
        for (const std::string &setting : unstable)
            out += fmt::format("           {}\n", setting);
    return out;
}

} // namespace vethtrace
