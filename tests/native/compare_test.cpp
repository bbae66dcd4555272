// SPDX-License-Identifier: GPL-2.0-only
//
// Modes against one another on this very kernel, and two stored results.
#include "native/native.hpp"

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace vethtrace::test {
namespace {

using Compare = Native;
using Json = nlohmann::json;

// The end of the command line of a comparison that takes a few seconds.
std::vector<std::string> short_rounds(std::vector<std::string> words, const std::string &rounds = "5") {
    words.insert(words.begin(), "compare");
    words.insert(words.end(), {"--rounds", rounds, "-d", "0.05"});
    return words;
}

Json compare_json(std::vector<std::string> words, int status = 0) {
    words.emplace_back("--json");
    Finished finished = vethtrace(words);
    EXPECT_EQ(finished.status, status) << finished.out << finished.err;
    Json json = Json::parse(finished.out, nullptr, false);
    if (json.is_discarded()) {
        ADD_FAILURE() << "no JSON: " << finished.out << finished.err;
        return nullptr;
    }
    EXPECT_EQ(schema_errors("compare-1", json), "");
    for (const Json &run : json["runs"])
        EXPECT_EQ(schema_errors("run-1", run), "");
    return json;
}

bool has_ipvlan() {
    return run({"sh", "-c",
                "ip netns add vethtrace-has && ip -n vethtrace-has link add d0 type dummy && "
                "ip -n vethtrace-has link add i0 link d0 type ipvlan; status=$?; "
                "ip netns del vethtrace-has; exit $status"})
               .status == 0;
}

const Json &stage_of(const Json &delta, const std::string &name) {
    static const Json none;
    for (const Json &stage : delta["stages"])
        if (stage["stage"] == name)
            return stage;
    return none;
}

// How much slower, and whether that is certain, is a matter for the deterministic machine (tests/vm/compare_test.cpp);
// on a machine that does other things as well it must not be asserted.
TEST_F(Compare, SaysWhatItsRoundsSay) {
    Json json = compare_json(short_rounds({"host", "veth"}, "8"));
    ASSERT_TRUE(json.is_object());
    EXPECT_TRUE(json["valid"]) << json["warnings"];
    EXPECT_EQ(json["rounds"], 8);
    EXPECT_EQ(json["baseline"], "host");
    const Json &delta = json["deltas"][0];
    double rtt = delta["rtt"]["delta_ns"];
    double low = delta["rtt"]["ci95"][0];
    double high = delta["rtt"]["ci95"][1];
    EXPECT_NEAR((low + high) / 2, rtt, 0.1);
    bool matters = (low > 0 || high < 0) && std::abs(rtt) >= 0.01 * delta["against_rtt_mean_ns"].get<double>();
    EXPECT_EQ(delta["verdict"], !matters ? "indistinguishable" : rtt > 0 ? "slower" : "faster");
    EXPECT_EQ(stage_of(delta, "host_forward")["mode_hops"], 2);
    EXPECT_TRUE(stage_of(delta, "host_forward")["against_ns"].is_null()) << "mode host does not forward";
    EXPECT_EQ(stage_of(delta, "backlog")["mode_hops"], 4);
    EXPECT_EQ(stage_of(delta, "backlog")["against_hops"], 2);
    double sum = delta["unexplained"]["delta_ns"];
    for (const Json &stage : delta["stages"])
        sum += stage["delta_ns"].get<double>();
    EXPECT_NEAR(sum, delta["rtt"]["delta_ns"], 0.1);
    // The rounds say how it was measured, so that anyone can reckon anew.
    EXPECT_EQ(json["samples"][0]["rounds"].size(), 8);
    EXPECT_EQ(run({"sh", "-c", "ls /run/netns | grep -c 'vethtrace-[0-9]'"}).out, "0\n");
}

TEST_F(Compare, OfTheSameModeTwiceHasItsLabelsAndASetupForOne) {
    Finished finished =
        vethtrace(short_rounds({"veth", "veth", "--setup", "veth#2=echo \"set up $VETHTRACE_LAB\"; ip -br link"}, "2"));
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_NE(finished.out.find("veth#2 - veth"), std::string::npos) << finished.out;
    EXPECT_NE(finished.err.find("set up vethtrace-"), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("uplink"), std::string::npos) << "it runs in the lab's host";
    EXPECT_NE(finished.out.find("no interval is possible under 3"), std::string::npos);
}

TEST_F(Compare, EndsWhenASetupFails) {
    Finished finished = vethtrace(short_rounds({"veth", "host", "--setup", "veth=exit 7"}));
    EXPECT_EQ(finished.status, 1);
    EXPECT_NE(finished.err.find("exit status 7"), std::string::npos) << finished.err;
    EXPECT_EQ(vethtrace({"--setup", "kill -9 $$", "-c", "100"}).status, 1);
}

TEST_F(Compare, LeavesOutAModeThatTheKernelLacksOnlyIfAsked) {
    if (has_ipvlan())
        GTEST_SKIP() << "this kernel lacks no mode: it has CONFIG_IPVLAN";
    Finished refused = vethtrace(short_rounds({"host", "ipvlan", "veth"}));
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("mode ipvlan"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("--skip-missing"), std::string::npos) << refused.err;
    Json json = compare_json(short_rounds({"host", "ipvlan", "veth", "--skip-missing"}, "3"));
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(json["samples"].size(), 2);
    EXPECT_NE(json["warnings"][0].get<std::string>().find("ipvlan is left out"), std::string::npos);
    EXPECT_EQ(vethtrace(short_rounds({"host", "ipvlan", "--skip-missing"})).status, 1) << "one mode is left";
}

TEST_F(Compare, WhenStoppedShowsTheWholeBlocksSoFar) {
    std::vector<std::string> words = short_rounds({"host", "veth", "--json"}, "1000");
    Process process(vethtrace_line(words));
    std::this_thread::sleep_for(std::chrono::seconds(6));
    process.signal(SIGINT);
    Finished finished = process.wait();
    EXPECT_EQ(finished.status, 0) << finished.err;
    Json json = Json::parse(finished.out, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << finished.out << finished.err;
    EXPECT_TRUE(json["interrupted"]);
    EXPECT_GE(json["rounds"], 1);
    EXPECT_LT(json["rounds"], 1000);
    for (const Json &side : json["samples"])
        EXPECT_EQ(side["rounds"].size(), json["rounds"]);
}

// ---- two stored results

class Diff : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        std::filesystem::create_directories(folder_);
        ASSERT_EQ(vethtrace(short_rounds({"host", "veth", "-q", "-o", before_})).status, 0);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    // The same result, with something changed.
    template<typename Change>
    std::string changed(Change change) {
        Json json = Json::parse(std::ifstream(before_));
        change(json);
        std::ofstream(after_) << json;
        return after_;
    }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("vethtrace-diff-" + std::to_string(getpid()));
    std::string before_ = folder_ / "before.json";
    std::string after_ = folder_ / "after.json";
};

TEST_F(Diff, FailsOverWhatIsAllowed) {
    EXPECT_EQ(vethtrace({"diff", before_, before_, "--fail-over", "5"}).status, 0);
    // By far more than the rounds of a busy machine differ.
    std::string slower = changed([](Json &json) {
        Json &rounds = json["samples"][1]["rounds"];
        double added = rounds[0]["untraced_rtt_mean_ns"].get<double>() * 8;
        for (Json &round : rounds)
            round["untraced_rtt_mean_ns"] = round["untraced_rtt_mean_ns"].get<double>() + added;
    });
    Finished over = vethtrace({"diff", before_, slower, "--fail-over", "5"});
    EXPECT_EQ(over.status, 4) << over.out << over.err;
    EXPECT_NE(over.out.find("MORE THAN ALLOWED: the round trip of veth"), std::string::npos) << over.out;
    EXPECT_EQ(vethtrace({"diff", before_, slower, "--fail-over", "1000"}).status, 0);
    EXPECT_EQ(vethtrace({"diff", before_, slower}).status, 0) << "nothing was forbidden";
    EXPECT_EQ(vethtrace({"diff", slower, before_, "--fail-over", "5"}).status, 0) << "it became faster";
    Finished json = vethtrace({"diff", before_, slower, "--json"});
    EXPECT_EQ(schema_errors("diff-1", Json::parse(json.out)), "");
}

TEST_F(Diff, RefusesWhatMustNotBeCompared) {
    std::string larger = changed([](Json &json) {
        for (Json &run : json["runs"])
            run["load"]["request_bytes"] = 1000;
    });
    Finished refused = vethtrace({"diff", before_, larger});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("request bytes: 1 and 1000"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("--anyway"), std::string::npos);
    EXPECT_EQ(vethtrace({"diff", before_, larger, "--anyway"}).status, 0);

    std::string newer = changed([](Json &json) { json["schema"] = "vethtrace.compare/2"; });
    Finished other = vethtrace({"diff", before_, newer});
    EXPECT_EQ(other.status, 1);
    EXPECT_NE(other.err.find("vethtrace.compare/2"), std::string::npos) << other.err;
}

TEST_F(Diff, ShowsAStoredComparisonOnceMore) {
    Finished shown = vethtrace({"report", before_});
    EXPECT_EQ(shown.status, 0) << shown.err;
    EXPECT_NE(shown.out.find("compare host, veth"), std::string::npos) << shown.out;
}

} // namespace
} // namespace vethtrace::test
