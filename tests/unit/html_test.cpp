// SPDX-License-Identifier: GPL-2.0-only
#include "page/html.hpp"

#include <array>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

std::string written(const std::function<void(Html &)> &write) {
    Html html;
    write(html);
    return html.take();
}

TEST(Html, ClosesWhatItOpens) {
    EXPECT_EQ(written([](Html &html) {
                  Html::Element list = html.open("ul", {{"class", "few"}});
                  html.element("li", "one");
                  Html::Element item = html.open("li");
                  html.text("two");
                  html.single("br");
              }),
              "<ul class=\"few\"><li>one</li><li>two<br>\n</li>\n</ul>\n");
    EXPECT_EQ(written([](Html &html) { html.shape("rect", {{"x", "1"}, {"y", "2"}}); }), "<rect x=\"1\" y=\"2\"/>");
}

TEST(Html, LetsNoTextBecomeMarkup) {
    EXPECT_EQ(escaped("<img src=x onerror=\"alert('1')\"> & more"),
              "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; more");
    EXPECT_EQ(written([](Html &html) { html.text("</td><script>"); }), "&lt;/td&gt;&lt;script&gt;");
    EXPECT_EQ(written([](Html &html) {
                  html.element("td", "<b>", {{"title", "\"><b>"}});
              }),
              "<td title=\"&quot;&gt;&lt;b&gt;\">&lt;b&gt;</td>");
    EXPECT_EQ(escaped("h\u00E9 \u2192"), "h\u00E9 \u2192") << "other letters stay";
}

TEST(Html, WritesNothingThatIsNoCharacter) {
    EXPECT_EQ(escaped(std::string("a\0b\x1b[31m", 8)), "a\uFFFDb\uFFFD[31m");
    EXPECT_EQ(escaped("\xff\xfe"), "\uFFFD\uFFFD");
    EXPECT_EQ(escaped("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
}

TEST(JsonInAPage, CannotEndItsElement) {
    for (std::string text : {"</script><script>alert(1)</script>", "<!--<script>", "]]>", "a\u2028b\u2029c", "&lt;",
                             "plain \\u003c \"quoted\""}) {
        nlohmann::json json = {{"text", text}, {text, 1}};
        std::string inert = inert_json(json.dump());
        for (const char *letter : {"<", ">", "&", "\u2028", "\u2029"})
            EXPECT_EQ(inert.find(letter), std::string::npos) << inert;
        EXPECT_EQ(nlohmann::json::parse(inert), json) << "as JSON it means the same";
    }
}

// The hash of nothing, as FIPS 180-4 has it, and its base64 by `openssl dgst -sha256 -binary | base64`.
TEST(PolicyOfAPage, NamesAScriptByItsHash) {
    Asset nothing{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
    EXPECT_EQ(policy_source(nothing), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
}

TEST(AssetsOfAPage, AreThereAndEndNoElement) {
    EXPECT_NE(charts_library.text.find("Chart.js"), std::string_view::npos);
    EXPECT_NE(style_sheet.text.find("prefers-color-scheme"), std::string_view::npos);
    EXPECT_NE(style_sheet.text.find("@media print"), std::string_view::npos);
    for (const Asset *asset :
         {&style_sheet, &page_script, &charts_library, &charts_script, &run_script, &compare_script, &watch_script}) {
        EXPECT_EQ(asset->sha256.size(), 64);
        EXPECT_FALSE(asset->text.empty());
        for (const char *end : {"</script", "</style", "<!--", "http://", "@import", "url("})
            if (asset != &charts_library || std::string_view(end).starts_with('<')) {
                EXPECT_EQ(asset->text.find(end), std::string_view::npos) << end;
            }
    }
}

} // namespace
} // namespace vethtrace
