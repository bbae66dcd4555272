// SPDX-License-Identifier: GPL-2.0-only
#include "core/printable.hpp"

#include <algorithm>
#include <array>
#include <utility>

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

// What shows nothing itself but changes how its neighbours are shown, or lets two different names look alike: the
// general categories Cf (bidirectional controls, joiners, tags), Zl and Zp, and what else a renderer is to leave out
// (Default_Ignorable_Code_Point); Unicode 15.1. In order.
constexpr std::array<std::pair<char32_t, char32_t>, 25> invisible = {
    {{0x00AD, 0x00AD},   {0x034F, 0x034F},   {0x0600, 0x0605},   {0x061C, 0x061C},   {0x06DD, 0x06DD},
     {0x070F, 0x070F},   {0x0890, 0x0891},   {0x08E2, 0x08E2},   {0x115F, 0x1160},   {0x17B4, 0x17B5},
     {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},   {0x3164, 0x3164},
     {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD},
     {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}}};

// Of well-formed UTF-8.
char32_t code_point(std::string_view character) {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
    constexpr std::array<unsigned, 5> in_first = {0, 0x7F, 0x1F, 0x0F, 0x07}; // the bits that count, by length
    char32_t code = byte(0) & in_first.at(character.size());
    for (std::size_t i = 1; i < character.size(); ++i)
        code = code << 6 | (byte(i) & 0x3FU);
    return code;
}

bool is_shown(char32_t code) {
    if (code < 0x20 || (code >= 0x7F && code < 0xA0)) // controls, C0 and C1
        return false;
    auto range = std::lower_bound(invisible.begin(), invisible.end(), code,
                                  [](const auto &one, char32_t wanted) { return one.second < wanted; });
    return range == invisible.end() || code < range->first;
}

} // namespace

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        std::size_t length = character_length(text);
        std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
        shown += length == 0 || !is_shown(code_point(character)) ? replacement : character;
        text.remove_prefix(character.size());
    }
    return shown;
}

} // namespace vethtrace
