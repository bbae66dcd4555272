// SPDX-License-Identifier: GPL-2.0-only
//
// Nothing is lost in silence: whatever can happen to a packet is provoked here, and must be counted under its name.
#include "lab/ownership.hpp"
#include "native/native.hpp"
#include "netns/netns.hpp"
#include "report/json.hpp"
#include "run/run.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace vethtrace::test {
namespace {

using Conservation = Native;

std::uint64_t count_of(const nlohmann::json &run, const std::string &name) {
    return run["conservation"]["not_followed"].value(name, 0);
}

bool warns(const nlohmann::json &run, const std::string &what) {
    return std::any_of(run["warnings"].begin(), run["warnings"].end(), [&](const nlohmann::json &warning) {
        return warning.get<std::string>().find(what) != std::string::npos;
    });
}

// A run in this process, whose host drops one forwarded packet in `one_in`; 0: none.
struct Lossy {
    std::uint32_t flows = 1;
    std::uint64_t count = 4000;
    std::uint32_t one_in = 0;
    bool two_cpus = false;
    layout::mutation mutation = layout::MUTATION_NONE;
};

RunResult run_lossy(const Lossy &lossy) {
    RunOptions options;
    options.count = lossy.count;
    options.load.flows = lossy.flows;
    options.load.client_cpu = 0;
    options.load.server_cpu = lossy.two_cpus ? 1 : 0;
    options.mutation = lossy.mutation;
    std::atomic<bool> stop = false;
    Result<RunResult> result = run_lab(options, stop, [&](const std::string &step) {
        if (lossy.one_in == 0 || step != "connecting") // the first step with a complete lab
            return;
        std::vector<std::string> hosts = Netns::list(fmt::format("{}{}", lab_prefix, getpid()));
        auto host = std::find_if(hosts.begin(), hosts.end(),
                                 [](const std::string &name) { return name.find("-host") != std::string::npos; });
        ASSERT_NE(host, hosts.end());
        Finished ruled = run({"nsenter", "--net=/run/netns/" + *host, "nft",
                              fmt::format("add table ip lossy; add chain ip lossy forward {{ type filter hook forward "
                                          "priority 0; }}; add rule ip lossy forward numgen inc mod {} 0 drop",
                                          lossy.one_in)});
        ASSERT_EQ(ruled.status, 0) << ruled.err;
    });
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? *result : RunResult();
}

TEST_F(Conservation, CountsPureAcksAndEarlierSegments) {
    nlohmann::json run = run_json({"--response", "100000", "-c", "500"});
    expect_good(run);
    EXPECT_GT(count_of(run, "without_payload"), 500);
    EXPECT_GE(count_of(run, "earlier_segments"), 500); // 100,000 bytes are at least two skbs
    EXPECT_EQ(run["conservation"]["entered"], 1000);
}

TEST_F(Conservation, CountsTheWarmUp) {
    nlohmann::json run = run_json({"--warmup", "300", "-c", "500"});
    // Both packets of each transaction, before each of five slices.
    EXPECT_EQ(count_of(run, "warm_up"), 2 * 300 * 5);
    EXPECT_EQ(run["conservation"]["entered"], 1000);
}

TEST_F(Conservation, FollowsSegmentsAndWhatGroMakesOfThem) {
    nlohmann::json run = run_json({"--mode", "veth-gro", "--request", "16384", "--flows", "4", "-c", "4000"});
    expect_good(run);
    EXPECT_EQ(run["conservation"]["segmented"], 4000);
    EXPECT_GT(run["conservation"]["merged"], 3900); // a poll that ends between two segments merges nothing
    EXPECT_EQ(run["conservation"]["entered"].get<int>() - run["conservation"]["merged"].get<int>(), 8000);
    EXPECT_EQ(run["conservation"]["completed"], 8000);
    EXPECT_TRUE(warns(run, "4000 packets went on in segments"));
    EXPECT_TRUE(warns(run, "were merged into others by GRO"));
}

// ---- dropped packets

TEST_F(Conservation, NamesTheReasonOfADropAndWhereThePacketWasLastSeen) {
    nlohmann::json json = to_json(run_lossy({.flows = 8, .one_in = 400}));
    std::uint64_t dropped = json["conservation"]["dropped"]["NETFILTER_DROP"];
    EXPECT_GT(dropped, 0);
    EXPECT_GT(count_of(json, "retransmitted"), 0);
    EXPECT_TRUE(json["conservation"]["balanced"]) << json["conservation"];
    std::uint64_t ended = 0;
    for (const auto &station : json["stations"]) {
        ended += station["ended"].get<std::uint64_t>();
        bool before_the_rule = station["id"] == "receive@host" || station["id"] == "receive@uplink";
        EXPECT_TRUE(before_the_rule || station["ended"] == 0) << station;
    }
    EXPECT_EQ(ended, dropped);
    EXPECT_TRUE(warns(json, "packets were dropped: NETFILTER_DROP"));
    EXPECT_TRUE(warns(json, "were retransmissions"));
    EXPECT_TRUE(warns(json, "were last seen at receive@"));
}

// ---- calls that the kernel suppresses

// Packets that die in a task of CPU 1, and others that die in softirqs which interrupt it: the program for drops is
// asked to run while it runs, and the kernel refuses.
class DyingPackets {
public:
    DyingPackets() {
        script(
            "ip netns add $a; ip netns add $b; ip -n $a link add flood-a type veth peer name flood-b netns $b;"
            "for at in a b; do eval ns=\\$$at; ip -n $ns link set lo up; ip -n $ns link set flood-$at up; done;"
            "ip -n $a addr add 198.19.0.1/24 dev flood-a; ip -n $b addr add 198.19.0.2/24 dev flood-b;"
            "ip netns exec $b sh -c 'echo 2 >/sys/class/net/flood-b/queues/rx-0/rps_cpus';"
            "ip netns exec $b nft 'add table ip drops; add chain ip drops in { type filter hook prerouting priority 0; "
            "policy drop; }';"
            "ip netns exec $a nft 'add table ip drops; add chain ip drops out { type filter hook output priority 0; };"
            "add rule ip drops out oif lo drop'");
        const char *packets = "100000000";
        floods_.push_back(flood("1", {"198.19.0.2", "9", "4194304", packets}));
        floods_.push_back(flood("2", {"127.0.0.1", "9", "65536", packets}));
    }
    DyingPackets(const DyingPackets &) = delete;
    DyingPackets &operator=(const DyingPackets &) = delete;
    ~DyingPackets() {
        floods_.clear();
        script("ip netns del $a; ip netns del $b");
    }

private:
    static std::string name(const char *which) { return fmt::format("vt-flood-{}-{}", which, getpid()); }
    static void script(const std::string &commands) {
        Finished done = run({"sh", "-c", fmt::format("a={} b={}; {}", name("a"), name("b"), commands)});
        EXPECT_EQ(done.status, 0) << done.err;
    }
    static std::unique_ptr<Process> flood(const std::string &cpus, const std::vector<std::string> &arguments) {
        std::vector<std::string> line = {"nsenter", "--net=/run/netns/" + name("a"), "taskset", cpus, VETHTRACE_FLOOD};
        line.insert(line.end(), arguments.begin(), arguments.end());
        return std::make_unique<Process>(line);
    }

    std::vector<std::unique_ptr<Process>> floods_;
};

TEST_F(Conservation, CountsTheCallsThatTheKernelSuppressed) {
    DyingPackets dying;
    Finished finished = vethtrace({"-d", "1.5", "--cpus", "0", "--timeout", "30", "-j"});
    ASSERT_NE(finished.status, 1) << finished.err;
    nlohmann::json json = nlohmann::json::parse(finished.out);
    EXPECT_GT(json["conservation"]["missed"], 0);
    EXPECT_TRUE(warns(json, "calls of tracing programs were suppressed by the kernel")) << json["warnings"];
}

// ---- what takes a deliberate mistake to provoke

TEST_F(Conservation, CountsPacketsThatFindNoSlotAndSlotsThatAreTakenOver) {
    // Two slots for 16 flows, and the dropped keep theirs: soon both are taken, for a second.
    RunResult result = run_lossy({.flows = 16, .count = 8000, .one_in = 400, .mutation = layout::MUTATION_ONE_PAIR});
    EXPECT_FALSE(result.valid);
    EXPECT_GT(result.conservation.not_followed.at("crowded_out"), 0);
    EXPECT_GT(result.conservation.evicted, 0);
}

TEST_F(Conservation, CountsADeathThatNobodySaw) {
    RunResult result = run_lossy({.flows = 16, .one_in = 400, .mutation = layout::MUTATION_DEATH_UNSEEN});
    EXPECT_GT(result.conservation.not_followed.at("died_unseen"), 0);
}

TEST_F(Conservation, CountsANegativeIntervalAndNeverWrapsIt) {
    RunResult result = run_lossy({.mutation = layout::MUTATION_CLOCK_BACK});
    EXPECT_FALSE(result.valid);
    EXPECT_TRUE(std::any_of(result.warnings.begin(), result.warnings.end(), [](const std::string &warning) {
        return warning.find("intervals were negative") != std::string::npos;
    }));
    for (const Hop &hop : result.hops)
        EXPECT_LT(hop.time.max().value_or(0), 1'000'000'000) << name_of(hop.name.to);
}

// ---- addresses that are used again

// With skbs freed and allocated at the full rate of two CPUs, dropped ones among them, no packet may ever go on with
// another one's slot. That would show as a hop that no packet takes, or as more hops than transactions.
constexpr Lossy crowd = {.flows = 64, .count = 40'000, .one_in = 1000, .two_cpus = true};

TEST_F(Conservation, NeverJoinsTwoPacketsAtOneAddress) {
    RunResult result = run_lossy(crowd);
    EXPECT_GT(result.conservation.dropped["NETFILTER_DROP"], 0);
    for (const Hop &hop : result.hops) {
        EXPECT_NE(hop.name.stage, Stage::unforeseen) << name_of(hop.name.from) << name_of(hop.name.to);
        EXPECT_LE(hop.time.count(), crowd.count);
    }
}

TEST_F(Conservation, WouldJoinThemIfSlotsWereNotCleanedUp) {
    Lossy mistaken = crowd;
    mistaken.mutation = layout::MUTATION_WRONG_JOIN;
    std::uint64_t wrong = 0;
    for (const Hop &hop : run_lossy(mistaken).hops)
        wrong += hop.name.stage == Stage::unforeseen ? hop.time.count() : 0;
    EXPECT_GT(wrong, 1000);
}

} // namespace
} // namespace vethtrace::test
