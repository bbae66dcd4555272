// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace explain` against this kernel's own list of symbols, and against what nftables and a run say of it.
#include "core/ways.hpp"
#include "native/native.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace vethtrace::test {
namespace {

// Functions by /proc/kallsyms.
std::set<std::string> functions_of_kernel() {
    std::set<std::string> functions;
    std::ifstream file("/proc/kallsyms");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string address;
        std::string type;
        std::string name;
        if (words >> address >> type >> name && (type == "t" || type == "T" || type == "w" || type == "W"))
            functions.insert(name);
    }
    return functions;
}

nlohmann::json explain_json(std::vector<std::string> arguments, int status = 0) {
    arguments.insert(arguments.begin(), "explain");
    arguments.emplace_back("--json");
    Finished finished = vethtrace(arguments);
    EXPECT_EQ(finished.status, status) << finished.out << finished.err;
    nlohmann::json json = nlohmann::json::parse(finished.out, nullptr, false);
    if (json.is_discarded()) {
        ADD_FAILURE() << "no JSON: " << finished.out << finished.err;
        return nullptr;
    }
    EXPECT_EQ(schema_errors("explain-1", json), "");
    return json;
}

TEST(Explain, NamesOnlyFunctionsThatThisKernelHas) {
    std::set<std::string> functions = functions_of_kernel();
    ASSERT_GT(functions.size(), 1000);
    std::size_t named = 0;
    for (const ModeRow &row : all_modes()) {
        nlohmann::json walk = explain_json({std::string(row.name)})["walks"][0];
        for (const auto &step : walk["steps"])
            for (const auto &call : step["calls"]) {
                ++named;
                if (call["symbol"].is_string()) {
                    EXPECT_EQ(functions.count(call["symbol"]), 1) << row.name << ": " << call;
                } else {
                    EXPECT_EQ(functions.count(call["function"]), 0) << row.name << ": " << call;
                    EXPECT_EQ(functions.count(call["inlined_into"]), 1) << row.name << ": " << call;
                }
            }
    }
    EXPECT_GT(named, 200);
}

TEST(Explain, NeedsNoPrivileges) {
    Finished finished = run({"setpriv", "--reuid", "65534", "--clear-groups", VETHTRACE_BINARY, "explain", "veth"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_NE(finished.out.find("xmit@container -> netif_rx@host"), std::string::npos);
}

using ExplainNative = Native;

TEST_F(ExplainNative, TakesTheTimesOfAStoredRun) {
    std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "vethtrace-explained.json";
    Finished measured = vethtrace({"-c", "500", "--mode", "veth", "-q", "-o", file});
    ASSERT_TRUE(measured.status == 0 || measured.status == 3) << measured.err; // a busy machine's may be invalid
    nlohmann::json run = nlohmann::json::parse(std::ifstream(file));
    nlohmann::json walk = explain_json({"veth", "--from", file})["walks"][0];
    std::map<std::string, double> means;
    for (const auto &hop : run["hops"])
        if (hop["count"] != 0)
            means[hop["from"].get<std::string>() + hop["to"].get<std::string>()] = hop["mean_ns"];
    double shares = 0;
    for (const auto &step : walk["steps"]) {
        EXPECT_EQ(step["measured"]["mean_ns"], means[step["from"].get<std::string>() + step["to"].get<std::string>()]);
        shares += step["measured"]["share"].get<double>();
    }
    EXPECT_NEAR(shares, run["ledger"]["explained_ratio"], 0.02); // each share is rounded
    EXPECT_EQ(walk["measured"]["transactions"], 500);

    Finished other = vethtrace({"explain", "macvlan", "--from", file});
    EXPECT_EQ(other.status, 1);
    EXPECT_NE(other.err.find("has no run of macvlan in topology wire, but of veth (wire)"), std::string::npos)
        << other.err;
    std::filesystem::remove(file);
}

// A routed container's packets pass the host's netfilter, all of them; a macvlan's do not, none of them.
TEST_F(ExplainNative, CountsWhatTheHostsNetfilterSees) {
    Finished finished = vethtrace({"explain", "veth", "macvlan", "--live", "--json"});
    ASSERT_TRUE(finished.status == 0 || finished.status == 3) << finished.err; // a busy machine's run may be invalid
    nlohmann::json json = nlohmann::json::parse(finished.out);
    EXPECT_EQ(schema_errors("explain-1", json), "");
    nlohmann::json veth = json["walks"][0]["netfilter"];
    nlohmann::json macvlan = json["walks"][1]["netfilter"];
    if (functions_of_kernel().count("nft_do_chain") == 0) // nor has --live loaded it
        GTEST_SKIP() << "no nf_tables in this kernel: " << json["warnings"];
    ASSERT_TRUE(veth.is_object() && macvlan.is_object()) << json["warnings"];
    for (const auto &count : {veth, macvlan}) {
        EXPECT_GE(count["client"]["sent"], 100) << "a packet for each transaction, and more for the end";
        EXPECT_GE(count["client"]["received"], 100);
    }
    EXPECT_EQ(veth["seen_by_host"], veth["client"]) << veth;
    EXPECT_EQ(macvlan["seen_by_host"]["sent"], 0);
    EXPECT_EQ(macvlan["seen_by_host"]["received"], 0);
    for (const auto &hook : veth["hooks_of_host"]) {
        std::string name = hook["hook"];
        bool local = name == "input" || name == "output"; // of the host's own packets
        EXPECT_EQ(hook["requests"] == 0, local) << hook;
        EXPECT_EQ(hook["responses"] == 0, local) << hook;
    }
    EXPECT_EQ(json["walks"][0]["timeline"]["marks"].size(), json["walks"][0]["steps"].size() + 1);
}

} // namespace
} // namespace vethtrace::test
