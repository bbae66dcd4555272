// SPDX-License-Identifier: GPL-2.0-only
//
// The files of this folder that go into a page as they are, and the charts library from Debian's libjs-chart.js. The
// build embeds them: tools/cmake/EmbedPage.cmake.
#pragma once

#include <string_view>

namespace vethtrace {

struct Asset {
    std::string_view text;
    std::string_view sha256; // of the text, in hexadecimal digits
};

extern const Asset style_sheet;    // page.css
extern const Asset page_script;    // page.js: what every page has
extern const Asset charts_library; // Chart.js
extern const Asset charts_script;  // charts.js: what all charts have in common
extern const Asset run_script;     // run.js
extern const Asset compare_script; // compare.js
extern const Asset watch_script;   // watch.js

} // namespace vethtrace
