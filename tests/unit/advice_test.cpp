// SPDX-License-Identifier: GPL-2.0-only
//
// Each rule is provoked once, and once just not.
#include "unit/watch_sample.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace test;

// Nothing in it calls for advice.
WatchWindow calm() {
    WatchWindow window = window_of(1);
    window.series = {series_of("web", Flow::out, Stage::backlog, 2000, 1500),
                     series_of("web", Flow::out, Stage::qdisc, 2000, 700),
                     series_of("web", Flow::out, Stage::host_forward, 2000, 1800),
                     series_of("web", Flow::in, Stage::wakeup, 2000, 20'000)};
    return window;
}

struct Case {
    std::string rule;
    std::function<void(WatchWindow &)> provoke;
    std::function<void(WatchWindow &)> just_not;
    std::string evidence; // a part of it
};

void make(WatchWindow &window, Stage stage, std::uint64_t count, Nanoseconds each) {
    for (WatchSeries &series : window.series)
        if (series.stage == stage)
            series.time = times(count, each);
}

void drop(WatchWindow &window, const std::string &reason) {
    window.drops = {{"web", Flow::in, window.series[0].to, reason, 7}};
}

std::vector<Case> cases() {
    return {
        {"ksoftirqd",
         [](WatchWindow &window) {
             make(window, Stage::backlog, 2000, 60'000);
             window.node.cpus[0].ksoftirqd_runs = 600;
         },
         [](WatchWindow &window) {
             make(window, Stage::backlog, 2000, 60'000);
             window.node.cpus[0].ksoftirqd_runs = 300; // of 1700
         },
         "600 of 1700"},
        {"time-squeeze", [](WatchWindow &window) { window.node.cpus[0].time_squeezed = 30; },
         [](WatchWindow &window) { window.node.cpus[0].time_squeezed = 9; }, "grew by 30"},
        {"backlog-drops", [](WatchWindow &window) { window.node.cpus[1].backlog_dropped = 1; },
         [](WatchWindow &window) { drop(window, "NETFILTER_DROP"); }, "1 dropped"},
        {"one-cpu",
         [](WatchWindow &window) {
             window.node.cpus[0].packets = 19'000;
             window.node.cpus[1].packets = 1000;
         },
         [](WatchWindow &window) {
             window.node.cpus[0].packets = 9000; // too few for one CPU to be a pity
             window.node.cpus[1].packets = 0;
         },
         "19000 of 20000"},
        {"netfilter", [](WatchWindow &window) { make(window, Stage::host_forward, 2000, 6000); },
         [](WatchWindow &window) { make(window, Stage::host_forward, 2000, 4000); }, "6.0 us"},
        {"qdisc-wait", [](WatchWindow &window) { make(window, Stage::qdisc, 2000, 21'000); },
         [](WatchWindow &window) { make(window, Stage::qdisc, 99, 21'000); }, "21.0 us"},
        {"socket-buffer", [](WatchWindow &window) { drop(window, "SOCKET_RCVBUFF"); },
         [](WatchWindow &window) { drop(window, "NO_SOCKET"); }, "7 dropped"},
        {"slow-reader", [](WatchWindow &window) { make(window, Stage::wakeup, 2000, 1'100'000); },
         [](WatchWindow &window) { make(window, Stage::wakeup, 2000, 900'000); }, "1100.0 us"},
    };
}

TEST(Advice, IsNotGivenWithoutNeed) {
    EXPECT_TRUE(advise(calm()).empty());
    EXPECT_TRUE(advise(WatchWindow()).empty());
}

TEST(Advice, IsGivenWhenTheNumbersCarryIt) {
    for (const Case &one : cases()) {
        WatchWindow provoked = calm();
        one.provoke(provoked);
        std::vector<Advice> given = advise(provoked);
        ASSERT_EQ(given.size(), 1) << one.rule;
        EXPECT_EQ(given[0].rule, one.rule);
        EXPECT_NE(given[0].evidence.find(one.evidence), std::string::npos) << given[0].evidence;
        EXPECT_FALSE(given[0].what.empty() || given[0].setting.empty());
        EXPECT_EQ(given[0].page, "docs/advice.md#" + one.rule);
        WatchWindow not_quite = calm();
        one.just_not(not_quite);
        for (const Advice &piece : advise(not_quite))
            EXPECT_NE(piece.rule, one.rule) << piece.evidence;
    }
}

TEST(Advice, HasAPageForEachRule) {
    std::ifstream file(VETHTRACE_DOCS "/advice.md");
    std::string page((std::istreambuf_iterator<char>(file)), {});
    for (const Case &one : cases())
        EXPECT_NE(page.find("\n## " + one.rule + "\n"), std::string::npos) << one.rule;
}

} // namespace
} // namespace vethtrace
