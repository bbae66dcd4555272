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

class ExplainedMode : public testing::TestWithParam<const char *> {
protected:
    void SetUp() override {
        if (const char *missing = missing_mode(mode()))
            GTEST_SKIP() << "kernel " << vm_kernel() << ": " << missing;
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

TEST_P(ExplainedMode, NamesOnlyFunctionsThatTheKernelHas) {
    EXPECT_EQ(file("status"), "0\n") << file("err");
    nlohmann::json walk = explanation_of(mode())["walks"][0];
    EXPECT_EQ(walk["missing_modules"].size(), 0) << "a lab of that mode had loaded them";
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

// The function tracer counted them while 100 requests were sent: once for each step that names them, or more. Of the
// two ends, which share a CPU, one is woken; the other has not come to recv() yet when its data is there.
TEST_P(ExplainedMode, NamesFunctionsInTheStepsInWhichAPacketPassesThem) {
    constexpr int transactions = 100;
    std::map<std::string, int> calls;
    std::istringstream lines(file("calls"));
    int count = 0;
    for (std::string name; lines >> count >> name;)
        calls[name] = count;
    std::set<std::string> traceable;
    std::istringstream names(file("traceable"));
    for (std::string name; names >> name;)
        traceable.insert(name);
    EXPECT_GT(traceable.size(), 10);

    std::map<std::string, int> steps; // that name the function
    nlohmann::json walk = explanation_of(mode())["walks"][0];
    for (const auto &step : walk["steps"])
        for (const auto &call : step["calls"])
            if (call["symbol"].is_string() && step["to"] != "app_recv@server")
                ++steps[call["symbol"]];
    for (const auto &[symbol, times] : steps)
        if (traceable.count(symbol) != 0) {
            EXPECT_GE(calls[symbol], times * transactions) << symbol << '\n' << file("load");
        }
}

std::string name_of_test(const testing::TestParamInfo<const char *> &test) {
    std::string name = test.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Vm, ExplainedMode, testing::Values("veth", "veth-gro", "nat", "ipvlan", "ipvlan-l3"),
                         name_of_test);

// No packet of an ipvlan in L2 mode passes the host's netfilter. One in L3 mode sends by the host's IP, but does not
// receive by it.
TEST(Explained, TellsWhatTheHostsNetfilterSees) {
    auto counts = [](const std::string &mode) {
        nlohmann::json count = explanation_of(mode + ".live")["walks"][0]["netfilter"];
        EXPECT_GE(count["client"]["sent"], 100) << mode;
        EXPECT_GE(count["client"]["received"], 100) << mode;
        return count;
    };
    nlohmann::json none = {{"sent", 0}, {"received", 0}};
    EXPECT_EQ(counts("ipvlan")["seen_by_host"], none);
    nlohmann::json l3 = counts("ipvlan-l3");
    EXPECT_EQ(l3["seen_by_host"]["sent"], l3["client"]["sent"]);
    EXPECT_EQ(l3["seen_by_host"]["received"], 0);
    for (const auto &hook : l3["hooks_of_host"])
        EXPECT_EQ(hook["requests"] != 0, hook["hook"] == "output" || hook["hook"] == "postrouting") << hook;
}

} // namespace
} // namespace vethtrace::test
