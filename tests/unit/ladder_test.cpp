// SPDX-License-Identifier: GPL-2.0-only
#include "core/ladder.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace vethtrace {
namespace {

const Ladder &ladder_named(const std::vector<Ladder> &ladders, const std::string &name) {
    return *std::find_if(ladders.begin(), ladders.end(), [&](const Ladder &ladder) { return ladder.name == name; });
}

std::vector<std::string> rungs_of(const Ladder &ladder) {
    std::vector<std::string> texts;
    for (const Rung &rung : ladder.rungs)
        texts.push_back(rung.text());
    return texts;
}

TEST(Ladders, TryTheFunctionBeforeTheTracepoint) {
    std::vector<Ladder> ladders = ladders_for(*Way::of(Mode::veth, Topology::wire));
    EXPECT_EQ(rungs_of(ladder_named(ladders, "xmit (veth)")),
              (std::vector<std::string>{"veth_xmit fentry", "veth_xmit kprobe", "net_dev_start_xmit tp_btf"}));
}

TEST(Ladders, TryAllFunctionsOfIpvlanThatACompilerMayInline) {
    std::vector<Ladder> ladders = all_ladders();
    EXPECT_EQ(
        rungs_of(ladder_named(ladders, "xmit (ipvlan)")),
        (std::vector<std::string>{"ipvlan_xmit_mode_l2 fentry", "ipvlan_xmit_mode_l2 kprobe",
                                  "ipvlan_queue_xmit fentry", "ipvlan_queue_xmit kprobe", "ipvlan_start_xmit fentry",
                                  "ipvlan_start_xmit kprobe", "net_dev_start_xmit tp_btf"}));
    EXPECT_EQ(rungs_of(ladder_named(ladders, "xmit (ipvlan-l3)")).front(), "ipvlan_xmit_mode_l3 fentry");
}

TEST(Ladders, HookNetifRxByItsFunctionsOnlyWithoutTheTracepoint) {
    EXPECT_EQ(
        rungs_of(ladder_named(all_ladders(), "netif_rx")),
        (std::vector<std::string>{"netif_rx tp_btf", "netif_rx_internal fentry", "netif_rx_internal kprobe",
                                  "__netif_rx fentry", "__netif_rx kprobe", "netif_rx fentry", "netif_rx kprobe"}));
}

TEST(Ladders, EndDataReadyWithTcpProbe) {
    std::vector<Ladder> ladders = ladders_for(*Way::of(Mode::host, Topology::wire));
    EXPECT_EQ(rungs_of(ladder_named(ladders, "data_ready")),
              (std::vector<std::string>{"sk_data_ready tp_btf", "sock_def_readable fentry", "sock_def_readable kprobe",
                                        "tcp_probe tp_btf"}));
}

TEST(Ladders, CoverEveryStationOfEveryMode) {
    for (const ModeRow &row : all_modes()) {
        for (Topology topology : {Topology::wire, Topology::local}) {
            Result<Way> way = Way::of(row.mode, topology);
            if (!way)
                continue;
            std::vector<Ladder> ladders = ladders_for(*way);
            for (const Step &step : way->steps()) {
                std::optional<std::string> name = ladder_name(*way, step.station);
                if (!name)
                    continue;
                EXPECT_TRUE(std::any_of(ladders.begin(), ladders.end(),
                                        [&](const Ladder &ladder) { return ladder.name == *name; }))
                    << row.name << " " << name_of(step.station);
            }
        }
    }
}

TEST(Ladders, AreListedOnceForAllModes) {
    std::vector<Ladder> ladders = all_ladders();
    for (const Ladder &ladder : ladders)
        EXPECT_EQ(std::count_if(ladders.begin(), ladders.end(),
                                [&](const Ladder &other) { return other.name == ladder.name; }),
                  1)
            << ladder.name;
}

TEST(LadderOfAStation, IsThatOfItsDevicesKind) {
    Way way = *Way::of(Mode::macvlan, Topology::wire);
    EXPECT_EQ(ladder_name(way, at(layout::POINT_XMIT, layout::ROLE_CONTAINER)), "xmit (macvlan)");
    EXPECT_EQ(ladder_name(way, at(layout::POINT_XMIT, layout::ROLE_UPLINK)), "xmit (veth)");
    EXPECT_EQ(ladder_name(way, at(layout::MOMENT_APP_SEND, layout::END_CLIENT)), std::nullopt);
}

const Rung fentry{HookKind::fentry, "veth_xmit", "veth_xmit_fentry"};
const Rung tracepoint{HookKind::tracepoint, "netif_rx", "netif_rx"};

TEST(DeniedTest, CoversAKindOrOneTarget) {
    Denied kind = *Denied::parse({"fentry"});
    EXPECT_TRUE(kind.covers(fentry));
    EXPECT_FALSE(kind.covers(tracepoint));
    Denied target = *Denied::parse({"tracepoint:netif_rx"});
    EXPECT_TRUE(target.covers(tracepoint));
    EXPECT_FALSE(target.covers({HookKind::tracepoint, "net_dev_queue", ""}));
    EXPECT_FALSE(Denied().covers(fentry));
}

TEST(DeniedTest, RefusesUnknownKindsAndNamesTheKnown) {
    Result<Denied> denied = Denied::parse({"uprobe"});
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().exit, Exit::usage);
    EXPECT_NE(denied.error().hint.find("fentry, kprobe, tracepoint"), std::string::npos);
}

} // namespace
} // namespace vethtrace
