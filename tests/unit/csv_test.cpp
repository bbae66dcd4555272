// SPDX-License-Identifier: GPL-2.0-only
#include "report/csv.hpp"
#include "unit/sample.hpp"
#include "unit/watch_sample.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace vethtrace {
namespace {

using namespace test;

std::string cell(std::string_view text) {
    Csv csv;
    csv.text(text);
    return csv.take();
}

// By RFC 4180, written anew: lines end with CR LF, a cell in quotes may hold anything, and quotes twice.
std::vector<std::vector<std::string>> cells_of(const std::string &text) {
    std::vector<std::vector<std::string>> lines(1, std::vector<std::string>(1));
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string &last = lines.back().back();
        if (quoted) {
            if (text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"')
                last += text[++i];
            else if (text[i] == '"')
                quoted = false;
            else
                last += text[i];
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == ',') {
            lines.back().emplace_back();
        } else if (text[i] == '\r') {
            EXPECT_EQ(text[++i], '\n');
            lines.emplace_back(1);
        } else {
            last += text[i];
        }
    }
    EXPECT_EQ(lines.back(), std::vector<std::string>(1)) << "the last line ends, too";
    lines.pop_back();
    for (const auto &line : lines)
        EXPECT_EQ(line.size(), lines.front().size()) << "as many cells as the heading has: " << line.front();
    return lines;
}

double number(const std::string &text) {
    return text.empty() ? 0 : std::stod(text);
}

TEST(Csv, QuotesWhatIsNotPlain) {
    EXPECT_EQ(cell("plain text"), "plain text");
    EXPECT_EQ(cell("a,b"), "\"a,b\"");
    EXPECT_EQ(cell("a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(cell("a\nb"), "\"a\nb\"");
    EXPECT_EQ(cell("a;b"), "\"a;b\"") << "a comma for some spreadsheets";
    EXPECT_EQ(cell(""), "");
}

TEST(Csv, LetsNoTextBeAFormula) {
    EXPECT_EQ(cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    EXPECT_EQ(cell("=1,2"), "\"'=1,2\"");
    EXPECT_EQ(cell("+1"), "'+1");
    EXPECT_EQ(cell("-1"), "'-1");
    EXPECT_EQ(cell("@SUM"), "'@SUM");
    EXPECT_EQ(cell("\t=1"), "\"'\t=1\"");
    Csv negative;
    negative.number(std::optional(-1.5));
    EXPECT_EQ(negative.take(), "-1.5") << "a number is one";
}

TEST(Csv, KeepsCellsAndLinesApart) {
    Csv csv;
    csv.line({"a", "", "c"});
    csv.number(std::optional<std::uint64_t>(7));
    csv.number(std::optional<double>());
    csv.flag(true);
    csv.next();
    EXPECT_EQ(csv.take(), "a,,c\r\n7,,true\r\n");
}

TEST(RunAsCsv, AddsUpToTheRoundTrip) {
    RunResult result = small_result();
    std::vector<std::vector<std::string>> lines = cells_of(to_csv(result));
    ASSERT_EQ(lines.size(), 1 + result.hops.size() + 2);
    EXPECT_EQ(lines[0][4], "per_transaction_ns");
    double sum = 0;
    for (std::size_t i = 1; i + 1 < lines.size(); ++i)
        sum += number(lines[i][4]);
    EXPECT_EQ(lines.back()[3], "rtt");
    EXPECT_NEAR(sum, number(lines.back()[4]), 1e-6);
    EXPECT_EQ(number(lines.back()[4]), 3000);
    // By hand: 19 hops of 50 ns and two of 1000 ns.
    EXPECT_EQ(lines[lines.size() - 2][3], "unexplained");
    EXPECT_EQ(number(lines[lines.size() - 2][4]), 3000 - 19 * 50 - 2 * 1000);
    EXPECT_EQ(lines[1][0], "request");
    EXPECT_EQ(lines[1][1], "app_send@client");
    EXPECT_EQ(lines[1][5], "20");
    EXPECT_EQ(lines[1][12], "") << "too few packets for p99";
}

TEST(WindowAsCsv, HasALineForEachSeriesAndEachDrop) {
    WatchWindow window = window_of(3);
    window.sample = 4;
    window.sample_ratio = 4;
    window.series.front().target = "=web";
    std::vector<std::vector<std::string>> lines = cells_of(watch_csv_heading() + to_csv(window));
    ASSERT_EQ(lines.size(), 5);
    EXPECT_EQ(lines[1][0], "3");
    EXPECT_EQ(lines[1][2], "1") << "seconds";
    EXPECT_EQ(lines[1][3], "hop");
    EXPECT_EQ(lines[1][4], "'=web");
    EXPECT_EQ(lines[1][11], "8000") << "2000 were followed, one in 4";
    EXPECT_EQ(lines[1][13], "2000");
    EXPECT_EQ(lines[4][3], "drop");
    EXPECT_EQ(lines[4][10], "NETFILTER_DROP");
    EXPECT_EQ(lines[4][11], "3");
}

TEST(TotalsAsCsv, HaveTheColumnsOfWindows) {
    WatchTotals totals;
    totals.add(window_of(1));
    totals.add(window_of(2));
    std::vector<std::vector<std::string>> lines = cells_of(watch_csv_heading() + to_csv(totals));
    ASSERT_EQ(lines.size(), 5);
    EXPECT_EQ(lines[1][2], "2");
    EXPECT_EQ(lines.back()[11], "6") << "drops of both windows";
}

TEST(OthersAsCsv, HaveAsManyCellsInEachLine) {
    RrResult rr;
    rr.server = "10.0.0.1";
    rr.load = small_result().load;
    EXPECT_EQ(cells_of(to_csv(rr)).size(), 2);
    Choice choice;
    choice.ladder.name = "xmit (veth)";
    choice.tried = {{{HookKind::fentry, "veth_xmit", ""}, "refused: EPERM, and \"why\""},
                    {{HookKind::tracepoint, "net_dev_start_xmit", ""}, "used"}};
    choice.used = choice.tried.back().rung;
    std::vector<std::vector<std::string>> lines = cells_of(to_csv({choice}, Environment{}));
    ASSERT_EQ(lines.size(), 3);
    EXPECT_EQ(lines[1][6], "refused: EPERM, and \"why\"");
    DiffResult diff;
    Delta delta;
    delta.mode = "veth in b.json";
    Difference change;
    change.mean = 500;
    change.half_width = 20;
    delta.stages.push_back({Stage::backlog, 500.0, std::nullopt, 2, 0, change, 0.01, true});
    diff.deltas = {delta};
    lines = cells_of(to_csv(diff));
    ASSERT_EQ(lines.size(), 5);
    EXPECT_EQ(lines[1], (std::vector<std::string>{"veth in b.json", "", "backlog", "500", "", "500", "480", "520",
                                                  "0.01", "true", ""}));
}

} // namespace
} // namespace vethtrace
