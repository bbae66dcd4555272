// SPDX-License-Identifier: GPL-2.0-only
#include "page/html.hpp"

#include "core/printable.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <fmt/format.h>

namespace vethtrace {

std::string escaped(std::string_view text) {
    std::string out;
    for (char letter : printable(text)) {
        switch (letter) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default:
            out += letter;
        }
    }
    return out;
}

// Outside of strings JSON has none of these characters. U+2028 and U+2029 end a line in older JavaScript.
std::string inert_json(std::string_view json) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> replaced = {{{"<", "\\u003c"},
                                                                                        {">", "\\u003e"},
                                                                                        {"&", "\\u0026"},
                                                                                        {"\xE2\x80\xA8", "\\u2028"},
                                                                                        {"\xE2\x80\xA9", "\\u2029"}}};
    std::string out;
    while (!json.empty()) {
        std::size_t length = 1;
        std::string_view written = json.substr(0, 1);
        for (const auto &[letter, reference] : replaced)
            if (json.starts_with(letter)) {
                length = letter.size();
                written = reference;
            }
        out += written;
        json.remove_prefix(length);
    }
    return out;
}

std::string policy_source(const Asset &asset) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    constexpr std::size_t bytes = 32;
    constexpr int hexadecimal = 16;
    std::string base64;
    for (std::size_t i = 0; i < bytes; i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = i; j < i + 3; ++j) {
            std::uint32_t byte = 0;
            if (j < bytes)
                std::from_chars(asset.sha256.data() + 2 * j, asset.sha256.data() + 2 * j + 2, byte, hexadecimal);
            group = group << 8U | byte;
        }
        for (std::uint32_t shift : {18U, 12U, 6U, 0U})
            base64 += digits[group >> shift & 63U];
    }
    base64.back() = '='; // 32 bytes are 43 digits
    return fmt::format("'sha256-{}'", base64);
}

void Html::begin(std::string_view name, Attributes attributes) {
    out_ += fmt::format("<{}", name);
    for (const Attribute &attribute : attributes)
        out_ += fmt::format(" {}=\"{}\"", attribute.name.text(), escaped(attribute.value));
}

void Html::close(std::string_view name) {
    out_ += fmt::format("</{}>\n", name);
}

Html::Element Html::open(Literal name, Attributes attributes) {
    begin(name.text(), attributes);
    out_ += '>';
    return {*this, name.text()};
}

void Html::element(Literal name, std::string_view text, Attributes attributes) {
    begin(name.text(), attributes);
    out_ += fmt::format(">{}</{}>", escaped(text), name.text());
}

void Html::single(Literal name, Attributes attributes) {
    begin(name.text(), attributes);
    out_ += ">\n";
}

void Html::shape(Literal name, Attributes attributes) {
    begin(name.text(), attributes);
    out_ += "/>";
}

void Html::text(std::string_view text) {
    out_ += escaped(text);
}

void Html::style(const Asset &asset) {
    out_ += fmt::format("<style>{}</style>\n", asset.text);
}

void Html::script(const Asset &asset) {
    out_ += fmt::format("<script>{}</script>\n", asset.text);
}

void Html::data(Literal id, std::string_view json) {
    out_ += fmt::format("<script type=\"application/json\" id=\"{}\">{}</script>\n", id.text(), inert_json(json));
}

} // namespace vethtrace
