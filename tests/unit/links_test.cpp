// SPDX-License-Identifier: GPL-2.0-only
#include "watch/links.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace layout;

Interface interface(int ifindex, std::string kind, int link = 0, int link_netns = -1, int master = 0) {
    Interface one;
    one.ifindex = ifindex;
    one.name = "eth0";
    one.kind = std::move(kind);
    one.link = link;
    one.link_netns = link_netns;
    one.master = master;
    one.is_up = true;
    return one;
}

constexpr std::uint32_t host = 1;
constexpr std::uint32_t web = 2;
constexpr std::uint32_t db = 3;

// The number of an interface is the same in most containers; that of a namespace is its own affair of each other one.
TEST(Links, TwoEndsAreAPairOnlyIfTheirNamespacesProveIt) {
    NetnsLinks inside{web, {interface(2, "veth", 7, 0)}, {}};
    const Interface &eth0 = inside.interfaces.front();
    struct Case {
        const char *what;
        NetnsLinks outside;
        std::map<int, std::uint32_t> from_inside;
        bool confirmed;
        bool likely;
    };
    const std::vector<Case> cases = {
        {"the host knows the namespace", {host, {interface(7, "veth", 2, 4)}, {{4, web}}}, {}, true, true},
        {"both know", {host, {interface(7, "veth", 2, 4)}, {{4, web}}}, {{0, host}}, true, true},
        {"the host's end is another's", {host, {interface(7, "veth", 2, 4)}, {{4, db}}}, {{0, host}}, false, false},
        {"the inner end leads elsewhere", {host, {interface(7, "veth", 2, 4)}, {{4, web}}}, {{0, db}}, false, false},
        {"nobody knows", {host, {interface(7, "veth", 2, 4)}, {}}, {}, false, false},
        {"only the inner one knows", {host, {interface(7, "veth", 2, 4)}, {}}, {{0, host}}, false, true},
        {"both ends in the host", {host, {interface(7, "veth", 2, -1)}, {}}, {}, false, false},
        {"another interface", {host, {interface(8, "veth", 2, 4)}, {{4, web}}}, {}, false, false},
        {"that leads to another interface", {host, {interface(7, "veth", 3, 4)}, {{4, web}}}, {}, false, false},
        {"of another kind", {host, {interface(7, "netkit", 2, 4)}, {{4, web}}}, {}, false, false},
    };
    for (const Case &one : cases) {
        inside.lead_to = one.from_inside;
        EXPECT_EQ(other_end(inside, eth0, one.outside, true) != nullptr, one.confirmed) << one.what;
        EXPECT_EQ(other_end(inside, eth0, one.outside, false) != nullptr, one.confirmed || one.likely) << one.what;
    }
}

TEST(Links, EndOnlyWhereNothingIsBeyond) {
    for (const char *kind : {"", "tun", "dummy", "nlmon"})
        EXPECT_TRUE(is_end(interface(2, kind))) << kind;
    for (const char *kind : {"ifb", "vxlan", "wireguard", "openvswitch", "bond", "hsr", "a-kind-of-next-year"})
        EXPECT_FALSE(is_end(interface(2, kind))) << kind;
}

TEST(Links, HaveRolesByTheirKind) {
    EXPECT_EQ(role_of_kind(interface(2, "ifb")), ROLE_IFB);
    for (const char *kind : {"vxlan", "geneve", "gretap", "ipip", "sit", "ip6tnl", "wireguard"})
        EXPECT_EQ(role_of_kind(interface(2, kind)), ROLE_TUNNEL) << kind;
    EXPECT_EQ(role_of_kind(interface(2, "bridge")), ROLE_BRIDGE);
    EXPECT_EQ(role_of_kind(interface(2, "openvswitch")), ROLE_BRIDGE);
    EXPECT_EQ(role_of_kind(interface(2, "veth", 3, 0)), ROLE_HOST2);
    EXPECT_EQ(role_of_kind(interface(2, "veth", 3, -1)), ROLE_ELSEWHERE) << "both ends are here";
    EXPECT_EQ(role_of_kind(interface(2, "vlan", 3)), ROLE_ELSEWHERE);
}

TEST(Links, SayWhatCannotBeSeenOfThem) {
    auto flows = [](const Unseen &unseen) {
        std::string text;
        for (const UnseenStage &stage : unseen.stages)
            text += std::string(name_of(stage.flow)) + " " + std::string(name_of(stage.stage)) + ", ";
        return text;
    };
    Unseen tap = unseen_at(interface(2, "tun"), LeadsTo::own_namespace);
    EXPECT_TRUE(tap.is_entry);
    EXPECT_EQ(flows(tap), "out device_xmit, in device_xmit, ");
    EXPECT_NE(tap.stages.front().why.find("eth0 is fed by a process"), std::string::npos);
    EXPECT_TRUE(unseen_at(interface(2, ""), LeadsTo::own_namespace).is_entry);
    Unseen pair = unseen_at(interface(2, "veth", 7, 0), LeadsTo::unknown);
    EXPECT_TRUE(pair.is_entry);
    EXPECT_EQ(flows(pair), "in qdisc, in device_xmit, ");
    EXPECT_EQ(pair.stages.front().why,
              "the other end of eth0 is in a network namespace that no process or name leads to");
    Unseen child = unseen_at(interface(2, "macvlan", 7, 0), LeadsTo::unknown);
    EXPECT_TRUE(child.is_entry);
    EXPECT_EQ(flows(child), "in stack_rx, ");
    for (const char *kind : {"veth", "macvlan", "vxlan", "bridge"}) {
        Unseen seen = unseen_at(interface(2, kind, 7, 0), LeadsTo::watched);
        EXPECT_FALSE(seen.is_entry) << kind;
        EXPECT_TRUE(seen.stages.empty()) << kind;
    }
}

Target target(std::uint32_t netns, std::vector<WatchedDevice> devices) {
    Target one;
    one.netns = netns;
    one.devices = std::move(devices);
    return one;
}

TEST(Links, OfAContainerInAContainerAreTheInnerOnes) {
    // `node` runs `pod`; their pair is pod's eth0 and node's v1.
    const std::uint32_t node = 5;
    const std::uint32_t pod = 6;
    std::vector<Target> both = {target(node, {{node, 2, "eth0", ROLE_CONTAINER},
                                              {host, 9, "v", ROLE_HOST},
                                              {node, 3, "v1", ROLE_CONTAINER},
                                              {pod, 2, "eth0", ROLE_HOST}}),
                                target(pod, {{pod, 2, "eth0", ROLE_CONTAINER}, {node, 3, "v1", ROLE_HOST}})};
    settle_claims(both);
    EXPECT_EQ(both[0].devices,
              (std::vector<WatchedDevice>{{node, 2, "eth0", ROLE_CONTAINER}, {host, 9, "v", ROLE_HOST}}));
    EXPECT_EQ(both[1].devices,
              (std::vector<WatchedDevice>{{pod, 2, "eth0", ROLE_CONTAINER}, {node, 3, "v1", ROLE_HOST}}));
}

TEST(Links, BetweenTwoEqualTargetsBelongToEach) {
    std::vector<Target> both = {target(web, {{web, 2, "eth0", ROLE_CONTAINER}, {db, 2, "eth0", ROLE_HOST}}),
                                target(db, {{db, 2, "eth0", ROLE_CONTAINER}, {web, 2, "eth0", ROLE_HOST}})};
    settle_claims(both);
    for (const Target &one : both) {
        ASSERT_EQ(one.devices.size(), 1);
        EXPECT_EQ(one.devices.front().netns, one.netns);
    }
}

// What the kernel does between two stations, for devices that the lab does not have.
TEST(Links, HaveStagesOfTheirKind) {
    struct Case {
        Station from;
        Station to;
        Stage plain;
        Stage bridged;
    };
    const std::vector<Case> cases = {
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_QUEUE, ROLE_HOST2), Stage::host_forward, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_HOST2), at(POINT_QUEUE, ROLE_HOST), Stage::host_forward, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_UPLINK), at(POINT_QUEUE, ROLE_HOST), Stage::host_forward, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_BRIDGE), at(POINT_QUEUE, ROLE_HOST), Stage::host_forward, Stage::host_forward},
        {at(POINT_RECEIVE, ROLE_BRIDGE), at(POINT_QUEUE, ROLE_BRIDGE), Stage::host_forward, Stage::host_forward},
        {at(POINT_QUEUE, ROLE_HOST2), at(POINT_XMIT, ROLE_HOST2), Stage::peer_qdisc, Stage::peer_qdisc},
        // tunnels
        {at(POINT_QUEUE, ROLE_TUNNEL), at(POINT_XMIT, ROLE_TUNNEL), Stage::qdisc, Stage::qdisc},
        {at(POINT_XMIT, ROLE_TUNNEL), at(POINT_QUEUE, ROLE_UPLINK), Stage::encap, Stage::encap},
        {at(POINT_RECEIVE, ROLE_BRIDGE), at(POINT_QUEUE, ROLE_TUNNEL), Stage::host_forward, Stage::host_forward},
        {at(POINT_RECEIVE, ROLE_UPLINK), at(POINT_GRO, ROLE_TUNNEL), Stage::decap, Stage::decap},
        {at(POINT_RECEIVE, ROLE_UPLINK), at(POINT_RECEIVE, ROLE_TUNNEL), Stage::decap, Stage::decap},
        {at(POINT_RECEIVE, ROLE_UPLINK), at(POINT_NETIF_RX, ROLE_TUNNEL), Stage::decap, Stage::decap},
        {at(POINT_NETIF_RX, ROLE_UPLINK), at(POINT_RECEIVE, ROLE_TUNNEL), Stage::decap, Stage::decap},
        {at(POINT_NETIF_RX, ROLE_TUNNEL), at(POINT_RECEIVE, ROLE_TUNNEL), Stage::backlog, Stage::backlog},
        {at(POINT_GRO, ROLE_TUNNEL), at(POINT_RECEIVE, ROLE_TUNNEL), Stage::gro, Stage::gro},
        // ifb
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_QUEUE, ROLE_IFB), Stage::host_forward, Stage::host_forward},
        {at(POINT_QUEUE, ROLE_IFB), at(POINT_XMIT, ROLE_IFB), Stage::qdisc, Stage::qdisc},
        {at(POINT_XMIT, ROLE_IFB), at(POINT_RECEIVE, ROLE_HOST), Stage::backlog, Stage::backlog},
        {at(POINT_XMIT, ROLE_IFB), at(POINT_QUEUE, ROLE_UPLINK), Stage::backlog, Stage::backlog},
        // Open vSwitch: a port of the datapath that is a device of its own
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_NETIF_RX, ROLE_BRIDGE), Stage::bridge, Stage::bridge},
        {at(POINT_XMIT, ROLE_BRIDGE), at(POINT_QUEUE, ROLE_HOST), Stage::bridge, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_UPLINK), at(POINT_NETIF_RX, ROLE_CONTAINER), Stage::unforeseen, Stage::bridge},
        // vlan, bond
        {at(POINT_XMIT, ROLE_ELSEWHERE), at(POINT_QUEUE, ROLE_UPLINK), Stage::device_xmit, Stage::device_xmit},
    };
    for (const Case &one : cases) {
        EXPECT_EQ(stage_of_hop(one.from, one.to, false), one.plain) << name_of(one.from) << " " << name_of(one.to);
        EXPECT_EQ(stage_of_hop(one.from, one.to, true), one.bridged) << name_of(one.from) << " " << name_of(one.to);
    }
}

} // namespace
} // namespace vethtrace
