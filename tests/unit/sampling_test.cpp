// SPDX-License-Identifier: GPL-2.0-only
//
// How many packets are followed for a given price, on a load whose true cost the test knows and the control does not.
#include "watch/overhead.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace vethtrace {
namespace {

constexpr double limit = 0.03;
constexpr double look_s = 0.1;
constexpr int looks_per_s = 10;

// Packets on one CPU. One that is not followed from its first device on can be from the next one on, for the rest of
// its way.
struct Load {
    double per_s;
    double events = 8;      // of each packet
    double chances = 3;     // devices from which it could be followed
    double event_ns = 28;   // what an event costs by itself ...
    double packet_ns = 900; // ... and following a packet all the way
};

class Simulation {
public:
    Simulation(double budget, std::uint32_t least) : budget_(budget), control_(budget, least) {}

    // Before anything is followed.
    void begin(const Load &load) {
        Passing passing = pass(load, load.per_s, 0);
        cost_.learn(passing.events, 0, ns_);
        passing.packets = passing.events / 4; // as Overhead guesses
        control_.begin(cost_, passing);
    }

    // Returns what this tenth of a second really took, as a part of it.
    double look(const Load &load) {
        double per_s = load.per_s * std::uniform_real_distribution(1 - jitter, 1 + jitter)(random_);
        Passing passing = pass(load, per_s, 1.0 / control_.sample());
        double truth = ns_ * 1e-9 / look_s;
        if (until_count_-- <= 0) {
            cost_.learn(passing.events, passing.followed, ns_);
            until_count_ = 3 * looks_per_s;
        }
        std::uint32_t before = control_.sample();
        control_.look(cost_, passing);
        if (control_.sample() != before) {
            ++changes;
            until_count_ = 0;
        }
        return truth;
    }

    [[nodiscard]] std::uint32_t sample() const { return control_.sample(); }

    double jitter = 0;
    int changes = 0;

private:
    Passing pass(const Load &load, double per_s, double taken) {
        Passing passing{.seconds = look_s, .events = per_s * look_s * load.events};
        double left = per_s * look_s; // so far not followed
        double ways = 0;
        for (double device = 0; device < load.chances; ++device) {
            passing.packets += left;
            passing.followed += left * taken;
            ways += left * taken * (load.chances - device) / load.chances;
            left -= left * taken;
        }
        ns_ = passing.events * load.event_ns + ways * load.packet_ns;
        return passing;
    }

    double budget_;
    CostModel cost_;
    SampleControl control_;
    double ns_ = 0; // what has just passed took
    int until_count_ = 0;
    std::mt19937 random_{1};
};

double floor_of(const Load &load) {
    return load.per_s * load.events * load.event_ns * 1e-9;
}

double all_of(const Load &load) {
    return floor_of(load) + load.per_s * load.packet_ns * 1e-9;
}

std::vector<Load> loads() {
    std::vector<Load> loads;
    for (double per_s : {1e3, 3e3, 1e4, 3e4, 87e3, 2e5, 4e5, 1e6})
        for (double event_ns : {7.0, 28.0, 60.0})
            for (double packet_ns : {300.0, 900.0, 4000.0})
                loads.push_back({.per_s = per_s, .event_ns = event_ns, .packet_ns = packet_ns});
    return loads;
}

TEST(Sampling, KeepsTheBudgetFromTheFirstSecondOn) {
    for (const Load &load : loads()) {
        SCOPED_TRACE(fmt::format("{} packets/s, {} and {} ns", load.per_s, load.event_ns, load.packet_ns));
        Simulation simulation(limit, 1);
        simulation.begin(load);
        double first_second = 0;
        for (int i = 0; i < looks_per_s; ++i)
            first_second += simulation.look(load) / looks_per_s;
        std::vector<double> later(60 * looks_per_s);
        std::generate(later.begin(), later.end(), [&] { return simulation.look(load); });
        double worst = *std::max_element(later.begin(), later.end());
        if (floor_of(load) > limit) { // nothing can help, and it does what it can
            EXPECT_EQ(simulation.sample(), most_sparse);
            continue;
        }
        EXPECT_LE(first_second, limit);
        EXPECT_LE(worst, limit);
        if (all_of(load) < limit * 0.7) {
            EXPECT_EQ(simulation.sample(), 1) << "there is room for all packets";
        }
    }
}

TEST(Sampling, DoesNotSwing) {
    for (const Load &load : loads()) {
        SCOPED_TRACE(fmt::format("{} packets/s, {} and {} ns", load.per_s, load.event_ns, load.packet_ns));
        Simulation simulation(limit, 1);
        simulation.jitter = 0.1;
        simulation.begin(load);
        for (int i = 0; i < 5 * looks_per_s; ++i)
            simulation.look(load);
        simulation.changes = 0;
        for (int i = 0; i < 60 * looks_per_s; ++i)
            simulation.look(load);
        EXPECT_LE(simulation.changes, 3) << "in a minute";
    }
}

TEST(Sampling, FollowsAsManyPacketsAsTheBudgetAllows) {
    // 8 events of 28 ns and 900 ns: 1.95 % before a packet is followed. What is left, 1.05 %, pays for 11,666 ways a
    // second, of 87,000: one in 8. With three chances each a packet is followed three times as often.
    Load flood{.per_s = 87e3};
    Simulation simulation(limit, 1);
    simulation.begin(flood);
    for (int i = 0; i < 20 * looks_per_s; ++i)
        simulation.look(flood);
    EXPECT_GE(simulation.sample(), 8);
    EXPECT_LE(simulation.sample(), 100);
}

TEST(Sampling, TakesAFloodThatComesLaterInOneJumpAndGoesBackWhenItEnds) {
    Load calm{.per_s = 1000};
    Load flood{.per_s = 87e3};
    Simulation simulation(limit, 1);
    simulation.begin(calm);
    for (int i = 0; i < 5 * looks_per_s; ++i)
        simulation.look(calm);
    ASSERT_EQ(simulation.sample(), 1);
    double first_second = 0;
    for (int i = 0; i < looks_per_s; ++i) {
        double cost = simulation.look(flood);
        first_second += cost / looks_per_s;
        if (i >= 2) {
            EXPECT_LE(cost, limit * 1.1) << i << " tenths of a second after it has begun";
        }
        if (i >= 4) {
            EXPECT_LE(cost, limit) << i << " tenths of a second after it has begun";
        }
    }
    EXPECT_LE(first_second, limit * 1.5);
    for (int i = 0; i < 3 * looks_per_s; ++i)
        simulation.look(calm);
    EXPECT_EQ(simulation.sample(), 1);
}

TEST(Sampling, LetsAShortBurstThrough) {
    // 5 ms of tracing, in a tenth of a second: 5 % of that, 0.5 % of a second.
    Simulation simulation(limit, 1);
    Load calm{.per_s = 100};
    simulation.begin(calm);
    for (int i = 0; i < looks_per_s; ++i)
        simulation.look(calm);
    simulation.look({.per_s = 45e3});
    EXPECT_EQ(simulation.sample(), 1);
}

TEST(Sampling, NeverFollowsMoreThanWasAskedFor) {
    for (std::uint32_t least : {2U, 64U, 4096U}) {
        Simulation simulation(limit, least);
        simulation.begin({.per_s = 1000});
        for (int i = 0; i < 5 * looks_per_s; ++i)
            simulation.look({.per_s = 1000});
        EXPECT_EQ(simulation.sample(), least);
    }
}

TEST(CostModel, TellsEventsFromPacketsOnceItHasSeenBothMixed) {
    CostModel cost;
    auto learn = [&](double events, double followed) { cost.learn(events, followed, events * 30 + followed * 700); };
    learn(8000, 0);
    EXPECT_NEAR(cost.ns(1, 0), 30, 0.01) << "nothing was followed: all of it was events'";
    for (int i = 0; i < 10; ++i) {
        learn(8000, 1000);
        learn(8000, 10);
    }
    EXPECT_NEAR(cost.ns(1, 0), 30, 1);
    EXPECT_NEAR(cost.ns(0, 1), 700, 20);
    // What cannot be is not believed.
    cost.learn(8000, 1000, 0);
    cost.learn(0, 0, 1000);
    EXPECT_NEAR(cost.ns(1, 0), 30, 1);
}

} // namespace
} // namespace vethtrace
