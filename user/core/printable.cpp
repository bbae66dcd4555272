// SPDX-License-Identifier: GPL-2.0-only
#include "core/printable.hpp"

#include <algorithm>

namespace vethtrace {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

// How long the character of UTF-8 at the front is; 0: there is none. By the Unicode standard's table of well-formed
// sequences (3-7).
std::size_t character_length(std::string_view text) {
    auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    auto continues = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
        return byte(i) >= least && byte(i) <= most;
    };
    unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF)
        return continues(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && continues(2) ? 3 : 0;
    if (first >= 0xF0 && first <= 0xF4)
        return continues(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && continues(2) && continues(3)
                   ? 4
                   : 0;
    return 0;
}

bool is_control(std::string_view character) {
    auto first = static_cast<unsigned char>(character[0]);
    if (first < 0x20 || first == 0x7F)
        return true;
    return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0; // C1
}

} // namespace

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        std::size_t length = character_length(text);
        std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        shown += length == 0 || is_control(character) ? replacement : character;
        text.remove_prefix(character.size());
    }
    return shown;
}

} // namespace vethtrace
