// SPDX-License-Identifier: GPL-2.0-only
#include "report/folded.hpp"
#include "unit/sample.hpp"
#include "unit/watch_sample.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace vethtrace {
namespace {

using namespace test;

// Stacks and their values, as flamegraph.pl reads them: all up to the last space, and a whole number.
std::vector<std::pair<std::string, std::uint64_t>> parse(const std::string &text) {
    std::vector<std::pair<std::string, std::uint64_t>> stacks;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        std::size_t space = line.rfind(' ');
        std::string digits = line.substr(space + 1);
        EXPECT_EQ(digits.find_first_not_of("0123456789"), std::string::npos) << line;
        stacks.emplace_back(line.substr(0, space), std::stoull(digits));
    }
    return stacks;
}

TEST(RunAsFoldedStacks, AddsUpToTheRoundTrip) {
    std::string text = to_folded(small_result());
    auto stacks = parse(text);
    std::uint64_t sum = 0;
    for (const auto &[stack, ns] : stacks)
        sum += ns;
    EXPECT_EQ(sum, 3000);
    EXPECT_EQ(stacks.size(), 22) << "21 hops, and what is unexplained";
    EXPECT_EQ(stacks[0].first, "vethtrace;veth;request;socket_tx;app_send@client - queue@container");
    EXPECT_EQ(stacks[0].second, 50);
    EXPECT_EQ(stacks.back().first, "vethtrace;veth;unexplained");
    EXPECT_EQ(stacks.back().second, 50) << "by hand: 3000 - 19 * 50 - 2 * 1000";
}

TEST(ComparisonAsFoldedStacks, HasEachModeApart) {
    CompareResult result;
    result.sides = {{"veth", small_result(), {}}, {"veth#2", small_result(), {}}};
    auto stacks = parse(to_folded(result));
    EXPECT_EQ(stacks.size(), 44);
    EXPECT_TRUE(stacks.front().first.starts_with("vethtrace;veth;"));
    EXPECT_TRUE(stacks.back().first.starts_with("vethtrace;veth#2;"));
}

TEST(WatchAsFoldedStacks, TellsOfAllPackets) {
    WatchWindow window = window_of(1);
    window.sample = 2;
    window.sample_ratio = 2;
    window.series.front().target = "web;out\nmore";
    WatchTotals totals;
    totals.add(window);
    auto stacks = parse(to_folded(totals));
    ASSERT_EQ(stacks.size(), 3);
    bool found = false;
    for (const auto &[stack, ns] : stacks)
        if (stack == "vethtrace;web:out:more;out;backlog;netif_rx@host - receive@host") {
            found = true;
            EXPECT_EQ(ns, 2 * 2000 * 1500) << "half of them were followed";
        }
    EXPECT_TRUE(found);
}

} // namespace
} // namespace vethtrace
