// SPDX-License-Identifier: GPL-2.0-only
//
// Budgets: what looking may cost in instructions, and how large the programs may become. The figures in budgets.json
// were measured by this suite; a change that needs more says why, and writes the new ones there.
#include "vm/results.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <iostream>

namespace vethtrace::test {
namespace {

nlohmann::json budget() {
    std::ifstream file(VETHTRACE_BUDGETS);
    return nlohmann::json::parse(file)[vm_kernel()];
}

double added(const nlohmann::json &cost, const std::string &variant) {
    for (const auto &row : cost["variants"])
        if (row["name"] == variant)
            return row["added_ns"];
    return std::nan("");
}

constexpr const char *all = "vethtrace, all packets";
constexpr const char *sampled = "vethtrace, 1 in 64";
constexpr const char *empty = "empty programs";

// By how much the round trip differs from itself. The scheduler of 6.1 settles now one way and now the other, which
// moves it by up to 1 %.
double jitter(const nlohmann::json &cost) {
    return cost["untraced_rtt_ns"].get<double>() * (vm_kernel() == "6.1" ? 0.015 : 0.005);
}

TEST(Cost, RepeatsItself) {
    nlohmann::json once = vm_json("cost.once.json");
    nlohmann::json again = vm_json("cost.again.json");
    ASSERT_FALSE(once.is_discarded()) << vm_file("cost.once.err");
    ASSERT_FALSE(again.is_discarded()) << vm_file("cost.again.err");
    double untraced = once["untraced_rtt_ns"];
    EXPECT_NEAR(again["untraced_rtt_ns"], untraced, jitter(once));
    for (const char *variant : {all, sampled})
        EXPECT_NEAR(added(again, variant), added(once, variant), jitter(once)) << variant;
    EXPECT_NEAR(added(again, empty), added(once, empty), std::max(jitter(once), untraced * 0.01));
}

TEST(Cost, StaysWithinItsBudget) {
    nlohmann::json cost = vm_json("cost.once.json");
    ASSERT_FALSE(cost.is_discarded());
    for (const char *variant : {all, sampled}) {
        double allowed = budget()["added_instructions"][variant];
        EXPECT_LE(added(cost, variant), allowed * 1.05 + jitter(cost))
            << variant << " adds more than when the budget was written";
        EXPECT_GE(added(cost, variant), allowed * 0.8) << variant << " has become cheaper: write the new budget";
        std::cout << variant << " adds " << added(cost, variant) << ", " << added(cost, variant) / added(cost, empty)
                  << " times the empty programs\n";
    }
}

TEST(Programs, DoNotGrowInSilence) {
    nlohmann::json programs = vm_json("programs.json");
    nlohmann::json known = budget()["programs"];
    ASSERT_FALSE(programs.is_discarded());
    EXPECT_EQ(programs.size(), known.size());
    for (const auto &[name, size] : programs.items()) {
        ASSERT_TRUE(known.contains(name)) << name << " has no budget";
        for (const char *measure : {"verified_instructions", "bytes"}) {
            double allowed = known[name][measure];
            EXPECT_LE(size[measure].get<double>(), allowed * 1.2) << name << " " << measure;
        }
    }
}

} // namespace
} // namespace vethtrace::test
