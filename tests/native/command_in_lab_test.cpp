// SPDX-License-Identifier: GPL-2.0-only
//
// --cmd: a load that is not ours, between the ends of a lab.
#include "native/native.hpp"

#include <chrono>
#include <csignal>
#include <fmt/format.h>
#include <thread>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;

// What is left of any lab of this process's children.
std::string namespaces() {
    return run({"ip", "netns", "list"}).out;
}

Json in_lab(std::vector<std::string> words, int status = 0) {
    words.emplace_back("--json");
    Finished finished = vethtrace(words);
    EXPECT_EQ(finished.status, status) << finished.err;
    Json json = Json::parse(finished.out, nullptr, false);
    if (json.is_discarded()) {
        ADD_FAILURE() << "no JSON: " << finished.out << finished.err;
        return nullptr;
    }
    EXPECT_EQ(schema_errors("watch-2", json), "");
    EXPECT_TRUE(json["conservation"]["balanced"]) << json["conservation"];
    EXPECT_EQ(json["lab"]["cmd"], words.at(1));
    return json;
}

// How many packets of the target whose name ends so were seen in that stage.
std::uint64_t count(const Json &json, const std::string &end, const std::string &flow, const std::string &stage) {
    std::uint64_t sum = 0;
    for (const Json &series : json["series"])
        if (series["target"].get<std::string>().ends_with(end) && series["direction"] == flow &&
            series["stage"] == stage)
            sum += series["count"].get<std::uint64_t>();
    return sum;
}

std::uint64_t dropped(const Json &json) {
    std::uint64_t sum = 0;
    for (const Json &drop : json["drops"])
        sum += drop["count"].get<std::uint64_t>();
    return sum;
}

using CommandInLab = Native;

TEST_F(CommandInLab, FollowsALoadOfSomebodyElse) {
    constexpr std::uint64_t pings = 100;
    Json json = in_lab({"--cmd", fmt::format("exec ping -q -c {} -i 0.002 $VETHTRACE_PEER", pings), "--mode", "veth"});
    EXPECT_EQ(json["ended"], "--cmd has ended");
    EXPECT_EQ(json["lab"]["mode"], "veth");
    for (const char *stage : {"qdisc", "device_xmit", "backlog", "host_forward", "uplink_qdisc"})
        EXPECT_EQ(count(json, "-container", "out", stage), pings) << stage;
    for (const char *stage : {"host_forward", "qdisc", "device_xmit", "backlog"})
        EXPECT_EQ(count(json, "-container", "in", stage), pings) << stage;
    EXPECT_EQ(json["conservation"]["entered"], 2 * pings);
    EXPECT_EQ(namespaces().find("vethtrace-"), std::string::npos) << "the lab is gone";
}

TEST_F(CommandInLab, WaitsForThePeersServer) {
    const std::string tool = vethtrace_line({}).front();
    for (const char *mode : {"veth", "macvlan", "host"}) {
        Json json = in_lab({"--cmd", "exec " + tool + " rr run $VETHTRACE_PEER -c 1000 --port 7001", "--peer-cmd",
                            "exec " + tool + " rr serve --port 7001", "--mode", mode});
        // A packet each way for every transaction at least; warming up and connecting come on top.
        const std::string end = mode == std::string("host") ? "-peer" : "-container";
        EXPECT_GE(count(json, end, "out", "qdisc"), 1000) << mode;
        EXPECT_GE(count(json, end, "in", "wakeup"), 1000) << mode;
        EXPECT_EQ(json["lab"]["mode"], mode);
    }
}

TEST_F(CommandInLab, NamesWhatIsMergedAndSegmented) {
    // Each packet by itself into the host's NAPI, and many at a time, since a shaper lets them go in bursts: there GRO
    // finds neighbours.
    Json merged = in_lab({"--cmd",
                          "ip link set container gso_max_segs 1 && ethtool -K container tso off && "
                          "tc qdisc add dev container root tbf rate 400mbit burst 100kb limit 1mb && "
                          "exec iperf3 -t 1 -c $VETHTRACE_PEER",
                          "--peer-cmd", "exec iperf3 -s -1", "--setup", "ethtool -K host gro on"});
    EXPECT_GT(merged["conservation"]["merged"], 0) << merged["conservation"];
    EXPECT_GT(count(merged, "-container", "out", "gro"), 1000);
    // What TCP left whole the container's device wants in pieces.
    Json segmented = in_lab({"--cmd", "ethtool -K container tso off && exec iperf3 -t 1 -c $VETHTRACE_PEER",
                             "--peer-cmd", "exec iperf3 -s -1"});
    EXPECT_GT(segmented["conservation"]["segmented"], 1000) << segmented["conservation"];
    for (const Json &json : {merged, segmented})
        EXPECT_EQ(json["conservation"]["dropped"], dropped(json)) << "each with its reason";
}

TEST_F(CommandInLab, EndsWithTheCommandsFailure) {
    Json json = in_lab({"--cmd", "exit 7"}, 3);
    EXPECT_EQ(json["ended"], "--cmd 'exit 7': ended with exit status 7");

    Finished silent = vethtrace({"--cmd", "true", "--peer-cmd", "true"});
    EXPECT_EQ(silent.status, 1);
    EXPECT_NE(silent.err.find("--peer-cmd: ended before it had a socket"), std::string::npos) << silent.err;

    Finished unknown = vethtrace({"--cmd", "true", "--peer-cmd", "/no/such/program"});
    EXPECT_EQ(unknown.status, 1);
    EXPECT_NE(unknown.err.find("--peer-cmd '/no/such/program': ended with exit status 127"), std::string::npos)
        << unknown.err;
    EXPECT_EQ(namespaces().find("vethtrace-"), std::string::npos);
}

TEST_F(CommandInLab, EndsACommandThatGoesOn) {
    Json late = in_lab({"--cmd", "exec ping -q -i 0.01 $VETHTRACE_PEER", "-d", "0.5"});
    EXPECT_EQ(late["ended"], "--duration has passed");

    Process process(vethtrace_line({"--cmd", "ping -q -i 0.01 $VETHTRACE_PEER & sleep 1000"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    process.signal(SIGINT);
    Finished stopped = process.wait();
    EXPECT_EQ(stopped.status, 0) << stopped.err;
    EXPECT_NE(stopped.out.find("no ledger"), std::string::npos) << stopped.out;
    EXPECT_NE(stopped.out.find("it was stopped"), std::string::npos) << stopped.out;
    EXPECT_NE(stopped.out.find("balanced: "), std::string::npos) << stopped.out;
    EXPECT_EQ(namespaces().find("vethtrace-"), std::string::npos);
}

} // namespace
} // namespace vethtrace::test
