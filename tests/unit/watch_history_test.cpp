// SPDX-License-Identifier: GPL-2.0-only
#include "core/watch_history.hpp"
#include "unit/watch_sample.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace test;

constexpr std::pair<Flow, Stage> sent_backlog = {Flow::out, Stage::backlog};

TEST(WatchHistory, HasAPointForEachWindowAsLongAsThereIsRoom) {
    WatchHistory history(4);
    for (std::uint64_t i = 1; i <= 4; ++i)
        history.add(window_of(i), {});
    ASSERT_EQ(history.points().size(), 4);
    EXPECT_EQ(history.points()[2].first, 3);
    EXPECT_EQ(history.points()[2].windows, 1);
    EXPECT_EQ(history.points()[2].stages.at(sent_backlog).packets, 2000);
    EXPECT_EQ(history.points()[2].drops.at("NETFILTER_DROP"), 3);
}

TEST(WatchHistory, NeverHasMorePointsAndLosesNothing) {
    WatchHistory history(4);
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        history.add(window_of(i), {});
        EXPECT_LE(history.points().size(), 4);
    }
    std::uint64_t windows = 0;
    std::uint64_t packets = 0;
    std::uint64_t drops = 0;
    Nanoseconds duration = 0;
    for (const WatchPoint &point : history.points()) {
        EXPECT_EQ(point.first, windows + 1) << "one begins where the one before it ends";
        windows += point.windows;
        packets += point.stages.at(sent_backlog).time.count();
        drops += point.drops.at("NETFILTER_DROP");
        duration += point.duration_ns;
    }
    EXPECT_EQ(windows, 1000);
    EXPECT_EQ(packets, 2'000'000);
    EXPECT_EQ(drops, 3000);
    EXPECT_EQ(duration, 1000 * second_ns);
    EXPECT_EQ(history.points().front().windows, 256) << "windows are joined by twos, again and again";
}

TEST(WatchHistory, KeepsTheSlowestPacketsOfAllWindows) {
    WatchHistory history;
    for (Nanoseconds i = 1; i <= 50; ++i) {
        WatchWindow window = window_of(i);
        window.slowest = {slow_packet(i % 2 == 0 ? 100'000 + i : 1000)};
        history.add(window, {});
        history.add(slow_packet(100'000 + i % 2)); // told on their own
    }
    ASSERT_EQ(history.slowest().size(), 10);
    EXPECT_EQ(history.slowest().front().total, 100'050);
    EXPECT_EQ(history.slowest().back().total, 100'032);
}

TEST(WatchHistory, ShowsAPacketOnce) {
    WatchHistory history;
    history.add(slow_packet(65'000));
    history.add(window_of(1), {}); // it is among its window's slowest as well
    EXPECT_EQ(history.slowest().size(), 1);
}

TEST(WatchHistory, TellsHowOftenAdviceWasGiven) {
    WatchHistory history;
    Advice advice{"ksoftirqd", "what", "evidence 1", "setting", "page"};
    history.add(window_of(1), {advice});
    history.add(window_of(2), {});
    advice.evidence = "evidence 3";
    history.add(window_of(3), {advice, {"drops", "", "", "", ""}});
    ASSERT_EQ(history.advice().size(), 2);
    const GivenAdvice &given = history.advice().front();
    EXPECT_EQ(given.windows, 2);
    EXPECT_EQ(given.advice.evidence, "evidence 3") << "the last numbers";
    EXPECT_EQ(given.first, window_of(1).begun);
    EXPECT_EQ(given.last, window_of(3).begun);
}

TEST(WatchHistory, KeepsTheLastNotesAndSaysHowManyItDoesNot) {
    WatchHistory history;
    for (std::uint64_t i = 1; i <= 150; ++i) {
        WatchWindow window = window_of(i);
        window.notes = {"web has come"};
        history.add(window, {});
    }
    EXPECT_EQ(history.notes().size(), 100);
    EXPECT_EQ(history.notes_left_out(), 50);
}

TEST(WatchHistory, HasBoundsForReasonsOfDropsToo) {
    WatchHistory history(2);
    for (std::uint64_t i = 1; i <= 200; ++i) {
        WatchWindow window = window_of(i);
        window.drops.front().reason = "REASON_" + std::to_string(i);
        history.add(window, {});
    }
    std::uint64_t drops = 0;
    for (const WatchPoint &point : history.points()) {
        EXPECT_LE(point.drops.size(), 65);
        for (const auto &[reason, count] : point.drops)
            drops += count;
    }
    EXPECT_EQ(drops, 600);
}

} // namespace
} // namespace vethtrace
