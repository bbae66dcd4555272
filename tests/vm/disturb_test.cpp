// SPDX-License-Identifier: GPL-2.0-only
//
// Ground truth: disturb.sh has put a known delay, load or loss into the lab of a run. It must be found where it was
// put, and nowhere else, against an undisturbed run of the same length in the same machine.
#include "native/native.hpp"
#include "vm/results.hpp"
#include "vm/witness.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>

namespace vethtrace::test {
namespace {

// The result of a run that had to end with `status`, disturbed before its load began.
nlohmann::json disturbed_run(const std::string &name, int status = 0) {
    EXPECT_EQ(vm_file(name + ".status"), std::to_string(status) + "\n") << vm_file(name + ".err");
    EXPECT_EQ(vm_file(name + ".injection"), "");
    std::string sockets = vm_file(name + ".sockets");
    EXPECT_EQ(std::count(sockets.begin(), sockets.end(), '\n'), 1) << "the load was there already: " << sockets;
    nlohmann::json json = vm_json(name + ".json");
    if (json.is_discarded())
        throw std::runtime_error(name + ".json is no JSON");
    EXPECT_EQ(schema_errors("run-1", json), "");
    return json;
}

// Every packet was followed through every hop, and the hops add up. The cost of tracing need not have been measured
// well: it cannot be, where the untraced round trip jumps by more than tracing adds.
void expect_joined(const nlohmann::json &run) {
    double transactions = run["load"]["transactions"];
    EXPECT_EQ(run["conservation"]["entered"], 2 * transactions);
    EXPECT_EQ(run["conservation"]["completed"], 2 * transactions);
    EXPECT_NEAR(run["ledger"]["explained_ratio"], 1, 0.03);
    for (const auto &hop : run["hops"]) {
        if (hop["stage"] == "segments")
            continue;
        EXPECT_EQ(hop["count"], transactions) << hop["from"] << " -> " << hop["to"] << " " << hop["stage"];
    }
}

// A hop in a disturbed run and in the undisturbed one.
struct Moved {
    std::string direction;
    std::string stage;
    std::string text;
    double before = 0;
    double after = 0;

    [[nodiscard]] double by() const { return after - before; }
};

std::vector<Moved> compare(const nlohmann::json &quiet, const nlohmann::json &disturbed) {
    std::vector<Moved> hops;
    EXPECT_EQ(quiet["hops"].size(), disturbed["hops"].size());
    for (std::size_t i = 0; i < std::min(quiet["hops"].size(), disturbed["hops"].size()); ++i) {
        const auto &before = quiet["hops"][i];
        const auto &after = disturbed["hops"][i];
        EXPECT_EQ(before["from"], after["from"]);
        EXPECT_EQ(before["to"], after["to"]);
        if (before["mean_ns"].is_number() && after["mean_ns"].is_number())
            hops.push_back({after["direction"], after["stage"],
                            after["from"].get<std::string>() + " -> " + after["to"].get<std::string>(),
                            before["mean_ns"], after["mean_ns"]});
    }
    constexpr std::size_t least = 20; // of a round trip in mode veth
    EXPECT_GE(hops.size(), least);
    return hops;
}

const Moved &find(const std::vector<Moved> &hops, const std::string &direction, const std::string &stage) {
    for (const Moved &hop : hops)
        if (hop.direction == direction && hop.stage == stage)
            return hop;
    throw std::runtime_error("no hop of stage " + stage + " in the " + direction);
}

using Belongs = std::function<bool(const Moved &)>;

// All hops but those moved by less than `allowed`. Prints what moved most, for the reader of a log.
void expect_nowhere_else(const std::vector<Moved> &hops, double allowed, const Belongs &is_meant) {
    double most = 0;
    for (const Moved &hop : hops) {
        if (is_meant(hop)) {
            std::cout << hop.direction << " " << hop.stage << ", " << hop.text << ": " << hop.before << " ns -> "
                      << hop.after << " ns\n";
            continue;
        }
        EXPECT_LT(std::abs(hop.by()), allowed) << hop.direction << " " << hop.stage << ", " << hop.text;
        most = std::max(most, std::abs(hop.by()));
    }
    std::cout << "all other hops moved by less than " << most << " ns\n";
}

Belongs stage_is(const std::string &stage) {
    return [stage](const Moved &hop) { return hop.stage == stage; };
}

constexpr double part_allowed_elsewhere = 0.1;

// ---- delays

struct Delay {
    const char *run;
    const char *direction;
    const char *stage;
};

std::ostream &operator<<(std::ostream &out, const Delay &delay) {
    return out << delay.run;
}

class Netem : public testing::TestWithParam<Delay> {};

TEST_P(Netem, IsFoundInItsQueueAlone) {
    constexpr double injected = 200'000;
    nlohmann::json quiet = disturbed_run("quiet");
    nlohmann::json delayed = disturbed_run(GetParam().run);
    expect_good(delayed);
    expect_joined(delayed);
    std::vector<Moved> hops = compare(quiet, delayed);
    const Moved &meant = find(hops, GetParam().direction, GetParam().stage);
    EXPECT_NEAR(meant.by(), injected, injected * 0.1);
    expect_nowhere_else(hops, injected * part_allowed_elsewhere,
                        [&](const Moved &hop) { return hop.text == meant.text; });
}

INSTANTIATE_TEST_SUITE_P(Vm, Netem,
                         testing::Values(Delay{"netem.uplink", "request", "uplink_qdisc"},
                                         Delay{"netem.container", "request", "qdisc"},
                                         Delay{"netem.peer", "response", "peer_qdisc"}),
                         [](const auto &delay) { return std::string(delay.param.stage); });

TEST(Rules, AreFoundInForwardingAlone) {
    constexpr double least = 10'000; // a thousand rules of ten instructions each
    nlohmann::json slow = disturbed_run("rules");
    expect_good(slow);
    expect_joined(slow);
    std::vector<Moved> hops = compare(disturbed_run("quiet"), slow);
    double there = find(hops, "request", "host_forward").by();
    double back = find(hops, "response", "host_forward").by();
    EXPECT_GT(there, least);
    EXPECT_NEAR(there, back, there * 0.02);
    expect_nowhere_else(hops, there * part_allowed_elsewhere, stage_is("host_forward"));
}

// ---- a busy CPU

class Spin : public testing::TestWithParam<const char *> {
protected:
    static constexpr std::uint64_t warmup = 4; // of disturb.sh
};

TEST_P(Spin, IsFoundInTheWakeupAloneAndAsLongAsTheSchedulerSays) {
    std::string alone_name = std::string("alone.") + GetParam();
    std::string spin_name = std::string("spin.") + GetParam();
    nlohmann::json alone = disturbed_run(alone_name);
    nlohmann::json spin = disturbed_run(spin_name);
    expect_joined(alone);
    expect_joined(spin);
    std::map<std::string, Mean> before = Witness(vm_results() / (alone_name + ".dat")).runnable_delays(warmup);
    std::map<std::string, Mean> after = Witness(vm_results() / (spin_name + ".dat")).runnable_delays(warmup);
    std::vector<Moved> hops = compare(alone, spin);
    double added = 0;
    for (auto [direction, thread] : {std::pair("request", "rr-server:"), std::pair("response", "rr-client:")}) {
        const Moved &wakeup = find(hops, direction, "wakeup");
        EXPECT_EQ(before[thread].count, alone["load"]["transactions"]);
        EXPECT_EQ(after[thread].count, spin["load"]["transactions"]);
        double delay = after[thread].value() - before[thread].value();
        std::cout << thread << " runnable delay " << before[thread].value() << " ns -> " << after[thread].value()
                  << " ns\n";
        // Not between the two events: what the scheduler does for a third task, and that a thread which was preempted
        // in its send() by the one it woke, returns from it before it receives; with a third task that happens less
        // often.
        EXPECT_NEAR(wakeup.by(), delay, std::max(1000.0, std::abs(delay) * 0.1)) << thread;
        added = std::max(added, delay);
    }
    // A fair scheduler may let the woken thread run at once; then there is nothing to be found.
    constexpr double unavoidable = 500;
    expect_nowhere_else(hops, std::max(unavoidable, added * part_allowed_elsewhere), stage_is("wakeup"));
}

INSTANTIATE_TEST_SUITE_P(Vm, Spin, testing::Values("b", "o"), [](const auto &policy) {
    return std::string(policy.param[0] == 'b' ? "sched_batch" : "sched_other");
});

// ---- a flood

TEST(Flood, LengthensEveryBacklogThatAnotherCpuServes) {
    constexpr double least = 5; // times as long
    nlohmann::json flooded = disturbed_run("steered.flood");
    expect_joined(flooded);
    EXPECT_GT(flooded["conservation"]["not_followed"]["of_other_sockets"], 10'000) << "there was no flood";
    std::vector<Moved> hops = compare(disturbed_run("steered"), flooded);
    double smallest = std::numeric_limits<double>::max();
    int backlogs = 0;
    for (const Moved &hop : hops) {
        if (hop.stage != "backlog")
            continue;
        ++backlogs;
        EXPECT_GE(hop.after, least * hop.before) << hop.text;
        smallest = std::min(smallest, hop.by());
    }
    EXPECT_EQ(backlogs, 4);
    expect_nowhere_else(hops, smallest * part_allowed_elsewhere,
                        [](const Moved &hop) { return hop.stage == "backlog" || hop.stage == "wakeup"; });
}

TEST(Flood, LengthensNoBacklogThatItsSenderDrainsInline) {
    constexpr double most = 1.5;
    nlohmann::json flooded = disturbed_run("flood");
    expect_joined(flooded);
    // How much of it falls between two steps of the load is the scheduler's choice: 4 to 7 packets for a transaction.
    EXPECT_GT(flooded["conservation"]["not_followed"]["of_other_sockets"], flooded["load"]["transactions"])
        << "there was no flood";
    std::vector<Moved> hops = compare(disturbed_run("few"), flooded);
    for (const Moved &hop : hops) {
        if (hop.stage == "backlog") {
            EXPECT_LT(hop.after, most * hop.before) << hop.text;
        }
    }
    // The flood and the load share one CPU, so the load waits for it; more than that is not added.
    double waits = std::max(find(hops, "request", "wakeup").by(), find(hops, "response", "wakeup").by());
    EXPECT_GT(waits, 0);
    expect_nowhere_else(hops, waits * part_allowed_elsewhere, stage_is("wakeup"));
}

// ---- another CPU

TEST(Detour, IsFollowedInTheCloneThatGoesOn) {
    nlohmann::json run = disturbed_run("detour");
    expect_good_hops(run, 2000);
    EXPECT_EQ(run["conservation"]["cloned"], 2000);
    EXPECT_EQ(run["conservation"]["dropped"], (nlohmann::json{{"CONSUMED", 2000}})); // the originals
    EXPECT_EQ(run["conservation"]["entered"], 4000);
    EXPECT_EQ(run["conservation"]["completed"], 4000);
    EXPECT_GT(find(compare(disturbed_run("quiet"), run), "request", "host_forward").by(), 1000) << "through the ifb";
}

TEST(Steering, IsFollowedToTheOtherCpuAndShown) {
    nlohmann::json together = disturbed_run("together");
    nlohmann::json steered = disturbed_run("steered");
    expect_good(steered);
    expect_joined(steered);
    // The load's CPU puts the packet into the other one's backlog; there it stays until the other end is woken.
    for (const auto &hop : steered["hops"]) {
        bool changes = hop["from"] == "netif_rx@host" || hop["from"] == "netif_rx@uplink" || hop["stage"] == "wakeup";
        EXPECT_EQ(hop["other_cpu"], changes ? hop["count"].get<std::uint64_t>() : 0) << hop["from"] << hop["stage"];
    }
    for (const auto &hop : together["hops"])
        EXPECT_EQ(hop["other_cpu"], 0) << hop["from"];
    const auto &here = together["softirq"]["net_rx"];
    const auto &there = steered["softirq"]["net_rx"];
    EXPECT_EQ(here["context"]["inline"], here["runs"]) << here["context"];
    EXPECT_EQ(there["context"]["inline"], 0) << there["context"];
    EXPECT_GE(there["runs"], 2 * steered["load"]["transactions"].get<std::uint64_t>());
}

// ---- loss

class Drops : public testing::TestWithParam<const char *> {
protected:
    std::string name = std::string("drops.") + GetParam();
    nlohmann::json run = disturbed_run(name, 3);
};

// A packet that is dropped is sent again right away, so none that is sent again is dropped: not every hundredth.
TEST_P(Drops, AreCountedWithTheirReasonAsNftCountsThem) {
    std::uint64_t counted = 0;
    std::istringstream words(vm_file(name + ".counter"));
    for (std::string word; words >> word;)
        if (word == "packets")
            words >> counted;

    // nft counts in the whole run, the kernel's tracer too, vethtrace in the traced slices of it.
    auto is_drop = [](const TraceEvent &event) {
        return event.name == "kfree_skb" && event.field("reason: ") == "NETFILTER_DROP";
    };
    auto drops_in = [&](const std::vector<TraceEvent> &events) {
        return static_cast<std::uint64_t>(std::count_if(events.begin(), events.end(), is_drop));
    };
    Witness witness(vm_results() / (name + ".dat"));
    std::uint64_t traced = 0;
    for (const std::vector<TraceEvent> &slice : witness.traced_slices())
        traced += drops_in(slice);
    EXPECT_EQ(drops_in(witness.events()), counted);
    EXPECT_LT(traced, counted);
    EXPECT_EQ(run["conservation"]["dropped"], nlohmann::json({{"NETFILTER_DROP", traced}}));
    double expected = run["load"]["transactions"].get<double>() / 100;
    EXPECT_NEAR(static_cast<double>(traced), expected, expected * 0.1);
    std::cout << "nft dropped " << counted << ", " << traced << " of them in traced slices\n";
}

TEST_P(Drops, BalanceAndMakeTheResultInvalidWithTheReason) {
    const auto &conservation = run["conservation"];
    std::uint64_t dropped = conservation["dropped"]["NETFILTER_DROP"];
    EXPECT_TRUE(conservation["balanced"]);
    EXPECT_EQ(conservation["completed"], conservation["entered"].get<std::uint64_t>() - dropped);
    EXPECT_GE(conservation["not_followed"]["retransmitted"], dropped);
    EXPECT_FALSE(run["valid"]);
    auto says = [&](const std::string &words) {
        return std::any_of(run["warnings"].begin(), run["warnings"].end(), [&](const nlohmann::json &warning) {
            return warning.get<std::string>().find(words) != std::string::npos;
        });
    };
    EXPECT_TRUE(says("of the round trip, not 95 to 105 %")) << run["warnings"];
    EXPECT_TRUE(says("packets were retransmissions")) << run["warnings"];
    EXPECT_TRUE(says(std::to_string(dropped) + " packets were dropped: NETFILTER_DROP")) << run["warnings"];
}

INSTANTIATE_TEST_SUITE_P(Vm, Drops, testing::Values("host", "uplink"), [](const auto &device) {
    return device.param == std::string("host") ? "requests" : "responses";
});

// ---- an independent witness

TEST(IndependentWitness, AgreesOnEveryHop) {
    constexpr std::uint64_t warmup = 200; // the default
    nlohmann::json run = disturbed_run("witness");
    expect_good(run);
    std::map<std::string, Mean> witnessed = Witness(vm_results() / "witness.dat").hops(warmup);
    std::size_t compared = 0;
    for (const auto &hop : run["hops"]) {
        auto found = witnessed.find(hop["from"].get<std::string>() + " -> " + hop["to"].get<std::string>());
        if (found == witnessed.end())
            continue;
        const auto &[name, mean] = *found;
        double own = hop["mean_ns"];
        ++compared;
        EXPECT_EQ(mean.count, hop["count"]) << name;
        EXPECT_NEAR(own, mean.value(), std::max(50.0, mean.value() * 0.02)) << name;
        std::cout << name << ": " << own << " ns, witness " << mean.value() << " ns\n";
    }
    constexpr std::size_t all = 16; // eight in either direction; the rest begins or ends in user space
    EXPECT_EQ(compared, all);
    EXPECT_EQ(witnessed.size(), all);
}

} // namespace
} // namespace vethtrace::test
