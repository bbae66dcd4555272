// SPDX-License-Identifier: GPL-2.0-only
//
// The lab comes and goes without a trace, whatever ends the run, and never meets another one.
#include "native/native.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

namespace vethtrace::test {
namespace {

using LabTest = Native;

std::vector<std::string> lab_names(pid_t owner) {
    std::vector<std::string> names;
    std::error_code error;
    std::string prefix = "vethtrace-" + std::to_string(owner) + "-";
    for (const auto &entry : std::filesystem::directory_iterator("/run/netns", error))
        if (std::string name = entry.path().filename(); name.rfind(prefix, 0) == 0)
            names.push_back(name);
    return names;
}

bool wait_for_lab(pid_t owner) {
    for (int tries = 0; tries < 200; ++tries) {
        if (lab_names(owner).size() == 3)
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

// Everything of the machine's own network that a lab could touch.
std::string machine_state() {
    return run({"ip", "-o", "link"}).out + run({"ip", "-o", "address"}).out + run({"ip", "route"}).out +
           run({"ip", "neigh", "show", "nud", "permanent"}).out + run({"sysctl", "net.ipv4.ip_forward"}).out;
}

TEST_F(LabTest, LeavesNothingBehindAndTouchesNothing) {
    std::string before = machine_state();
    Process running(vethtrace_line({"-d", "0.5", "-q"}));
    ASSERT_TRUE(wait_for_lab(running.pid()));
    EXPECT_EQ(machine_state(), before) << "while the lab is there";
    pid_t owner = running.pid();
    EXPECT_EQ(running.wait().status, 0);
    EXPECT_EQ(lab_names(owner), std::vector<std::string>{});
    EXPECT_FALSE(std::filesystem::exists("/run/vethtrace/vethtrace-" + std::to_string(owner) + ".lock"));
    EXPECT_EQ(machine_state(), before);
}

TEST_F(LabTest, SettingsOfItsNetworkAreInTheResult) {
    nlohmann::json network = run_json({"-c", "200", "--mode", "veth"})["environment"]["network"];
    std::string control = run({"sysctl", "-n", "net.ipv4.tcp_congestion_control"}).out;
    EXPECT_EQ(network["congestion_control"].get<std::string>() + "\n", control);
    std::vector<std::string> names;
    for (const auto &device : network["devices"]) {
        names.push_back(device["name"]);
        EXPECT_EQ(device["qdisc"], "noqueue") << device;
        for (const char *offload : {"gro", "gso", "tso"})
            EXPECT_TRUE(device[offload].is_boolean()) << device;
    }
    EXPECT_EQ(names, (std::vector<std::string>{"container", "host", "uplink", "peer"}));
}

TEST_F(LabTest, OfTwoRunsAtOnceDoNotMeet) {
    Process one(vethtrace_line({"-d", "1", "-j", "--cpus", "0"}));
    Process two(vethtrace_line({"-d", "1", "-j", "--cpus", "1"}));
    for (Process *running : {&one, &two}) {
        Finished finished = running->wait();
        ASSERT_TRUE(finished.status == 0 || finished.status == 3) << finished.err;
        nlohmann::json run = nlohmann::json::parse(finished.out);
        // They trace the same kernel functions, but count only packets of their own.
        EXPECT_EQ(run["conservation"]["entered"].get<std::uint64_t>(),
                  2 * run["load"]["transactions"].get<std::uint64_t>())
            << run["conservation"] << run["warnings"];
        EXPECT_TRUE(run["conservation"]["balanced"]);
        EXPECT_GE(run["ledger"]["explained_ratio"], 0.97);
        EXPECT_LE(run["ledger"]["explained_ratio"], 1.03);
    }
}

class LabAfter : public Native, public testing::WithParamInterface<int> {};

TEST_P(LabAfter, ASignalIsGone) {
    Process running(vethtrace_line({"-d", "30"}));
    ASSERT_TRUE(wait_for_lab(running.pid()));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    pid_t owner = running.pid();
    running.signal(GetParam());
    (void)running.wait(std::chrono::seconds(10));
    EXPECT_EQ(lab_names(owner), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Native, LabAfter, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST_F(LabTest, OfAKilledRunIsGarbageAndThatOfALivingOneIsNot) {
    Process living(vethtrace_line({"-d", "5", "-q"}));
    Process killed(vethtrace_line({"-d", "30", "-q"}));
    ASSERT_TRUE(wait_for_lab(living.pid()));
    ASSERT_TRUE(wait_for_lab(killed.pid()));
    pid_t dead = killed.pid();
    killed.signal(SIGKILL);
    (void)killed.wait();
    EXPECT_EQ(lab_names(dead).size(), 3) << "nothing can clean up after SIGKILL by itself";

    Finished collected = vethtrace({"lab", "gc"});
    EXPECT_EQ(collected.status, 0) << collected.err;
    EXPECT_EQ(collected.out, "removed vethtrace-" + std::to_string(dead) + "\n");
    EXPECT_EQ(lab_names(dead), std::vector<std::string>{});
    EXPECT_EQ(lab_names(living.pid()).size(), 3);
    living.signal(SIGINT);
    EXPECT_NE(living.wait().status, 1) << "it goes on undisturbed";
}

TEST_F(LabTest, OfAKilledRunIsRemovedByTheNextStart) {
    pid_t dead = 0;
    {
        Process killed(vethtrace_line({"-d", "30", "-q"}));
        ASSERT_TRUE(wait_for_lab(killed.pid()));
        dead = killed.pid();
        killed.signal(SIGKILL);
        (void)killed.wait();
    }
    EXPECT_EQ(vethtrace({"-c", "500", "-q"}).status, 0);
    EXPECT_EQ(lab_names(dead), std::vector<std::string>{});
}

TEST_F(LabTest, CanBeKeptAndLookedAt) {
    KeptLab kept("macvlan");
    EXPECT_EQ(vethtrace({"lab", "up"}).status, 1) << "there is one already";
    EXPECT_EQ(vethtrace({"lab", "gc"}).out, "") << "a kept lab is no garbage";
    Finished address = vethtrace({"lab", "exec", "container", "ip", "-br", "address"});
    EXPECT_EQ(address.status, 0);
    EXPECT_NE(address.out.find("198.18.2.3/24"), std::string::npos) << address.out;
    EXPECT_EQ(vethtrace({"lab", "exec", "container", "ping", "-c1", "-W2", "198.18.2.2"}).status, 0);
    EXPECT_EQ(vethtrace({"lab", "down"}).status, 0);
    EXPECT_EQ(vethtrace({"lab", "down"}).status, 1) << "there is none any more";
    EXPECT_EQ(vethtrace({"lab", "exec", "container", "true"}).status, 1);
}

} // namespace
} // namespace vethtrace::test
