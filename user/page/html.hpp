// SPDX-License-Identifier: GPL-2.0-only
//
// HTML and SVG, written so that nothing from outside can become markup: names of elements and attributes are literals
// of this program's source, and all else is escaped.
#pragma once

#include "page/assets.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace vethtrace {

// A name that stands in the source.
class Literal {
public:
    consteval Literal(const char *text) : text_(text) {} // NOLINT: implicit, so that "div" is one
    [[nodiscard]] constexpr std::string_view text() const { return text_; }

private:
    std::string_view text_;
};

struct Attribute {
    Literal name;
    std::string value;
};
using Attributes = std::initializer_list<Attribute>;

class Html {
public:
    // Ends its element when it goes.
    class Element {
    public:
        Element(Html &html, std::string_view name) : html_(&html), name_(name) {}
        Element(Element &&other) noexcept : html_(std::exchange(other.html_, nullptr)), name_(other.name_) {}
        Element(const Element &) = delete;
        Element &operator=(const Element &) = delete;
        Element &operator=(Element &&) = delete;
        ~Element() {
            if (html_ != nullptr)
                html_->close(name_);
        }

    private:
        Html *html_;
        std::string_view name_;
    };

    [[nodiscard]] Element open(Literal name, Attributes attributes = {});
    // With text and nothing else in it.
    void element(Literal name, std::string_view text, Attributes attributes = {});
    // One that has neither text nor an end, as <meta> or <br>.
    void single(Literal name, Attributes attributes = {});
    // A shape of an SVG.
    void shape(Literal name, Attributes attributes);
    void text(std::string_view text);

    void doctype() { out_ += "<!DOCTYPE html>\n"; }
    void style(const Asset &asset);
    void script(const Asset &asset);
    // A result as it is in a file, for the scripts of the page. `json` is what a JSON library wrote.
    void data(Literal id, std::string_view json);

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    void begin(std::string_view name, Attributes attributes);
    void close(std::string_view name);

    std::string out_;
};

// With all that could be markup as references, and what is no character of XML as U+FFFD. Good between tags and in
// attributes.
[[nodiscard]] std::string escaped(std::string_view text);

// JSON in which nothing can be taken for markup; as JSON it means the same.
[[nodiscard]] std::string inert_json(std::string_view json);

// As a Content-Security-Policy names it: sha256-...
[[nodiscard]] std::string policy_source(const Asset &asset);

} // namespace vethtrace
