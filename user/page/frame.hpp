// SPDX-License-Identifier: GPL-2.0-only
//
// What all pages have in common: the frame of the document, its verdict, sections, charts and tables.
#pragma once

#include "core/environment.hpp"
#include "page/html.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

struct PageHead {
    std::string kind;               // "run", "compare host, veth"; in the title bar
    std::string heading;            // of the page
    std::vector<std::string> facts; // under it
    std::string tool;               // the version of vethtrace
    bool has_file = true;           // its data are as in a file of results, and can be saved as one
};

// A whole document. `json` is what its scripts read. The page loads nothing and sends
// nothing: its policy allows the scripts and the style that are in it, by their hashes, and no network.
[[nodiscard]] std::string page_of(const PageHead &head, const std::function<void(Html &)> &body, std::string_view json,
                                  const std::vector<const Asset *> &scripts);

// Whether the result is valid, and what is to be known about it; before all else.
void draw_verdict(Html &html, bool valid, const std::vector<std::string> &warnings);
// Something of that kind, where results are not valid or invalid.
enum class Tint { plain, good, bad };
void draw_notices(Html &html, Tint tint, const std::string &heading, const std::vector<std::string> &notices);

[[nodiscard]] Html::Element open_section(Html &html, Literal id, const std::string &title);
void paragraph(Html &html, const std::string &text);
// A place for one, with what it shows in words. Without scripts it is not there.
void draw_chart(Html &html, Literal id, const std::string &caption);

// A large number with its name above it and what belongs to it below.
struct Tile {
    std::string name;
    std::string value;
    std::string below;
};
void draw_tiles(Html &html, const std::vector<Tile> &tiles);

struct Column {
    std::string name;
    bool is_number = false;
};
// With its head; rows are to be put into its body, which `rows` does.
void draw_table(Html &html, Literal kind, const std::vector<Column> &columns, const std::function<void(Html &)> &rows);
// Two columns, names and values.
void draw_pairs(Html &html, const std::vector<std::pair<std::string, std::string>> &pairs);

// The machine, and what makes its figures unstable.
void draw_environment(Html &html, const Environment &environment);

} // namespace vethtrace
