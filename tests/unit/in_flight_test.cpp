// SPDX-License-Identifier: GPL-2.0-only
//
// The table of packets in flight, simulated with the addresses that a slab hands out: how many packets find no slot?
#include "layout.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <vector>

namespace vethtrace {
namespace {

using namespace layout;

// Where skbs lie: objects of 256 bytes (struct sk_buff, or half of a clone pair) in slabs of 8 KiB, scattered over 4
// GiB of the direct map, handed out in any order.
class Slabs {
public:
    __u64 allocate() {
        for (;;) {
            __u64 address = direct_map + pick_slab_(random_) * slab_bytes + pick_object_(random_) * object_bytes;
            if (used_.insert(address).second)
                return address;
        }
    }
    void free(__u64 address) { used_.erase(address); }

private:
    static constexpr __u64 direct_map = 0xffff888000000000;
    static constexpr __u64 slab_bytes = 8192;
    static constexpr __u64 object_bytes = 256;

    std::mt19937_64 random_{7};
    std::uniform_int_distribution<__u64> pick_slab_{0, (1ULL << 19) - 1};
    std::uniform_int_distribution<__u64> pick_object_{0, slab_bytes / object_bytes - 1};
    std::set<__u64> used_;
};

// The share of new packets that find both their slots taken while `in_flight` others are on their way, each leaving in
// its turn.
double crowded_out(std::size_t in_flight) {
    constexpr int arrivals = 200'000;
    Slabs slabs;
    std::vector<int> taken(std::size_t{1} << PAIR_BITS);
    struct Packet {
        __u64 skb;
        bool followed;
    };
    std::vector<Packet> packets;
    std::mt19937 random(3);
    int refused = 0;
    int arrived = 0;
    for (int i = 0; i < arrivals; ++i) {
        if (packets.size() >= in_flight) {
            std::size_t leaver = random() % packets.size();
            Packet gone = packets[leaver];
            packets[leaver] = packets.back();
            packets.pop_back();
            slabs.free(gone.skb);
            if (gone.followed)
                --taken[pair_index(gone.skb)];
        }
        Packet fresh{slabs.allocate(), false};
        int &slots = taken[pair_index(fresh.skb)];
        fresh.followed = slots < 2;
        slots += fresh.followed ? 1 : 0;
        packets.push_back(fresh);
        if (packets.size() == in_flight) {
            ++arrived;
            refused += fresh.followed ? 0 : 1;
        }
    }
    return static_cast<double>(refused) / arrived;
}

// With p pairs and n packets at random, a pair holds Poisson(n / p) of them, and a newcomer is refused if that is two
// or more (a little less, as the refused are not there): 0.00007 % at 10, 0.0074 % at 100, 0.69 % at 1,000, 34 % at
// 10,000.
TEST(InFlightTable, TurnsAwayAsManyAsChanceWould) {
    for (auto [in_flight, at_most] :
         {std::pair<std::size_t, double>{10, 0.0001}, {100, 0.0003}, {1000, 0.009}, {10'000, 0.35}}) {
        double share = crowded_out(in_flight);
        RecordProperty(fmt::format("crowded_out_at_{}", in_flight), fmt::format("{:.5f}", share));
        fmt::print("{:>6} in flight: {:.3f} % find no slot\n", in_flight, share * 100);
        EXPECT_LE(share, at_most) << in_flight;
    }
}

TEST(InFlightTable, ScattersNeighboursOfOneSlab) {
    std::set<__u32> pairs;
    constexpr __u64 slab = 0xffff888012340000;
    constexpr int objects = 32;
    for (__u64 i = 0; i < objects; ++i)
        pairs.insert(pair_index(slab + i * 256));
    EXPECT_EQ(pairs.size(), objects);
}

// ---- sampling

TEST(Sampling, TakesOneInSoMany) {
    constexpr int messages = 1'000'000;
    for (__u32 one_in : {1U, 2U, 7U, 64U, 1000U}) {
        int taken = 0;
        for (__u64 message = 1; message <= messages; ++message)
            taken += is_sampled(0, message, sample_limit(one_in));
        double expected = static_cast<double>(messages) / one_in;
        EXPECT_NEAR(taken, expected, 4 * std::sqrt(expected) + 1) << one_in; // four standard deviations
    }
}

// The CPU that has seen more events may be the one with the smaller number: the difference then borrows from the
// number.
TEST(EventCounts, AreOfTheSameCpuOrNot) {
    constexpr __u64 first = __u64{1} << EVENT_COUNT_BITS;
    EXPECT_TRUE(is_same_cpu(first + 7, first + 7'000'000));
    EXPECT_TRUE(is_same_cpu(7'000'000, 7));
    EXPECT_FALSE(is_same_cpu(7, first + 7'000'000));
    EXPECT_FALSE(is_same_cpu(7'000'000, first + 7));
    EXPECT_FALSE(is_same_cpu(first + 7, 7'000'000));
    EXPECT_FALSE(is_same_cpu(first + 7'000'000, 7));
}

// Delays that alternate with any period must be sampled in their true proportions.
TEST(Sampling, DoesNotFallIntoStepWithPeriodicDelays) {
    constexpr __u64 messages = 400'000;
    const __u32 limit = sample_limit(16);
    for (__u64 period : {2U, 3U, 4U, 5U, 8U, 16U, 32U, 55U, 64U, 100U}) {
        double slow = 0;
        double taken = 0;
        for (__u64 message = 1; message <= messages; ++message) {
            if (!is_sampled(3, message, limit))
                continue;
            ++taken;
            slow += message % period == 0 ? 1 : 0;
        }
        double share = 1.0 / static_cast<double>(period);
        EXPECT_NEAR(slow / taken, share, 4 * std::sqrt(share * (1 - share) / taken)) << period;
    }
}

TEST(Sampling, ChoosesOthersInEachFlow) {
    int both = 0;
    int first = 0;
    for (__u64 message = 1; message <= 100'000; ++message) {
        int one = is_sampled(1, message, sample_limit(10));
        first += one;
        both += one & is_sampled(2, message, sample_limit(10));
    }
    EXPECT_NEAR(static_cast<double>(both) / first, 0.1, 0.02);
}

} // namespace
} // namespace vethtrace
