// SPDX-License-Identifier: GPL-2.0-only
//
// Modes against one another in the deterministic machine, where every nanosecond is an instruction.
#include "support/schema.hpp"
#include "vm/results.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <iostream>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;

Json comparison(const std::string &name) {
    EXPECT_EQ(vm_file(name + ".status"), "0\n") << vm_file(name + ".err");
    Json json = vm_json(name + ".json");
    if (json.is_discarded())
        ADD_FAILURE() << "no JSON: " << vm_file(name + ".err");
    else
        EXPECT_EQ(schema_errors("compare-1", json), "");
    return json;
}

double untraced(const Json &comparison, std::size_t side) {
    return comparison["runs"][side]["observer"]["untraced_rtt_mean_ns"];
}

const Json &stage_of(const Json &delta, const std::string &name) {
    static const Json none;
    for (const Json &stage : delta["stages"])
        if (stage["stage"] == name)
            return stage;
    return none;
}

// How much of a difference stays unexplained: at most 3 % of it or 0.5 % of the round trip, whichever is more.
void expect_explained(const Json &comparison) {
    for (const Json &delta : comparison["deltas"]) {
        double rtt = delta["rtt"]["delta_ns"];
        double whole = delta["against_rtt_mean_ns"];
        double unexplained = delta["unexplained"]["delta_ns"];
        EXPECT_LE(std::abs(unexplained), std::max(0.03 * std::abs(rtt), 0.005 * whole))
            << delta["mode"] << " - " << delta["against"] << " = " << rtt;
        std::cout << delta["mode"] << " - " << delta["against"] << ": " << rtt << " ns, unexplained " << unexplained
                  << " ns, " << delta["verdict"] << "\n";
    }
}

TEST(Compare, RepeatsItself) {
    Json once = comparison("ways.once");
    Json again = comparison("ways.again");
    for (std::size_t side = 0; side < 4; ++side)
        EXPECT_NEAR(untraced(again, side), untraced(once, side), 0.005 * untraced(once, side))
            << once["samples"][side]["label"];
}

TEST(Compare, ExplainsEveryDifference) {
    for (const char *name : {"ways.once", "ways.again", "lecture", "ladder.local"})
        expect_explained(comparison(name));
}

// Host, macvlan and ipvlan close together, veth clearly behind.
TEST(Compare, FindsTheOrderThatIsKnown) {
    Json once = comparison("ways.once");
    double host = untraced(once, 0);
    double veth = untraced(once, 1);
    for (std::size_t close : {2, 3}) {
        EXPECT_NEAR(untraced(once, close), host, 0.08 * host);
        EXPECT_GT(veth, untraced(once, close) + 0.02 * host);
    }
    EXPECT_GT(veth, 1.08 * host);
    EXPECT_EQ(once["deltas"][0]["verdict"], "slower");
    EXPECT_EQ(once["deltas"][0]["mode"], "veth");
}

// What the lecture says is a softirq more is none: the same runs serve more backlogs.
TEST(Compare, CountsSoftirqs) {
    Json lecture = comparison("lecture");
    for (const Json &run : lecture["runs"])
        EXPECT_NEAR(run["softirq"]["net_rx"]["runs_per_transaction"], 2, 0.01) << run["mode"];
    const Json &backlog = stage_of(lecture["deltas"][0], "backlog");
    EXPECT_EQ(backlog["mode_hops"], 4);
    EXPECT_EQ(backlog["against_hops"], 2);
    EXPECT_TRUE(backlog["matters"]);
}

// Each feature has its price: the pair, the bridge, the translation.
TEST(Compare, IsALadder) {
    Json lecture = comparison("lecture");
    EXPECT_GT(untraced(lecture, 1), untraced(lecture, 0)); // veth, host
    EXPECT_GT(untraced(lecture, 2), untraced(lecture, 1)); // bridge, veth
    EXPECT_GT(untraced(lecture, 3), untraced(lecture, 2)); // nat, bridge
    for (const Json &delta : lecture["deltas"])
        if (delta["mode"] == "nat" && delta["against"] == "bridge") {
            EXPECT_EQ(delta["verdict"], "slower");
            EXPECT_GT(stage_of(delta, "host_forward")["delta_ns"], 0.8 * delta["rtt"]["delta_ns"].get<double>());
        }
}

TEST(Compare, CallsAModeAndItselfIndistinguishable) {
    EXPECT_EQ(comparison("same")["deltas"][0]["verdict"], "indistinguishable");
}

TEST(Compare, StopsAtALookWhenEnoughIsKnown) {
    Json same = comparison("same");
    EXPECT_EQ(same["plan"]["rounds"], 10);
    EXPECT_EQ(same["rounds"], 5);
    EXPECT_TRUE(same["precise"]);
    EXPECT_EQ(same["level"], 0.99);
}

TEST(Compare, PutsExtraWorkIntoItsStage) {
    Json rules = comparison("rules");
    const Json &delta = rules["deltas"][0];
    double rtt = delta["rtt"]["delta_ns"];
    EXPECT_EQ(delta["mode"], "veth#2");
    EXPECT_EQ(delta["verdict"], "slower");
    EXPECT_NEAR(rtt, 350, 150); // of slices in which no stage was seen
    double traced = delta["traced_rtt"]["delta_ns"];
    for (const Json &stage : delta["stages"]) {
        bool forward = stage["stage"] == "host_forward";
        EXPECT_EQ(stage["matters"], forward) << stage;
        double nanoseconds = stage["delta_ns"];
        if (forward)
            EXPECT_NEAR(nanoseconds, traced, 0.15 * traced);
        else
            EXPECT_NEAR(nanoseconds, 0, 0.15 * traced) << stage["stage"];
    }
    std::cout << "rules: " << rtt << " ns, traced " << traced << " ns, in host_forward "
              << stage_of(delta, "host_forward")["delta_ns"] << " ns\n";
}

// Between two containers of one parent the packet goes through a backlog of its own, which it does not on the wire.
TEST(Compare, ShowsIpvlansBacklogBetweenContainers) {
    Json local = comparison("ladder.local");
    Json wire = comparison("ways.once");
    auto stations = [](const Json &run, const std::string &station) {
        return std::any_of(run["stations"].begin(), run["stations"].end(),
                           [&](const Json &one) { return one["id"] == station; });
    };
    const Json &ipvlan = local["runs"][3];
    EXPECT_EQ(ipvlan["mode"], "ipvlan");
    EXPECT_TRUE(stations(ipvlan, "netif_rx@container"));
    EXPECT_FALSE(stations(wire["runs"][3], "netif_rx@container"));
    EXPECT_NEAR(ipvlan["softirq"]["net_rx"]["runs_per_transaction"], 2, 0.01);
}

TEST(Compare, SaysWhatTheMachineIsLike) {
    Json environment = comparison("lecture")["environment"];
    EXPECT_TRUE(environment["cpu_model"].is_string());
    EXPECT_TRUE(environment["network"]["congestion_control"].is_string());
    EXPECT_FALSE(environment["network"]["devices"].empty());
    EXPECT_FALSE(environment["unstable"].empty()) << "a virtual machine";
}

} // namespace
} // namespace vethtrace::test
