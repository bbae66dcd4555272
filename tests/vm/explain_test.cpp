// SPDX-License-Identifier: GPL-2.0-only
//
// What explain.sh left behind: `vethtrace explain` against this kernel's list of symbols and its function tracer.
#include "support/schema.hpp"
#include "vm/results.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

namespace vethtrace::test {
namespace {

nlohmann::json explanation_of(const std::string &name) {
    nlohmann::json json = vm_json("explain." + name + ".json");
    EXPECT_FALSE(json.is_discarded()) << vm_file("explain." + name + ".err");
    EXPECT_EQ(schema_errors("explain-1", json), "");
    return json;
}

// It is explained on the oldest kernel and on the newest; null: on this one.
const char *missing_explanation() {
    bool explained = vm_kernel() == "5.10" || vm_kernel() == "newest";
    return explained ? nullptr : "explain.sh runs on the oldest kernel and on the newest";
}

class Explained : public testing::TestWithParam<const char *> {
protected:
    void SetUp() override {
        if (const char *missing = missing_explanation())
            GTEST_SKIP() << missing;
    }
    [[nodiscard]] std::string mode() const { return GetParam(); }
    [[nodiscard]] std::string file(const std::string &kind) const { return vm_file("explain." + mode() + "." + kind); }

    // "t veth_xmit": functions of the list of symbols.
    [[nodiscard]] std::set<std::string> functions() const {
        std::set<std::string> names;
        std::istringstream lines(file("kallsyms"));
        for (std::string type, name; lines >> type >> name;)
            if (type == "t" || type == "T" || type == "w" || type == "W")
                names.insert(name);
        return names;
    }
};

TEST_P(Explained, NamesOnlyFunctionsThatTheKernelHas) {
    EXPECT_EQ(file("status"), "0\n") << file("err");
    nlohmann::json walk = explanation_of(mode())["walks"][0];
    EXPECT_EQ(walk["missing_modules"].size(), 0) << "its modules were loaded by the runs before";
    std::set<std::string> functions = this->functions();
    for (const auto &step : walk["steps"]) {
        EXPECT_EQ(step["calls"].empty(), step["stage"] == "application") << step;
        for (const auto &call : step["calls"]) {
            if (call["symbol"].is_string()) {
                EXPECT_EQ(functions.count(call["symbol"]), 1) << call;
            } else {
                EXPECT_EQ(functions.count(call["function"]), 0) << call;
                EXPECT_EQ(functions.count(call["inlined_into"]), 1) << call;
            }
        }
    }
}

// The function tracer counted them in a run of 50 transactions.
TEST_P(Explained, NamesOnlyFunctionsThatAPacketPasses) {
    constexpr int transactions = 50;
    std::map<std::string, int> calls;
    std::istringstream lines(file("calls"));
    int count = 0;
    for (std::string name; lines >> count >> name;)
        calls[name] = count;
    std::set<std::string> traceable;
    std::istringstream names(file("traceable"));
    for (std::string name; names >> name;)
        traceable.insert(name);
    ASSERT_GT(traceable.size(), 10) << file("live.err");
    for (const auto &step : explanation_of(mode())["walks"][0]["steps"])
        for (const auto &call : step["calls"]) {
            if (call["symbol"].is_string() && traceable.count(call["symbol"]) != 0) {
                EXPECT_GE(calls[call["symbol"]], transactions) << call << file("live.err");
            }
        }
}

INSTANTIATE_TEST_SUITE_P(Vm, Explained, testing::Values("host", "veth", "nat", "ipvlan", "ipvlan-l3", "macvlan"),
                         [](const auto &test) {
                             std::string name = test.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

// All packets of a routed container pass the host's netfilter, none of an ipvlan or macvlan. An ipvlan in L3 mode sends
// by the host's IP, but does not receive by it.
TEST(Netfilter, SeesWhatTheWalkSays) {
    if (const char *missing = missing_explanation())
        GTEST_SKIP() << missing;
    auto counts = [](const std::string &mode) {
        nlohmann::json count = explanation_of(mode + ".live")["walks"][0]["netfilter"];
        EXPECT_GE(count["client"]["sent"], 100) << mode;
        EXPECT_GE(count["client"]["received"], 100) << mode;
        return count;
    };
    nlohmann::json none = {{"sent", 0}, {"received", 0}};
    nlohmann::json veth = counts("veth");
    EXPECT_EQ(veth["seen_by_host"], veth["client"]);
    for (const char *mode : {"ipvlan", "macvlan"})
        EXPECT_EQ(counts(mode)["seen_by_host"], none) << mode;
    nlohmann::json l3 = counts("ipvlan-l3");
    EXPECT_EQ(l3["seen_by_host"]["sent"], l3["client"]["sent"]);
    EXPECT_EQ(l3["seen_by_host"]["received"], 0);
    for (const auto &hook : l3["hooks_of_host"])
        EXPECT_EQ(hook["requests"] != 0, hook["hook"] == "output" || hook["hook"] == "postrouting") << hook;
}

} // namespace
} // namespace vethtrace::test
