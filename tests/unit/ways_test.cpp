// SPDX-License-Identifier: GPL-2.0-only
#include "core/ways.hpp"

#include <gtest/gtest.h>
#include <set>

namespace vethtrace {
namespace {

std::vector<std::string> station_names(Mode mode, Topology topology = Topology::wire) {
    std::vector<std::string> names;
    Way way = *Way::of(mode, topology);
    for (const Step &step : way.steps())
        names.push_back(name_of(step.station));
    return names;
}

std::vector<std::string> stage_names(Mode mode, Direction direction) {
    std::vector<std::string> names;
    for (const HopName &hop : Way::of(mode, Topology::wire)->hops())
        if (hop.direction == direction && hop.every_message)
            names.emplace_back(name_of(hop.stage));
    return names;
}

TEST(WayOfVeth, PassesThePairTheHostAndTheWire) {
    EXPECT_EQ(station_names(Mode::veth),
              (std::vector<std::string>{
                  "app_send@client",   "queue@container", "xmit@container", "netif_rx@host",      "receive@host",
                  "queue@uplink",      "xmit@uplink",     "netif_rx@peer",  "receive@peer",       "data_ready@server",
                  "app_recv@server",   "app_send@server", "queue@peer",     "xmit@peer",          "netif_rx@uplink",
                  "receive@uplink",    "queue@host",      "xmit@host",      "netif_rx@container", "receive@container",
                  "data_ready@client", "app_recv@client"}));
}

TEST(WayOfVethGro, GoesRoundTheBacklogOfThePair) {
    EXPECT_EQ(station_names(Mode::veth_gro),
              (std::vector<std::string>{
                  "app_send@client",   "queue@container", "xmit@container", "gro@host",      "receive@host",
                  "queue@uplink",      "xmit@uplink",     "netif_rx@peer",  "receive@peer",  "data_ready@server",
                  "app_recv@server",   "app_send@server", "queue@peer",     "xmit@peer",     "netif_rx@uplink",
                  "receive@uplink",    "queue@host",      "xmit@host",      "gro@container", "receive@container",
                  "data_ready@client", "app_recv@client"}));
    std::vector<std::string> stages = stage_names(Mode::veth_gro, Direction::request);
    EXPECT_EQ(stages[2], "backlog");
    EXPECT_EQ(stages[3], "gro");
}

TEST(WayOfNetkit, IsThatOfVethWithDevicesOfItsOwn) {
    for (Topology topology : {Topology::wire, Topology::local})
        EXPECT_EQ(station_names(Mode::netkit, topology), station_names(Mode::veth, topology));
    Way way = *Way::of(Mode::netkit, Topology::wire);
    EXPECT_EQ(way.kind_of(layout::ROLE_CONTAINER), DeviceKind::netkit);
    EXPECT_EQ(way.kind_of(layout::ROLE_HOST), DeviceKind::netkit);
    EXPECT_EQ(way.kind_of(layout::ROLE_UPLINK), DeviceKind::veth);
}

TEST(WayOfBridge, SeesTheBridgeReceiveAndTransmitOnceMore) {
    EXPECT_EQ(
        station_names(Mode::bridge),
        (std::vector<std::string>{
            "app_send@client",   "queue@container",    "xmit@container",    "netif_rx@host",     "receive@host",
            "receive@bridge",    "queue@uplink",       "xmit@uplink",       "netif_rx@peer",     "receive@peer",
            "data_ready@server", "app_recv@server",    "app_send@server",   "queue@peer",        "xmit@peer",
            "netif_rx@uplink",   "receive@uplink",     "queue@bridge",      "xmit@bridge",       "queue@host",
            "xmit@host",         "netif_rx@container", "receive@container", "data_ready@client", "app_recv@client"}));
    EXPECT_EQ(stage_names(Mode::bridge, Direction::request)[4], "bridge");
    Way way = *Way::of(Mode::bridge, Topology::wire);
    EXPECT_EQ(way.kind_of(layout::ROLE_BRIDGE), DeviceKind::bridge);
    EXPECT_EQ(way.kind_of(layout::ROLE_HOST), DeviceKind::veth);
}

TEST(WayOfNat, IsThatOfBridge) {
    for (Topology topology : {Topology::wire, Topology::local})
        EXPECT_EQ(station_names(Mode::nat, topology), station_names(Mode::bridge, topology));
}

TEST(WayOfBridge, IsSwitchedBetweenTwoContainers) {
    std::vector<std::string> names = station_names(Mode::bridge, Topology::local);
    EXPECT_EQ(std::count(names.begin(), names.end(), "receive@bridge"), 0);
    EXPECT_EQ(names[5], "queue@host2");
}

TEST(WayOfMacvlan, HandsThePacketToTheUplinkAndSeesNoSecondReceive) {
    EXPECT_EQ(station_names(Mode::macvlan),
              (std::vector<std::string>{"app_send@client", "queue@container", "xmit@container", "queue@uplink",
                                        "xmit@uplink", "netif_rx@peer", "receive@peer", "data_ready@server",
                                        "app_recv@server", "app_send@server", "queue@peer", "xmit@peer",
                                        "netif_rx@uplink", "receive@uplink", "data_ready@client", "app_recv@client"}));
    EXPECT_EQ(station_names(Mode::ipvlan), station_names(Mode::macvlan));
    EXPECT_EQ(station_names(Mode::ipvlan_l3), station_names(Mode::macvlan));
}

TEST(WayOfHost, BeginsAtTheUplink) {
    EXPECT_EQ(
        station_names(Mode::host),
        (std::vector<std::string>{"app_send@client", "queue@uplink", "xmit@uplink", "netif_rx@peer", "receive@peer",
                                  "data_ready@server", "app_recv@server", "app_send@server", "queue@peer", "xmit@peer",
                                  "netif_rx@uplink", "receive@uplink", "data_ready@client", "app_recv@client"}));
}

TEST(WayOfVethLocal, PassesBothPairsAndNoWire) {
    EXPECT_EQ(station_names(Mode::veth, Topology::local),
              (std::vector<std::string>{
                  "app_send@client",   "queue@container", "xmit@container", "netif_rx@host",      "receive@host",
                  "queue@host2",       "xmit@host2",      "netif_rx@peer",  "receive@peer",       "data_ready@server",
                  "app_recv@server",   "app_send@server", "queue@peer",     "xmit@peer",          "netif_rx@host2",
                  "receive@host2",     "queue@host",      "xmit@host",      "netif_rx@container", "receive@container",
                  "data_ready@client", "app_recv@client"}));
}

TEST(WayOfIpvlanLocal, GoesThroughTheBacklogOfTheReceiver) {
    std::vector<std::string> expected = {
        "app_send@client",    "queue@container",   "xmit@container",    "netif_rx@peer",  "receive@peer",
        "data_ready@server",  "app_recv@server",   "app_send@server",   "queue@peer",     "xmit@peer",
        "netif_rx@container", "receive@container", "data_ready@client", "app_recv@client"};
    EXPECT_EQ(station_names(Mode::ipvlan, Topology::local), expected);
    EXPECT_EQ(station_names(Mode::ipvlan_l3, Topology::local), expected);
}

TEST(WayOfMacvlanLocal, PassesTheParentsBacklogInBothDirections) {
    EXPECT_EQ(station_names(Mode::macvlan, Topology::local),
              (std::vector<std::string>{"app_send@client", "queue@container", "xmit@container", "netif_rx@uplink",
                                        "receive@uplink", "data_ready@server", "app_recv@server", "app_send@server",
                                        "queue@peer", "xmit@peer", "netif_rx@uplink", "receive@uplink",
                                        "data_ready@client", "app_recv@client"}));
    Way way = *Way::of(Mode::macvlan, Topology::local);
    EXPECT_EQ(way.last(layout::END_CLIENT), way.last(layout::END_SERVER));
    EXPECT_EQ(way.kind_of(layout::ROLE_PEER), DeviceKind::macvlan);
}

TEST(WayOfHostLocal, DoesNotExist) {
    Result<Way> way = Way::of(Mode::host, Topology::local);
    ASSERT_FALSE(way);
    EXPECT_NE(way.error().reason.find("between two containers"), std::string::npos);
}

TEST(Hops, CarryTheStageOfTheirEnd) {
    EXPECT_EQ(stage_names(Mode::veth, Direction::request),
              (std::vector<std::string>{"socket_tx", "qdisc", "device_xmit", "backlog", "host_forward", "uplink_qdisc",
                                        "wire", "backlog", "stack_rx", "wakeup"}));
    EXPECT_EQ(stage_names(Mode::veth, Direction::response),
              (std::vector<std::string>{"application", "socket_tx", "peer_qdisc", "wire", "backlog", "host_forward",
                                        "qdisc", "device_xmit", "backlog", "stack_rx", "wakeup"}));
}

TEST(Hops, LeaveRoomForMessagesOfSeveralSegments) {
    int segments = 0;
    for (const HopName &hop : Way::of(Mode::veth, Topology::wire)->hops())
        if (hop.stage == Stage::segments) {
            EXPECT_FALSE(hop.every_message);
            EXPECT_EQ(hop.from, hop.to);
            ++segments;
        }
    EXPECT_EQ(segments, 2);
}

class EveryMode : public testing::TestWithParam<Mode> {};

TEST_P(EveryMode, IsAChainThatNamesNoStationTwice) {
    Way way = *Way::of(GetParam(), Topology::wire);
    std::set<std::uint32_t> seen;
    for (const Step &step : way.steps())
        EXPECT_TRUE(seen.insert(step.station.id).second) << name_of(step.station);
    Station last = way.steps().front().station;
    for (const HopName &hop : way.hops()) {
        EXPECT_EQ(hop.from, last) << name_of(hop.from);
        last = hop.to;
    }
    EXPECT_EQ(name_of(way.steps().front().station), "app_send@client");
    EXPECT_EQ(name_of(last), "app_recv@client");
}

TEST_P(EveryMode, EntersAtAQueueAndEndsAtAReceive) {
    Way way = *Way::of(GetParam(), Topology::wire);
    for (layout::end sender : {layout::END_CLIENT, layout::END_SERVER}) {
        EXPECT_EQ(point_of(way.entry(sender)), layout::POINT_QUEUE);
        EXPECT_EQ(point_of(way.last(sender)), layout::POINT_RECEIVE);
    }
    EXPECT_EQ(name_of(way.last(layout::END_CLIENT)), "receive@peer");
    EXPECT_EQ(name_of(way.entry(layout::END_SERVER)), "queue@peer");
}

TEST_P(EveryMode, HasARowWithNameAndKernelOption) {
    const ModeRow &row = row_of(GetParam());
    EXPECT_EQ(row.mode, GetParam());
    EXPECT_FALSE(row.name.empty());
    EXPECT_EQ(row.kernel_option.substr(0, 7), "CONFIG_");
}

std::vector<Mode> every_mode() {
    std::vector<Mode> modes;
    for (const ModeRow &row : all_modes())
        modes.push_back(row.mode);
    return modes;
}

INSTANTIATE_TEST_SUITE_P(Ways, EveryMode, testing::ValuesIn(every_mode()));

TEST(Stations, HaveNamesThatTellPointAndPlace) {
    EXPECT_EQ(name_of(at(layout::POINT_NETIF_RX, layout::ROLE_UPLINK)), "netif_rx@uplink");
    EXPECT_EQ(name_of(at(layout::MOMENT_TCP_RCV, layout::END_SERVER)), "tcp_rcv@server");
    EXPECT_TRUE(is_at_device(at(layout::POINT_QUEUE, layout::ROLE_HOST2)));
    EXPECT_FALSE(is_at_device(at(layout::MOMENT_APP_SEND, layout::END_CLIENT)));
}

TEST(Stations, FitTheKernelsTable) {
    std::uint32_t highest = at(layout::MOMENT_TCP_RCV, layout::END_CONTAINER).id;
    EXPECT_LT(highest, static_cast<std::uint32_t>(layout::STATIONS));
    EXPECT_EQ(highest + 1, static_cast<std::uint32_t>(layout::STATIONS_USED));
}

TEST(Stages, AreFoundByTheirNames) {
    EXPECT_EQ(stage_named("host_forward"), Stage::host_forward);
    EXPECT_EQ(stage_named("unforeseen"), Stage::unforeseen);
    EXPECT_EQ(stage_named("teleport"), std::nullopt);
}

TEST(WayWithTcpProbe, HasTheOtherStationInItsPlace) {
    Way way = *Way::of(Mode::veth, Topology::wire);
    Station data_ready = at(layout::MOMENT_DATA_READY, layout::END_SERVER);
    Station tcp_rcv = at(layout::MOMENT_TCP_RCV, layout::END_SERVER);
    way.replace(data_ready, tcp_rcv);
    EXPECT_TRUE(way.passes(tcp_rcv));
    EXPECT_FALSE(way.passes(data_ready));
}

} // namespace
} // namespace vethtrace
