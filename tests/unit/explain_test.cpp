// SPDX-License-Identifier: GPL-2.0-only
#include "core/explain.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "support/schema.hpp"
#include "unit/sample.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

// A kernel that has these functions, each under its own name.
KernelNames kernel_with(std::initializer_list<const char *> functions) {
    KernelNames names;
    for (const char *function : functions)
        names.symbols[function] = {function, ""};
    return names;
}

const ExplainedStep &step_to(const Explanation &walk, const std::string &station) {
    auto found = std::find_if(walk.steps.begin(), walk.steps.end(),
                              [&](const ExplainedStep &step) { return name_of(step.passage.hop.to) == station; });
    if (found == walk.steps.end())
        throw std::out_of_range(station);
    return *found;
}

std::vector<std::string> called(const ExplainedStep &step) {
    std::vector<std::string> names;
    for (const NamedCall &call : step.calls)
        names.push_back(call.symbol ? call.symbol->symbol : call.function + " in " + call.inlined_into);
    return names;
}

Explanation explain_mode(Mode mode, const KernelNames &names, const RunResult *run = nullptr) {
    return explain(*Way::of(mode, Topology::wire), names, run);
}

TEST(Walk, HasAStepForEveryHopOfEveryMode) {
    for (const ModeRow &row : all_modes()) {
        for (Topology topology : {Topology::wire, Topology::local}) {
            Result<Way> way = Way::of(row.mode, topology);
            if (!way)
                continue;
            std::vector<Passage> walk = walk_of(*way);
            EXPECT_EQ(walk.size(), way->steps().size() - 1) << row.name;
            for (const Passage &passage : walk) {
                EXPECT_FALSE(passage.what.empty()) << row.name;
                EXPECT_FALSE(passage.context.empty()) << row.name;
                EXPECT_FALSE(passage.netns.empty()) << row.name;
                bool in_kernel = passage.hop.stage != Stage::application;
                EXPECT_EQ(!passage.calls.empty(), in_kernel) << row.name << " to " << name_of(passage.hop.to);
            }
        }
    }
}

TEST(Walk, BeginsInTheSendersProcessAndGoesOnInSoftirqs) {
    std::vector<Passage> walk = walk_of(*Way::of(Mode::veth, Topology::wire));
    auto context = [&](std::size_t number) { return walk.at(number - 1).context.substr(0, 7); };
    for (std::size_t number : {1, 2, 3, 12, 13, 14})
        EXPECT_EQ(context(number), "process") << number;
    for (std::size_t number : {4, 5, 6, 7, 8, 9, 15, 16, 19, 20})
        EXPECT_EQ(context(number), "softirq") << number;
}

TEST(Walk, PassesTheHostsNetfilterWhereTheHostRoutes) {
    auto text = [](Mode mode) { return netfilter_text(walk_of(*Way::of(mode, Topology::wire))); };
    for (Mode mode : {Mode::veth, Mode::veth_gro, Mode::bridge, Mode::nat, Mode::netkit})
        EXPECT_NE(text(mode).find("prerouting, forward, postrouting (request), prerouting, forward, postrouting "
                                  "(response)"),
                  std::string::npos)
            << text(mode);
    for (Mode mode : {Mode::macvlan, Mode::ipvlan})
        EXPECT_NE(text(mode).find("none (request), none (response)"), std::string::npos) << text(mode);
    EXPECT_NE(text(Mode::ipvlan_l3).find("output, postrouting (request), none (response)"), std::string::npos);
}

TEST(Explanation, TakesTheNameThatTheKernelHas) {
    KernelNames newer = kernel_with({"veth_xmit", "__dev_forward_skb", "__netif_rx", "netif_rx", "netif_rx_internal"});
    EXPECT_EQ(called(step_to(explain_mode(Mode::veth, newer), "netif_rx@host")),
              (std::vector<std::string>{"veth_xmit", "veth_forward_skb in veth_xmit", "__dev_forward_skb", "__netif_rx",
                                        "netif_rx_internal"}));
    KernelNames older = kernel_with({"veth_xmit", "__dev_forward_skb", "netif_rx"});
    EXPECT_EQ(called(step_to(explain_mode(Mode::veth, older), "netif_rx@host")),
              (std::vector<std::string>{"veth_xmit", "veth_forward_skb in veth_xmit", "__dev_forward_skb", "netif_rx",
                                        "netif_rx_internal in netif_rx"}));
}

TEST(Explanation, ShowsWhatTheCompilerPutBehindAName) {
    KernelNames names = kernel_with({"process_backlog"});
    names.symbols["__netif_receive_skb_core"] = {"__netif_receive_skb_core.constprop.0", ""};
    EXPECT_EQ(called(step_to(explain_mode(Mode::veth, names), "receive@host")),
              (std::vector<std::string>{"process_backlog", "__netif_receive_skb_core.constprop.0"}));
}

TEST(Explanation, NamesNothingThatTheKernelLacks) {
    Explanation walk = explain_mode(Mode::ipvlan, KernelNames{});
    for (const ExplainedStep &step : walk.steps)
        EXPECT_EQ(called(step), std::vector<std::string>{}) << step.passage.what;
    EXPECT_EQ(walk.missing_modules, (std::vector<std::string>{"veth", "ipvlan"}));
    KernelNames loaded = kernel_with({"veth_xmit", "ipvlan_start_xmit", "ipvlan_queue_xmit"});
    walk = explain_mode(Mode::ipvlan, loaded);
    EXPECT_TRUE(walk.missing_modules.empty());
    EXPECT_EQ(called(step_to(walk, "queue@uplink")),
              (std::vector<std::string>{"ipvlan_start_xmit", "ipvlan_queue_xmit",
                                        "ipvlan_xmit_mode_l2 in ipvlan_queue_xmit"}));
}

TEST(Explanation, ShowsTimesAndSharesOfARun) {
    RunResult run = small_result(); // 20 round trips of 3000 ns; each hop takes 50 ns, a wake-up 1000 ns
    Explanation walk = explain_mode(Mode::veth, KernelNames{}, &run);
    const ExplainedStep &queue = step_to(walk, "xmit@container");
    ASSERT_TRUE(queue.time);
    EXPECT_EQ(queue.time->count, 20);
    EXPECT_DOUBLE_EQ(queue.time->mean_ns, 50);
    EXPECT_DOUBLE_EQ(queue.time->share, 50.0 / 3000);
    EXPECT_DOUBLE_EQ(step_to(walk, "app_recv@client").time->share, 1000.0 / 3000);
    ASSERT_TRUE(walk.measured);
    EXPECT_DOUBLE_EQ(walk.measured->rtt_mean_ns, 3000);
}

TEST(Explanation, FollowsARunThatSawTcpRcvInPlaceOfDataReady) {
    RunResult run = small_result();
    Way way = *Way::of(Mode::veth, Topology::wire);
    for (layout::end end : {layout::END_CLIENT, layout::END_SERVER})
        way.replace(at(layout::MOMENT_DATA_READY, end), at(layout::MOMENT_TCP_RCV, end));
    run.stations.clear();
    run.hops.clear();
    for (const Step &step : way.steps())
        run.stations.push_back({step.station, "tcp_probe tp_btf", {}});
    for (const HopName &name : way.hops()) {
        run.hops.push_back({name, {}});
        run.hops.back().time.add(10);
    }
    Explanation walk = explain_mode(Mode::veth, KernelNames{}, &run);
    EXPECT_TRUE(step_to(walk, "tcp_rcv@server").time);
    EXPECT_TRUE(step_to(walk, "app_recv@server").time);
}

// By hand: the ways of veth and ipvlan are one up to the container's driver, part until the uplink's queue, and part
// once more from where the host has received the answer until TCP has it.
TEST(SideBySide, PartsAndMeetsWhereTheWaysDo) {
    std::vector<Explanation> walks = {explain_mode(Mode::veth, KernelNames{}),
                                      explain_mode(Mode::ipvlan, KernelNames{})};
    std::vector<std::string> rows;
    for (const AlignedRow &row : side_by_side(walks)) {
        auto end = [&](std::size_t walk) {
            return row.steps[walk] ? name_of(walks[walk].steps[*row.steps[walk]].passage.hop.to) : std::string("-");
        };
        rows.push_back(end(0) + " " + end(1));
    }
    EXPECT_EQ(rows, (std::vector<std::string>{"queue@container queue@container",
                                              "xmit@container xmit@container",
                                              "netif_rx@host -",
                                              "receive@host -",
                                              "queue@uplink -",
                                              "- queue@uplink",
                                              "xmit@uplink xmit@uplink",
                                              "netif_rx@peer netif_rx@peer",
                                              "receive@peer receive@peer",
                                              "data_ready@server data_ready@server",
                                              "app_recv@server app_recv@server",
                                              "app_send@server app_send@server",
                                              "queue@peer queue@peer",
                                              "xmit@peer xmit@peer",
                                              "netif_rx@uplink netif_rx@uplink",
                                              "receive@uplink receive@uplink",
                                              "queue@host -",
                                              "xmit@host -",
                                              "netif_rx@container -",
                                              "receive@container -",
                                              "data_ready@client data_ready@client",
                                              "app_recv@client app_recv@client"}));
}

TEST(SideBySide, HasEveryStepOfEveryModeOnceAndInOrder) {
    std::vector<Explanation> walks;
    for (const ModeRow &row : all_modes())
        walks.push_back(explain_mode(row.mode, KernelNames{}));
    std::vector<std::size_t> next(walks.size(), 0);
    for (const AlignedRow &row : side_by_side(walks)) {
        ASSERT_EQ(row.steps.size(), walks.size());
        for (std::size_t i = 0; i < walks.size(); ++i) {
            if (row.steps[i]) {
                EXPECT_EQ(*row.steps[i], next[i]++);
            }
        }
    }
    for (std::size_t i = 0; i < walks.size(); ++i)
        EXPECT_EQ(next[i], walks[i].steps.size());
    EXPECT_TRUE(side_by_side(std::span(walks).first(1)).empty());
}

ExplainResult small_explanation() {
    ExplainResult result;
    RunResult run = small_result();
    run.timelines = {{7, {{at(layout::MOMENT_APP_SEND, layout::END_CLIENT), 0, 1, 42, "rr-client", "process"}}}};
    result.environment = run.environment;
    result.walks = {explain_mode(Mode::veth, kernel_with({"veth_xmit"}), &run),
                    explain_mode(Mode::macvlan, kernel_with({"veth_xmit"}))};
    result.walks[0].netfilter =
        NetfilterCount{100, 105, 103, {{"prerouting", 104, 102}, {"input", 0, 0}, {"forward", 105, 101}}};
    result.side_by_side = side_by_side(result.walks);
    result.warnings = {"a warning"};
    return result;
}

TEST(ExplanationAsJson, FollowsItsSchema) {
    nlohmann::json json = to_json(small_explanation());
    EXPECT_EQ(test::schema_errors("explain-1", json), "");
    EXPECT_EQ(json["walks"][0]["netfilter"]["seen_by_host"]["sent"], 105);
    EXPECT_EQ(json["walks"][0]["netfilter"]["seen_by_host"]["received"], 102);
    json["walks"][0]["steps"][0]["calls"] = {{{"function", "veth_xmit"}}};
    EXPECT_NE(test::schema_errors("explain-1", json), "");
}

TEST(ExplanationAsJson, OfEveryModeFollowsItsSchema) {
    ExplainResult result = small_explanation();
    result.walks.clear();
    for (const ModeRow &row : all_modes())
        result.walks.push_back(explain_mode(row.mode, KernelNames{}));
    result.side_by_side = side_by_side(result.walks);
    EXPECT_EQ(test::schema_errors("explain-1", to_json(result)), "");
}

TEST(ExplanationAsText, ShowsTheWalkTheTimesTheCountsAndThePacket) {
    std::string text = to_text(small_explanation(), TextStyle{});
    for (const char *wanted : {"xmit@container -> netif_rx@host", "50ns", "veth_forward_skb (inlined into veth_xmit)",
                               "saw 105 of 105 packets that the", "rr-client", " part ", " meet ", "! a warning"})
        EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\n" << text;
}

} // namespace
} // namespace vethtrace
