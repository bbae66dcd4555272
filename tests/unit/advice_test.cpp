// SPDX-License-Identifier: GPL-2.0-only
//
// Each rule is provoked once, and once just not.
#include "core/advice.hpp"
#include "unit/watch_sample.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace test;

constexpr Nanoseconds us_ns = 1000;
constexpr Nanoseconds ms_ns = 1'000'000;

WatchSeries between(WatchSeries series, Station from, Station to) {
    series.from = from;
    series.to = to;
    return series;
}

// Nothing in it calls for advice.
WatchWindow calm() {
    using namespace layout;
    WatchWindow window = window_of(1);
    window.drops.clear();
    window.series = {series_of("web", Flow::out, Stage::backlog, 2000, 1500),
                     between(series_of("web", Flow::out, Stage::qdisc, 2000, 700), at(POINT_QUEUE, ROLE_CONTAINER),
                             at(POINT_XMIT, ROLE_CONTAINER)),
                     between(series_of("web", Flow::out, Stage::host_forward, 2000, 1800), at(POINT_RECEIVE, ROLE_HOST),
                             at(POINT_QUEUE, ROLE_UPLINK)),
                     series_of("web", Flow::in, Stage::wakeup, 2000, 20'000)};
    return window;
}

struct Case {
    std::string rule;
    std::function<void(WatchWindow &)> provoke;
    std::function<void(WatchWindow &)> just_not;
    std::string evidence;      // a part of it
    std::string and_this = {}; // another rule that the same numbers carry
};

void make(WatchWindow &window, Stage stage, SparseHistogram time) {
    for (WatchSeries &series : window.series)
        if (series.stage == stage)
            series.time = time;
}

void make(WatchWindow &window, Stage stage, std::uint64_t count, Nanoseconds each) {
    make(window, stage, times(count, each));
}

void drop(WatchWindow &window, const std::string &reason) {
    window.drops = {{"web", Flow::in, window.series[0].to, reason, 7}};
}

WatchSockets &sockets_of_web(WatchWindow &window) {
    window.sockets.push_back({.target = "web"});
    return window.sockets.back();
}

// A rule that a drop by that reason carries; it is silent about one that another rule is about.
Case drop_case(const std::string &rule, const std::string &reason) {
    return {rule, [=](WatchWindow &window) { drop(window, reason); },
            [](WatchWindow &window) { drop(window, "TC_EGRESS"); }, "7 of web, in, last seen at receive@host"};
}

// Packets that find one CPU for all, which does not keep up.
void crowd(WatchWindow &window) {
    make(window, Stage::backlog, 2000, 60 * us_ns);
    window.node.cpus[0] = {0, 900, 10, 19'000, 30, 0};
    window.node.cpus[1] = {1, 800, 0, 1000, 0, 0};
}

std::vector<Case> cases() {
    return {
        {"ksoftirqd",
         [](WatchWindow &window) {
             make(window, Stage::backlog, 2000, 60 * us_ns);
             window.node.cpus[0].ksoftirqd_runs = 600;
         },
         [](WatchWindow &window) {
             make(window, Stage::backlog, 2000, 60 * us_ns);
             window.node.cpus[0].ksoftirqd_runs = 300; // of 1700
         },
         "600 of 1700"},
        {"time-squeeze", [](WatchWindow &window) { window.node.cpus[0].time_squeezed = 30; },
         [](WatchWindow &window) { window.node.cpus[0].time_squeezed = 9; }, "grew by 30"},
        {"backlog-drops", [](WatchWindow &window) { window.node.cpus[1].backlog_dropped = 1; },
         [](WatchWindow &window) { drop(window, "NETFILTER_DROP"); }, "1 dropped"},
        {"one-cpu", crowd,
         [](WatchWindow &window) {
             crowd(window);
             window.node.cpus[0].time_squeezed = 0; // it keeps up
         },
         "19000 of 20000", "time-squeeze"},
        {"one-cpu", crowd,
         [](WatchWindow &window) {
             crowd(window);
             make(window, Stage::backlog, 2000, 2 * us_ns); // nobody waits
         },
         "mean 60.0 us", "time-squeeze"},
        {"one-cpu", crowd,
         [](WatchWindow &window) {
             crowd(window);
             window.series.clear(); // of no target
         },
         "2000 packets", "time-squeeze"},
        {"netfilter", [](WatchWindow &window) { make(window, Stage::host_forward, 2000, 6000); },
         [](WatchWindow &window) { make(window, Stage::host_forward, 2000, 4000); }, "6.0 us"},
        {"netfilter", [](WatchWindow &window) { make(window, Stage::host_forward, 5, 40'000'000); },
         [](WatchWindow &window) {
             // One of few has waited for its neighbour's address.
             SparseHistogram time = times(4, 1800);
             time.add(200 * ms_ns);
             make(window, Stage::host_forward, time);
         },
         "mean 40.0 ms"},
        {"qdisc-wait", [](WatchWindow &window) { make(window, Stage::qdisc, 2000, 30 * us_ns); },
         [](WatchWindow &window) { make(window, Stage::qdisc, 2000, 21 * us_ns); }, "mean 30.0 us"},
        {"qdisc-wait", [](WatchWindow &window) { make(window, Stage::qdisc, 5, 10 * ms_ns); },
         [](WatchWindow &window) { make(window, Stage::qdisc, 4, 10 * ms_ns); },
         "mean 10.0 ms, max 10.0 ms, 5 packets; 5 % of the time"},
        {"slow-reader", [](WatchWindow &window) { make(window, Stage::wakeup, 2000, 1'100'000); },
         [](WatchWindow &window) { make(window, Stage::wakeup, 2000, 900'000); }, "mean 1.1 ms"},
        {"socket-buffer", [](WatchWindow &window) { drop(window, "SOCKET_RCVBUFF"); },
         [](WatchWindow &window) { drop(window, "NO_SOCKET"); }, "dropped 7 of web"},
        {"socket-buffer", [](WatchWindow &window) { sockets_of_web(window).buffer_full = 24; },
         [](WatchWindow &window) { sockets_of_web(window).delivered = 24; },
         "24 packets refused by full sockets in web"},
        {"listen-overflow", [](WatchWindow &window) { sockets_of_web(window).listen_overflows = 18; },
         [](WatchWindow &window) { sockets_of_web(window).read = 18; },
         "18 refusals by full queues of listeners in web"},
        {"checksum", [](WatchWindow &window) { window.sockets = {{.target = "", .bad_checksums = 3}}; },
         [](WatchWindow &window) { window.sockets = {{.target = ""}}; },
         "3 wrong checksums of UDP and TCP in the host"},
        {"retransmission",
         [](WatchWindow &window) {
             sockets_of_web(window).retransmitted = 1; // 200 ms of a second
             window.sockets[0].sent_segments = 9;
         },
         [](WatchWindow &window) {
             sockets_of_web(window).retransmitted = 4;
             window.sockets[0].sent_segments = 900;
         },
         "1 segments of web were sent again, 10.0 % of 10"},
        {"retransmission",
         [](WatchWindow &window) {
             sockets_of_web(window).retransmitted = 5;
             window.sockets[0].sent_segments = 900;
         },
         [](WatchWindow &window) {
             sockets_of_web(window).retransmitted = 5;
             window.sockets[0].sent_segments = 9000;
         },
         "0.6 % of 905"},
        {"throttled",
         [](WatchWindow &window) {
             sockets_of_web(window) = {.target = "web",
                                       .throttled_periods = 9,
                                       .throttled = 720 * ms_ns,
                                       .quota = "cpu.max 20000 100000 of /web"};
         },
         [](WatchWindow &window) {
             sockets_of_web(window) = {.target = "web", .throttled_periods = 1, .throttled = 9 * ms_ns};
         },
         "throttled 9 times, 720.0 ms in all (cpu.max 20000 100000 of /web)"},
        {"unread",
         [](WatchWindow &window) {
             sockets_of_web(window).waiting = 2;
             window.sockets[0].oldest = 12 * second_ns;
         },
         [](WatchWindow &window) {
             sockets_of_web(window).waiting = 2;
             window.sockets[0].oldest = second_ns;
         },
         "2 sockets with data; the oldest waited for 12.0 s"},
        drop_case("listen-overflow", "TCP_LISTEN_OVERFLOW"),
        drop_case("checksum", "UDP_CSUM"),
        drop_case("checksum", "TCP_CSUM"),
        drop_case("neighbour", "NEIGH_CREATEFAIL"),
        drop_case("neighbour", "NEIGH_FAILED"),
        drop_case("rp-filter", "IP_RPFILTER"),
        drop_case("packet-too-big", "PKT_TOO_BIG"),
        drop_case("paws", "TCP_RFC7323_PAWS"),
        drop_case("broadcast-backlog", "MACVLAN_BROADCAST_BACKLOG"),
        drop_case("broadcast-backlog", "IPVLAN_MULTICAST_BACKLOG"),
        drop_case("qdisc-drop", "QDISC_DROP"),
        drop_case("qdisc-drop", "FQ_FLOW_LIMIT"),
        drop_case("netfilter-drop", "NETFILTER_DROP"),
    };
}

const Advice *find(const std::vector<Advice> &given, const std::string &rule) {
    auto known = std::find_if(given.begin(), given.end(), [&](const Advice &piece) { return piece.rule == rule; });
    return known == given.end() ? nullptr : &*known;
}

TEST(Advice, IsNotGivenWithoutNeed) {
    EXPECT_TRUE(advise(calm()).empty());
    EXPECT_TRUE(advise(WatchWindow()).empty());
    EXPECT_TRUE(advise(WatchTotals()).empty());
}

TEST(Advice, IsGivenWhenTheNumbersCarryIt) {
    for (const Case &one : cases()) {
        WatchWindow provoked = calm();
        one.provoke(provoked);
        std::vector<Advice> given = advise(provoked);
        const Advice *advice = find(given, one.rule);
        ASSERT_NE(advice, nullptr) << one.rule;
        EXPECT_NE(advice->evidence.find(one.evidence), std::string::npos) << advice->evidence;
        EXPECT_FALSE(advice->what.empty() || advice->setting.empty());
        EXPECT_EQ(advice->page, "docs/advice.md#" + one.rule);
        for (const Advice &piece : given)
            EXPECT_TRUE(piece.rule == one.rule || piece.rule == one.and_this) << piece.rule << " beside " << one.rule;
        WatchWindow not_quite = calm();
        one.just_not(not_quite);
        for (const Advice &piece : advise(not_quite))
            EXPECT_NE(piece.rule, one.rule) << piece.evidence;
    }
}

TEST(Advice, IsTheSameOfAWindowAndOfTheWhole) {
    for (const Case &one : cases()) {
        WatchWindow provoked = calm();
        one.provoke(provoked);
        WatchTotals totals;
        totals.add(provoked);
        std::vector<Advice> of_window = advise(provoked);
        std::vector<Advice> of_all = advise(totals);
        ASSERT_EQ(of_window.size(), of_all.size()) << one.rule;
        for (std::size_t i = 0; i < of_all.size(); ++i) {
            EXPECT_EQ(of_window[i].rule, of_all[i].rule);
            EXPECT_EQ(of_window[i].evidence, of_all[i].evidence);
        }
    }
}

TEST(Advice, AddsUpWhatWindowsLose) {
    WatchTotals totals;
    for (std::uint64_t number = 1; number <= 10; ++number) {
        WatchWindow window = calm();
        window.number = number;
        window.arrived.clear();
        make(window, Stage::qdisc, 2, 10 * ms_ns); // too few in each window
        sockets_of_web(window).listen_overflows = number == 3 ? 18 : 0;
        totals.add(window);
    }
    std::vector<Advice> given = advise(totals);
    ASSERT_NE(find(given, "qdisc-wait"), nullptr);
    EXPECT_NE(find(given, "qdisc-wait")->evidence.find("20 packets; 2 % of the time"), std::string::npos);
    EXPECT_NE(find(given, "listen-overflow"), nullptr);
}

// A public report: a server that may use a fifth of a CPU answers 31 times a second, now and then 80 ms late.
TEST(Advice, NamesTheQuotaOfASlowServer) {
    WatchWindow window = calm();
    SparseHistogram wakeup = times(22, 15 * us_ns);
    for (int i = 0; i < 9; ++i)
        wakeup.add(80 * ms_ns);
    window.series = {series_of("web", Flow::in, Stage::wakeup, 1, 1)};
    make(window, Stage::wakeup, wakeup);
    sockets_of_web(window) = {.target = "web", .throttled_periods = 9, .throttled = 720 * ms_ns};
    std::vector<Advice> given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_EQ(given[0].rule, "throttled") << "not the reader, which would read if it might";
    EXPECT_NE(given[0].evidence.find("max 80.0 ms, 31 packets; 71 % of the time"), std::string::npos)
        << given[0].evidence;
    window.sockets.clear(); // its control group cannot be read
    given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_EQ(given[0].rule, "slow-reader");
}

// The mean hides it: 998 of 1,000 reads come at once.
TEST(Advice, FindsTheFewReadsThatTakeAllTheTime) {
    WatchWindow window = calm();
    SparseHistogram wakeup = times(998, 13 * us_ns);
    wakeup.add(80 * ms_ns);
    wakeup.add(80 * ms_ns);
    make(window, Stage::wakeup, wakeup); // mean 173 us
    std::vector<Advice> given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_EQ(given[0].rule, "slow-reader");
    EXPECT_NE(given[0].evidence.find("mean 173.0 us, p99 13.0 us, max 80.0 ms"), std::string::npos)
        << given[0].evidence;
}

// A public report: 14 requests a second share a token bucket of 100 Mbit/s with a download, and wait 22 ms each.
TEST(Advice, SpeaksOfFewPacketsThatWaitForLong) {
    WatchWindow window = calm();
    using namespace layout;
    window.series = {between(series_of("web", Flow::in, Stage::qdisc, 14, 22 * ms_ns), at(POINT_QUEUE, ROLE_HOST),
                             at(POINT_XMIT, ROLE_HOST))};
    std::vector<Advice> given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_EQ(given[0].rule, "qdisc-wait");
    EXPECT_EQ(given[0].what, "packets of web wait in a qdisc of veth1");
    EXPECT_EQ(given[0].evidence,
              "web, in, qdisc of veth1: mean 22.0 ms, max 22.0 ms, 14 packets; 31 % of the time went by with it");
    EXPECT_NE(given[0].setting.find("tc -s qdisc show dev veth1"), std::string::npos);
}

TEST(Advice, NeverShowsAPercentileThatIsNotKnown) {
    WatchWindow window = calm();
    make(window, Stage::qdisc, 200, 30 * ms_ns);
    std::vector<Advice> given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_EQ(given[0].evidence.find("p99"), std::string::npos) << given[0].evidence;
    EXPECT_EQ(given[0].evidence.find(" 0.0"), std::string::npos) << given[0].evidence;
}

TEST(Advice, NamesDevicesOfTargetsThatCameEarlier) {
    WatchTotals so_far;
    so_far.add(calm());
    WatchWindow window = calm();
    window.arrived.clear();
    drop(window, "NETFILTER_DROP");
    EXPECT_EQ(advise(window)[0].what, "netfilter drops packets of web after receive@host");
    EXPECT_EQ(advise(window, so_far)[0].what, "netfilter drops packets of web after receive@host (veth1)");
    Target two = target_named("web");
    two.devices.push_back({4026531840, 8, "veth2", layout::ROLE_HOST, false});
    window.arrived = {two};
    EXPECT_EQ(advise(window)[0].what, "netfilter drops packets of web after receive@host") << "which, is not known";
}

TEST(Advice, CountsPacketsThatWereNotFollowed) {
    WatchWindow window = calm();
    window.sample = 10;
    window.sample_ratio = 10;
    make(window, Stage::qdisc, 5, 30 * ms_ns);
    std::vector<Advice> given = advise(window);
    ASSERT_EQ(given.size(), 1);
    EXPECT_NE(given[0].evidence.find("50 packets; 150 % of the time"), std::string::npos) << given[0].evidence;
}

TEST(Advice, HasAPageForEachRule) {
    std::ifstream file(VETHTRACE_DOCS "/advice.md");
    std::string page((std::istreambuf_iterator<char>(file)), {});
    for (const Case &one : cases())
        EXPECT_NE(page.find("\n## " + one.rule + "\n"), std::string::npos) << one.rule;
}

} // namespace
} // namespace vethtrace
