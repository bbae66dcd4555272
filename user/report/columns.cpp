// SPDX-License-Identifier: GPL-2.0-only
#include "report/columns.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace vethtrace {

namespace {

std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char letter) { return (letter & 0xC0) != 0x80; }));
}

// The first so many characters.
std::string_view front(std::string_view text, std::size_t characters) {
    std::size_t end = 0;
    for (; end < text.size(); ++end)
        if ((text[end] & 0xC0) != 0x80 && characters-- == 0)
            break;
    return text.substr(0, end);
}

std::string_view back(std::string_view text, std::size_t characters) {
    std::size_t all = columns_of(text);
    return text.substr(front(text, all - std::min(all, characters)).size());
}

std::string shortened(std::string_view text, std::size_t width) {
    if (columns_of(text) <= width)
        return std::string(text);
    if (width < 2)
        return std::string(front(text, width));
    std::size_t head = width / 2;
    return fmt::format("{}…{}", front(text, head), back(text, width - head - 1));
}

} // namespace

std::string cut(std::string_view text, std::size_t width) {
    return columns_of(text) <= width ? std::string(text) : fmt::format("{}…", front(text, width - 1));
}

std::string left(std::string_view text, std::size_t width) {
    std::string fitted = shortened(text, width);
    return fitted + std::string(width - std::min(width, columns_of(fitted)), ' ');
}

std::string right(std::string_view text, std::size_t width) {
    std::string fitted = cut(text, width);
    return std::string(width - std::min(width, columns_of(fitted)), ' ') + fitted;
}

std::string fitted(const std::string &line, std::size_t width) {
    std::string visible;
    for (std::size_t i = 0; i < line.size();) {
        if (line[i] == '\033') {
            i = line.find('m', i) + 1;
            continue;
        }
        visible += line[i++];
    }
    return columns_of(visible) <= width ? line : cut(visible, width);
}

} // namespace vethtrace
