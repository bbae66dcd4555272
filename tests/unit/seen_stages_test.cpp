// SPDX-License-Identifier: GPL-2.0-only
#include "watch/seen_stages.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace layout;
using Gap = SeenStages::Gap;

constexpr SeenStages::Path out{1, Flow::out};
constexpr SeenStages::Path in{1, Flow::in};
const Station sent = at(POINT_XMIT, ROLE_CONTAINER);
const Station queued = at(POINT_NETIF_RX, ROLE_HOST);
const Station received = at(POINT_RECEIVE, ROLE_HOST);
const Station bridge = at(POINT_QUEUE, ROLE_BRIDGE);

bool is_routed(std::uint32_t) {
    return false;
}

TEST(SeenStages, AreAllThereWhereNothingIsLost) {
    SeenStages seen;
    seen.passed(out, sent, queued, Stage::device_xmit, 1000);
    seen.to_sockets(in, {.packets = 500, .bytes = 500, .packets_seen = 500, .bytes_seen = 500});
    EXPECT_TRUE(seen.gaps(is_routed, true).empty());
}

TEST(SeenStages, MissWhatOneInAHundredDidNotPass) {
    SeenStages seen;
    seen.passed(out, sent, queued, Stage::device_xmit, 980);
    seen.lost(out, sent, 20);
    std::vector<Gap> gaps = seen.gaps(is_routed, false);
    ASSERT_EQ(gaps.size(), 1);
    EXPECT_EQ(gaps[0].stage, Stage::device_xmit);
    EXPECT_EQ(gaps[0].promised, 1000);
    EXPECT_EQ(gaps[0].seen, 980);
    EXPECT_EQ(gaps[0].why, "the others were not seen again after xmit@container");
    EXPECT_TRUE(seen.gaps(is_routed, true).empty()) << "a gap is told once";
}

TEST(SeenStages, AreSeenIfOneInAHundredIsLost) {
    SeenStages seen;
    seen.passed(out, sent, queued, Stage::device_xmit, 990);
    seen.lost(out, sent, 10);
    EXPECT_TRUE(seen.gaps(is_routed, true).empty());
}

TEST(SeenStages, AreNamedAfterWhatMostPacketsPassed) {
    SeenStages seen;
    seen.passed(out, received, bridge, Stage::bridge, 60);
    seen.passed(out, received, at(POINT_QUEUE, ROLE_UPLINK), Stage::host_forward, 20);
    seen.lost(out, received, 20);
    std::vector<Gap> gaps = seen.gaps(is_routed, false);
    ASSERT_EQ(gaps.size(), 1);
    EXPECT_EQ(gaps[0].stage, Stage::bridge);
    EXPECT_EQ(gaps[0].seen, 80);
}

TEST(SeenStages, AreNamedAfterTheirStationWhereNoPacketPassed) {
    SeenStages seen;
    seen.lost(out, queued, 5);
    seen.lost(out, at(POINT_QUEUE, ROLE_UPLINK), 5);
    seen.lost(in, at(POINT_RECEIVE, ROLE_TUNNEL), 5);
    std::vector<Gap> gaps = seen.gaps(is_routed, false);
    ASSERT_EQ(gaps.size(), 3);
    EXPECT_EQ(gaps[0].stage, Stage::backlog);
    EXPECT_EQ(gaps[1].stage, Stage::uplink_qdisc);
    EXPECT_EQ(gaps[2].stage, Stage::host_forward);
}

// A packet that is between two stations when a window ends is not lost; that it is shows later.
TEST(SeenStages, WaitUntilThereIsEnoughToTell) {
    SeenStages seen;
    seen.to_sockets(in, {.packets = 3, .bytes = 3, .packets_seen = 1, .bytes_seen = 1});
    EXPECT_TRUE(seen.gaps(is_routed, false).empty());
    seen.to_sockets(in, {.packets = 3, .bytes = 3, .packets_seen = 1, .bytes_seen = 1});
    std::vector<Gap> gaps = seen.gaps(is_routed, false);
    ASSERT_EQ(gaps.size(), 1) << "four of six";
    EXPECT_EQ(gaps[0].promised, 6);
    EXPECT_EQ(gaps[0].seen, 2);
    EXPECT_EQ(gaps[0].stage, Stage::stack_rx);
}

TEST(SeenStages, TellAtTheLastTimeWhatLittleThereIs) {
    SeenStages seen;
    seen.to_sockets(in, {.packets = 2, .bytes = 2, .packets_seen = 1, .bytes_seen = 1});
    EXPECT_EQ(seen.gaps(is_routed, true).size(), 1);
}

// TCP joins packets that wait while a socket is in use: fewer of them reach it, with all their bytes.
TEST(SeenStages, TakeJoinedPacketsForDelivered) {
    SeenStages seen;
    seen.to_sockets(in, {.packets = 1000, .bytes = 1'448'000, .packets_seen = 300, .bytes_seen = 1'448'000});
    EXPECT_TRUE(seen.gaps(is_routed, true).empty());
}

TEST(SeenStages, ForgetTargetsThatAreGone) {
    SeenStages seen;
    seen.lost(out, sent, 20);
    seen.to_sockets(in, {.packets = 10, .bytes = 10});
    seen.forget([](std::uint32_t target) { return target == 1; });
    EXPECT_TRUE(seen.gaps(is_routed, true).empty());
}

} // namespace
} // namespace vethtrace
