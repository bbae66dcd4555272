// SPDX-License-Identifier: GPL-2.0-only
#include "cli/live.hpp"
#include "core/utc.hpp"
#include "input/filter.hpp"
#include "report/json.hpp"
#include "report/watch_json.hpp"
#include "report/watch_report.hpp"
#include "report/watch_words.hpp"
#include "support/schema.hpp"
#include "unit/parsed.hpp"
#include "unit/watch_sample.hpp"
#include "watch/softnet.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

using namespace test;
using namespace layout;
using Lines = std::vector<std::string>;

std::size_t columns(const std::string &line) {
    return static_cast<std::size_t>(
        std::count_if(line.begin(), line.end(), [](char letter) { return (letter & 0xC0) != 0x80; }));
}

bool has_line(const Lines &lines, const std::string &part) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string &line) { return line.find(part) != std::string::npos; });
}

// ---- values

TEST(WatchStages, FollowFromTwoStations) {
    struct Case {
        Station from;
        Station to;
        Stage plain;
        Stage bridged;
    };
    const std::vector<Case> cases = {
        {at(POINT_QUEUE, ROLE_CONTAINER), at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc, Stage::qdisc},
        {at(POINT_QUEUE, ROLE_UPLINK), at(POINT_XMIT, ROLE_UPLINK), Stage::uplink_qdisc, Stage::uplink_qdisc},
        {at(POINT_XMIT, ROLE_CONTAINER), at(POINT_NETIF_RX, ROLE_HOST), Stage::device_xmit, Stage::device_xmit},
        {at(POINT_XMIT, ROLE_CONTAINER), at(POINT_QUEUE, ROLE_UPLINK), Stage::device_xmit, Stage::device_xmit},
        {at(POINT_XMIT, ROLE_BRIDGE), at(POINT_QUEUE, ROLE_HOST), Stage::bridge, Stage::bridge},
        {at(POINT_NETIF_RX, ROLE_HOST), at(POINT_RECEIVE, ROLE_HOST), Stage::backlog, Stage::backlog},
        {at(POINT_XMIT, ROLE_CONTAINER), at(POINT_GRO, ROLE_HOST), Stage::backlog, Stage::backlog},
        {at(POINT_GRO, ROLE_HOST), at(POINT_RECEIVE, ROLE_HOST), Stage::gro, Stage::gro},
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_QUEUE, ROLE_UPLINK), Stage::host_forward, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_RECEIVE, ROLE_BRIDGE), Stage::bridge, Stage::bridge},
        {at(POINT_RECEIVE, ROLE_CONTAINER), at(MOMENT_DATA_READY, END_CLIENT), Stage::stack_rx, Stage::stack_rx},
        {at(MOMENT_DATA_READY, END_CLIENT), at(MOMENT_APP_RECV, END_CLIENT), Stage::wakeup, Stage::wakeup},
        {at(POINT_XMIT, ROLE_UPLINK), at(POINT_XMIT, ROLE_UPLINK), Stage::unforeseen, Stage::unforeseen},
        {at(POINT_RECEIVE, ROLE_HOST), at(POINT_XMIT, ROLE_HOST), Stage::unforeseen, Stage::unforeseen},
    };
    for (const Case &one : cases) {
        EXPECT_EQ(stage_of_hop(one.from, one.to, false), one.plain) << name_of(one.from) << " " << name_of(one.to);
        EXPECT_EQ(stage_of_hop(one.from, one.to, true), one.bridged) << name_of(one.from) << " " << name_of(one.to);
    }
}

TEST(WatchConservation, IsBalancedWithinOneInAThousand) {
    WatchConservation books;
    books.entered = 100'000;
    books.completed = 99'100;
    books.dropped = books.merged = books.segmented = books.consumed = 200;
    books.in_flight = 100;
    EXPECT_TRUE(books.balanced());
    books.in_flight = 0;
    EXPECT_TRUE(books.balanced());
    books.completed -= 1;
    EXPECT_FALSE(books.balanced());
    books.completed = 99'301;
    EXPECT_FALSE(books.balanced()) << "more than there were";
}

TEST(WatchTotals, AddUpWindowsOfDifferentSampling) {
    WatchTotals totals;
    WatchWindow first = window_of(1);
    WatchWindow second = window_of(2);
    second.sample = 8;
    second.sample_ratio = 8;
    second.overhead = 0.0375;
    totals.add(first);
    totals.add(second);
    EXPECT_EQ(totals.windows(), 2);
    EXPECT_EQ(totals.duration_ns(), 2 * second_ns);
    EXPECT_DOUBLE_EQ(totals.mean_overhead(), 0.025);
    EXPECT_EQ(totals.conservation().entered, 7000);
    ASSERT_EQ(totals.series().size(), 3);
    const WatchTotal &db = totals.series().begin()->second;
    EXPECT_EQ(db.time.count(), 1000);
    EXPECT_EQ(db.packets, 500 + 8 * 500) << "one in eight was followed in the second";
    ASSERT_EQ(totals.drops().size(), 1);
    EXPECT_EQ(totals.drops().begin()->second, 6);
}

TEST(WatchTotals, AddUpWhatWasNotSeenAndWhatCameToSockets) {
    WatchTotals totals;
    totals.add(troubled_window_of(1));
    totals.add(troubled_window_of(2));
    ASSERT_EQ(totals.unseen().size(), 2);
    const UnseenTotal &db = totals.unseen().at({"db", Flow::in, Stage::backlog});
    EXPECT_EQ(db.promised, 2 * 1204);
    EXPECT_EQ(db.seen, 2 * 4);
    EXPECT_EQ(db.why, "tap0 is fed by a user-mode network");
    EXPECT_EQ(totals.unseen().at({"web", Flow::out, Stage::qdisc}).promised, 0);
    EXPECT_EQ(totals.windows_over_budget(), 2);
    const WatchSockets &web = totals.sockets().at("web");
    EXPECT_EQ(web.delivered, 2000);
    EXPECT_EQ(web.read, 1960);
    EXPECT_EQ(web.waiting, 3) << "not added up: they are the same sockets";
    EXPECT_EQ(web.oldest, 4'200'000'000);
    EXPECT_EQ(web.listen_overflows, 24);
    EXPECT_EQ(web.throttled, 1'624'000'000);
    // A window that has nothing to tell of them: they do not wait any more.
    totals.add(window_of(3));
    EXPECT_EQ(web.waiting, 0);
    EXPECT_EQ(web.oldest, 0);
    EXPECT_EQ(web.listen_overflows, 24);
    EXPECT_EQ(totals.unseen().size(), 2) << "what was not seen once is not seen in the whole";
}

TEST(WatchTotals, KnowNoPartOfAnUnknownNumber) {
    WatchTotals totals;
    WatchWindow window = window_of(1);
    window.unseen = {{"web", Flow::in, Stage::gro, 0, 50, "nobody knows"}};
    totals.add(window);
    window.unseen = {{"web", Flow::in, Stage::gro, 10, 2, "now they do"}};
    totals.add(window);
    EXPECT_EQ(unseen_text(unseen_of(totals).at(0)), "gro of web, in: 2 of 10 packets: now they do");
}

TEST(SparseHistogram, AgreesWithAFullOne) {
    Histogram full;
    SparseHistogram sparse;
    SparseHistogram other;
    for (Nanoseconds value : {0U, 1U, 31U, 32U, 900U, 901U, 70'000U, 4'000'000'000U, 3U, 900U}) {
        full.add(value);
        (value % 2 == 0 ? sparse : other).add(value);
    }
    sparse.merge(other);
    sparse.merge(SparseHistogram());
    EXPECT_EQ(sparse.count(), full.count());
    EXPECT_EQ(sparse.sum(), full.sum());
    EXPECT_EQ(sparse.min(), full.min());
    EXPECT_EQ(sparse.max(), full.max());
    EXPECT_EQ(sparse.mean(), full.mean());
    ASSERT_EQ(sparse.bars().size(), full.bars().size());
    for (std::size_t i = 0; i < full.bars().size(); ++i) {
        EXPECT_EQ(sparse.bars()[i].range.low, full.bars()[i].range.low);
        EXPECT_EQ(sparse.bars()[i].count, full.bars()[i].count);
    }
    for (int i = 0; i < 1000; ++i) {
        full.add(500);
        sparse.add(500);
    }
    EXPECT_EQ(sparse.percentile(0.5), full.percentile(0.5));
    EXPECT_EQ(sparse.percentile(0.99), full.percentile(0.99));
    EXPECT_EQ(SparseHistogram().mean(), std::nullopt);
}

TEST(Utc, IsReadAsItIsWritten) {
    for (const char *text : {"1970-01-01T00:00:00.000Z", "2026-11-23T23:59:59.999Z", "2024-02-29T12:00:00.001Z"}) {
        auto when = utc_from(text);
        ASSERT_TRUE(when) << text;
        EXPECT_EQ(utc_text(*when), text);
    }
    for (const char *text :
         {"", "2026-11-23", "2026-11-23T24:00:00.000Z", "2026-02-30T00:00:00.000Z", "2026-11-23 00:00:00.000Z",
          "2026-11-23T00:00:00.000", "2026-11-23T00:00:00,000Z", "9999-12-31T00:00:00.000Z", "1013-11-23T00:00:00.000Z",
          "2026-11-23T00:00:00.+12Z", "+026-11-23T00:00:00.000Z"})
        EXPECT_FALSE(utc_from(text)) << text;
}

// ---- /proc/net/softnet_stat

TEST(Softnet, IsReadByCpu) {
    SoftnetReading reading = parse_softnet("0000000a 00000002 00000003 0 0 0 0 0 0 0 0 0 00000005\n"
                                           "00000014 00000000 00000000 0 0 0 0 0 0 0 0 0 00000001\n");
    ASSERT_EQ(reading.size(), 2);
    EXPECT_EQ(reading.at(5).processed, 10);
    EXPECT_EQ(reading.at(5).dropped, 2);
    EXPECT_EQ(reading.at(5).time_squeezed, 3);
    EXPECT_EQ(reading.at(1).processed, 20);
    EXPECT_EQ(parse_softnet("0a 0 0\n14 0 0\n").at(1).processed, 20) << "before 5.10 the line tells the CPU";
    for (const char *text : {"", "\n\n", "no numbers", "0a 0"})
        EXPECT_TRUE(parse_softnet(text).empty()) << text;
}

TEST(Softnet, GrowsThroughAnOverflowAndACpuThatComesBack) {
    SoftnetReading before = {{0, {0xffff'fff0, 0, 0}}, {1, {1000, 5, 5}}, {2, {7, 0, 0}}};
    SoftnetReading after = {{0, {0x10, 0, 0}}, {1, {10, 0, 0}}, {3, {4, 0, 0}}};
    SoftnetReading grown = difference(before, after);
    EXPECT_EQ(grown.at(0).processed, 0x20);
    EXPECT_EQ(grown.at(1).processed, 10);
    EXPECT_FALSE(grown.contains(2));
    EXPECT_EQ(grown.at(3).processed, 4);
}

// ---- what is filtered for

TEST(Filters, AreAddressesWithOrWithoutALength) {
    Result<Prefix> prefix = parse_prefix("10.1.2.3");
    ASSERT_TRUE(prefix);
    EXPECT_EQ(prefix->family, 4);
    EXPECT_EQ(prefix->bits, 32);
    EXPECT_EQ(prefix->address[3], 3);
    EXPECT_EQ(parse_prefix("10.0.0.0/8")->bits, 8);
    EXPECT_EQ(parse_prefix("0.0.0.0/0")->bits, 0);
    EXPECT_EQ(parse_prefix("fd00::/64")->family, 6);
    EXPECT_EQ(parse_prefix("fd00::1")->bits, 128);
    for (const char *text :
         {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "host", "10.0.0.0/8 "})
        EXPECT_EQ(parse_prefix(text).error().exit, Exit::usage) << text;
}

TEST(Filters, AreTimesWithTheirUnit) {
    using namespace std::chrono_literals;
    EXPECT_EQ(*parse_duration("250ns"), 250ns);
    EXPECT_EQ(*parse_duration("10us"), 10us);
    EXPECT_EQ(*parse_duration("1.5ms"), 1500us);
    EXPECT_EQ(*parse_duration("1s"), 1s);
    for (const char *text : {"", "1", "ms", "-1ms", "0ms", "1e99s", "nans", "1 parsec", "2h"})
        EXPECT_EQ(parse_duration(text).error().exit, Exit::usage) << text;
}

TEST(Filters, AreInterfacesThatCanBeWatched) {
    for (const char *name : {"eth0", "br-1a2b3c4d5e6f", "veth0123456789a", "enp3s0.100", "wg0@x"})
        EXPECT_EQ(parse_interface(name), std::string(name));
    for (std::string_view name : {"", "lo", ".", "..", "a/b", "a:b", "a b", "eth0\n", "sixteen-letters."})
        EXPECT_EQ(parse_interface(name).error().exit, Exit::usage) << name;
    EXPECT_EQ(parse_interface(std::string_view("a\0b", 3)).error().exit, Exit::usage);
    EXPECT_NE(parse_interface("lo").error().reason.find("loopback"), std::string::npos);
}

// ---- the command line

TEST(WatchOptions, AreAllContainersForASecondEachByDefault) {
    Result<Command> command = test::parse("watch", {});
    ASSERT_TRUE(command);
    const WatchPlan &plan = std::get<WatchCommand>(*command).plan;
    EXPECT_TRUE(plan.watch.selection.all);
    EXPECT_EQ(plan.interval, std::chrono::seconds(1));
    EXPECT_EQ(plan.duration, std::nullopt);
    EXPECT_EQ(plan.watch.sample, 1);
    EXPECT_DOUBLE_EQ(plan.watch.max_overhead, 0.03);
    EXPECT_EQ(plan.watch.filter.port_ranges, 0);
}

TEST(WatchOptions, AreNotEmpty) {
    for (const char *option : {"--container", "--pod",         "--netns",        "--pid",        "-I",
                               "--by",        "--port",        "--peer",         "--proto",      "-i",
                               "-d",          "--sample",      "--max-overhead", "--max-memory", "--max-series",
                               "--slowest",   "--slower-than", "--record",       "-o",           "--html",
                               "--color",     "--no-hook"}) {
        Result<Command> command = test::parse("watch", {option, ""});
        ASSERT_FALSE(command) << option;
        EXPECT_EQ(command.error().exit, Exit::usage) << option;
    }
    Result<Command> port = test::parse("watch", {"--port", ""});
    EXPECT_EQ(port.error().object, "--port");
    EXPECT_EQ(port.error().reason, "is empty");
    EXPECT_EQ(test::parse("watch", {"-I", "lo"}).error().exit, Exit::usage);
    EXPECT_EQ(test::parse("watch", {"-n", "blue", "-I", "lo"}).error().exit, Exit::usage);
}

TEST(WatchOptions, AreTakenAsTheyAreGiven) {
    Result<Command> command = test::parse("watch", {"--container",
                                                    "web",
                                                    "--container",
                                                    "db",
                                                    "--netns",
                                                    "blue",
                                                    "--pid",
                                                    "12",
                                                    "-I",
                                                    "eth0",
                                                    "--port",
                                                    "80,8000-8080",
                                                    "--peer",
                                                    "10.0.0.0/8",
                                                    "--proto",
                                                    "udp",
                                                    "-i",
                                                    "0.5",
                                                    "-d",
                                                    "60",
                                                    "--by",
                                                    "cpu",
                                                    "--slower-than",
                                                    "1ms",
                                                    "--max-overhead",
                                                    "1",
                                                    "--sample",
                                                    "16"});
    ASSERT_TRUE(command) << command.error().text();
    const WatchPlan &plan = std::get<WatchCommand>(*command).plan;
    EXPECT_FALSE(plan.watch.selection.all);
    EXPECT_EQ(plan.watch.selection.containers, (Lines{"web", "db"}));
    EXPECT_EQ(plan.watch.selection.netns.size(), 1);
    EXPECT_EQ(plan.watch.selection.pids, std::vector<pid_t>{12});
    EXPECT_EQ(plan.watch.filter.port_ranges, 2);
    EXPECT_EQ(plan.watch.filter.ports[1].last, 8080);
    EXPECT_EQ(plan.watch.filter.protocol, IPPROTO_UDP);
    EXPECT_EQ(plan.watch.filter.peer_bits, 8);
    EXPECT_EQ(plan.filter_text, "--port 80,8000-8080 --peer 10.0.0.0/8 --proto udp");
    EXPECT_EQ(plan.duration, std::chrono::seconds(60));
    EXPECT_EQ(plan.watch.slower_than, std::chrono::milliseconds(1));
    EXPECT_EQ(plan.watch.grouping, Grouping::cpu);
}

TEST(WatchOptions, ThatMakeNoSenseAreRefused) {
    const std::vector<Lines> wrong = {{"--all", "--container", "web"},
                                      {"--container", ""},
                                      {"--netns", ""},
                                      {"--port", "0"},
                                      {"--port", "9-8"},
                                      {"--peer", "x"},
                                      {"--proto", "sctp"},
                                      {"-i", "0"},
                                      {"-i", "nan"},
                                      {"-d", "5", "--forever"},
                                      {"--by", "pod"},
                                      {"--slower-than", "1"},
                                      {"--max-overhead", "0"},
                                      {"--sample", "0"},
                                      {"--max-series", "1"}};
    for (const Lines &words : wrong) {
        Result<Command> command = test::parse("watch", words);
        ASSERT_FALSE(command) << words[0] << " " << words[1];
        EXPECT_EQ(command.error().exit, Exit::usage) << words[0];
    }
}

// ---- what people see

TEST(WatchText, HasTheColumnsOfItsTerminal) {
    std::vector<WatchWindow> windows = {window_of(1), window_of(2)};
    windows.back().series.push_back(
        series_of("äußerst-langer-name-" + std::string(60, 'x') + "-1", Flow::in, Stage::backlog, 200, 900));
    for (int width : {40, 80, 100, 132, 200}) {
        TextStyle style;
        style.width = width;
        Lines lines = watch_frame(windows, advise(windows.back()), {}, {}, style, 24);
        EXPECT_LE(lines.size(), 24);
        for (const std::string &line : lines) {
            EXPECT_EQ(line.find('\033'), std::string::npos);
            EXPECT_LE(columns(line), static_cast<std::size_t>(width)) << line;
        }
        if (width >= 80) {
            EXPECT_TRUE(has_line(lines, "targets: 2 bridge"));
        }
        EXPECT_EQ(has_line(lines, "#####"), width >= 132) << width;
    }
    TextStyle colored;
    colored.color = true;
    colored.width = 80;
    EXPECT_TRUE(has_line(watch_frame(windows, {}, {}, {}, colored, 24), "\033["));
}

TEST(WatchText, SortsByWhatGrewMost) {
    std::vector<WatchWindow> windows = {window_of(1), window_of(2)};
    windows.back().series[2] = series_of("db", Flow::in, Stage::backlog, 500, 90'000);
    std::vector<WatchRow> rows = watch_rows(windows, Grouping::container, WatchSort::growth);
    ASSERT_EQ(rows.size(), 3);
    EXPECT_EQ(rows.front().group, "db");
    EXPECT_NEAR(rows.front().growth, 500 * (90'000 - 700), 1);
    EXPECT_NEAR(*rows.front().before, 700, 1);
    EXPECT_DOUBLE_EQ(rows.front().rate, 500);
    EXPECT_EQ(watch_rows(windows, Grouping::container, WatchSort::rate).front().rate, 2000);
    EXPECT_EQ(watch_rows(windows, Grouping::container, WatchSort::name).front().group, "db");
    EXPECT_EQ(watch_rows(windows, Grouping::container, WatchSort::p99).front().stage, Stage::wakeup)
        << "of 500 packets there is no 99th percentile";
    EXPECT_EQ(watch_rows(windows, Grouping::direction, WatchSort::rate).size(), 3);
    TextStyle style;
    EXPECT_TRUE(has_line(watch_frame(windows, {}, {}, {}, style, 24), "x129"));
    EXPECT_TRUE(watch_rows({}, Grouping::cpu, WatchSort::name).empty());
}

TEST(WatchText, TellsDropsSlowPacketsNotesAndAdvice) {
    WatchWindow window = window_of(1);
    window.notes = {"db has come"};
    window.slow_suppressed = 12;
    window.series_dropped = 5;
    std::vector<Advice> advice = {{"rule", "what", "evidence", "setting", "docs/advice.md#rule"}};
    TextStyle style;
    style.width = 200;
    std::string text = watch_lines(std::span(&window, 1), advice, "", style);
    for (const char *part : {"dropped 3 of web, out, after receive@host: NETFILTER_DROP",
                             "65.0us web out  64.9us qdisc (ksoftirqd, CPU 0)", "12 more were slower", "db has come",
                             "rule: what", "docs/advice.md#rule", "--max-series"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    std::string whole = slow_packet_text(slow_packet(65'000), style);
    for (const char *part : {"queue@container", "CPU 1", "nginx (4711)", "3 queued", "66 bytes"})
        EXPECT_NE(whole.find(part), std::string::npos) << part << "\n" << whole;
}

TEST(WatchText, SaysWhyThereIsNothingAfterTwoWindows) {
    WatchWindow empty = window_of(1);
    empty.series.clear();
    empty.drops.clear();
    std::vector<WatchWindow> windows = {empty};
    TextStyle style;
    EXPECT_NE(watch_lines(windows, {}, "", style).find("no packets in this window"), std::string::npos);
    windows.push_back(empty);
    std::string text = watch_lines(windows, {}, "--port 80", style);
    EXPECT_NE(text.find("Likely reasons"), std::string::npos);
    EXPECT_NE(text.find("the filter lets nothing through: --port 80"), std::string::npos);
    windows.back().targets = 0;
    EXPECT_NE(watch_lines(windows, {}, "", style).find("no target is here"), std::string::npos);
}

TEST(WatchText, SumsUpBrieflyWhenItIsToBeQuiet) {
    WatchTotals totals;
    totals.add(window_of(1));
    TextStyle style;
    std::string all = watch_summary(totals, "it was stopped", {}, "", style);
    style.verbosity = -1;
    std::string quiet = watch_summary(totals, "it was stopped", {}, "", style);
    EXPECT_NE(all.find("wakeup"), std::string::npos);
    EXPECT_EQ(quiet.find("wakeup"), std::string::npos);
    for (const std::string &text : {all, quiet})
        for (const char *part :
             {"it was stopped", "balanced: 3,500 packets entered", "1.2 % of a CPU", "NETFILTER_DROP"})
            EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(WatchText, NamesWhatWasNotSeenAndWhatWaits) {
    WatchWindow window = troubled_window_of(1);
    TextStyle style;
    style.width = 200;
    WatchTotals totals;
    totals.add(window);
    std::string lines = watch_lines(std::span(&window, 1), {}, "", style);
    std::string summary = watch_summary(totals, "it was stopped", {}, "", style);
    for (const std::string &text : {lines, summary})
        for (const char *line :
             {"\n not seen: backlog of db, in: 4 of 1,204 packets: tap0 is fed by a user-mode network\n",
              "\n not seen: qdisc of web, out: the other end of eth0 is in a namespace that is not watched\n",
              "\n web: 3 sockets have unread data, the oldest for 4.20s\n",
              "\n web: 12 connections refused, a listen queue was full\n",
              "\n web: 1 packet refused, a socket's buffer was full\n",
              "\n web: throttled 9 times, 812ms in all, by its control group's cpu.max\n",
              "\n web: 18 segments retransmitted\n"})
            EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
    EXPECT_NE(lines.find("tcp 10.0.0.2:4711 > [fd00::2]:80 (to 10.9.0.2:12866)"), std::string::npos) << lines;
    EXPECT_NE(lines.find("1 packet in 1.2 "), std::string::npos) << lines;
    EXPECT_NE(lines.find("tracing took 1.2 % of a CPU, more than --max-overhead allows"), std::string::npos) << lines;
    EXPECT_NE(summary.find("1.2 % of a CPU's time, in 1 of 1 window more than --max-overhead allows"),
              std::string::npos)
        << summary;
    // What is missing is told to those who want it brief, too, and in a colour.
    style.verbosity = -1;
    style.color = true;
    EXPECT_NE(watch_summary(totals, "", {}, "", style).find("not seen: backlog"), std::string::npos);
    Lines frame = watch_frame(std::span(&window, 1), {}, {}, {}, style, 24);
    EXPECT_TRUE(
        has_line(frame, painted(" not seen: backlog of db, in: 4 of 1,204 packets: tap0 is fed by a user-mode network",
                                Tone::bad, style)));
}

TEST(WatchText, IsNotSilentAboutGapsInBooksThatBalance) {
    TextStyle style;
    auto books_of = [&](const WatchWindow &window) {
        WatchTotals totals;
        totals.add(window);
        std::string text = watch_summary(totals, "", {}, "", style);
        std::size_t begin = text.find("alanced");
        // It takes as many lines as its words need; what follows is another matter.
        text = text.substr(text.rfind('\n', begin) + 1, text.find("\n tracing took") - text.rfind('\n', begin) - 1);
        std::replace(text.begin(), text.end(), '\n', ' ');
        for (std::size_t gap = 0; (gap = text.find("  ")) != std::string::npos;)
            text.erase(gap, 1);
        return text;
    };
    WatchWindow window = troubled_window_of(1);
    EXPECT_EQ(
        books_of(window),
        " balanced, but 2 stages were not seen: 3,500 packets entered: 2,000 left by the last device, 1,000 delivered "
        "to sockets (980 reads), 400 TCP control, 90 to the host's sockets, 7 of other protocols; 3 dropped; TCP let "
        "go of 5 without harm");
    window.unseen.pop_back();
    EXPECT_TRUE(books_of(window).starts_with(" balanced, but 1 stage was not seen: 3,500"));
    window.unseen.clear();
    EXPECT_TRUE(books_of(window).starts_with(" balanced: 3,500 packets entered: 2,000 left"));
    window.unseen = troubled_window_of(1).unseen;
    window.conservation.completed = 3490;
    EXPECT_TRUE(books_of(window).starts_with(" NOT balanced, and 2 stages were not seen: "));
    // Not told apart, as in an older recording.
    EXPECT_EQ(books_of(window_of(1)), " balanced: 3,500 packets entered: 3,497 completed; 3 dropped");
}

TEST(WatchText, HoldsItsTongueAboutSocketsThatAreRead) {
    WatchSockets busy;
    busy.delivered = busy.read = 1'000'000;
    busy.waiting = 40;
    busy.oldest = 99'999'999;
    EXPECT_TRUE(troubles_of(busy).empty()) << "there is always something that will be read at once";
    busy.oldest = 100'000'000;
    EXPECT_EQ(troubles_of(busy), Lines{"40 sockets have unread data, the oldest for 100ms"});
    busy.waiting = 1;
    EXPECT_EQ(troubles_of(busy), Lines{"1 socket has unread data, the oldest for 100ms"});
    EXPECT_TRUE(troubles_of({}).empty());
}

TEST(WatchText, ShowsAConnectionOnceWithItsAddressesBeforeAndAfterNat) {
    SlowPacket packet;
    packet.protocol = "tcp";
    packet.source = "192.0.2.2:4711";
    packet.destination = "192.0.2.1:8080";
    EXPECT_EQ(ends_text(packet, ">"), "tcp 192.0.2.2:4711 > 192.0.2.1:8080");
    packet.translated_destination = "10.9.0.2:12866";
    EXPECT_EQ(ends_text(packet, ">"), "tcp 192.0.2.2:4711 > 192.0.2.1:8080 (to 10.9.0.2:12866)");
    packet.translated_source = "10.9.0.1:1024";
    EXPECT_EQ(ends_text(packet, ">"), "tcp 192.0.2.2:4711 > 192.0.2.1:8080 (from 10.9.0.1:1024 to 10.9.0.2:12866)");
    packet.translated_destination.clear();
    EXPECT_EQ(ends_text(packet, ">"), "tcp 192.0.2.2:4711 > 192.0.2.1:8080 (from 10.9.0.1:1024)");
}

TEST(WatchReport, NamesOnlyOptionsThatThereAreAndGivesAdvice) {
    WatchTotals totals;
    WatchWindow window = window_of(1);
    window.series_dropped = 1;
    window.conservation.waits_lost = 3;
    totals.add(window);
    std::string ended = "it was stopped";
    Environment environment;
    WatchReport report{totals, ended, environment, {}, {}};
    report.advice = {{"rule", "what", "evidence", "setting", "docs/advice.md#rule"}};
    TextStyle style;
    std::string text = to_text(report, style);
    EXPECT_NE(text.find("1 hop found no place among the kernel's series: more with --max-series"), std::string::npos)
        << text;
    EXPECT_NE(text.find("\n 3 waits for an application found no place, and are in no wakeup\n"), std::string::npos)
        << text;
    EXPECT_EQ(to_json(report)["conservation"]["waits_lost"], 3);
    EXPECT_NE(text.find("\n rule: what\n   evidence; look at setting (docs/advice.md#rule)\n"), std::string::npos)
        << text;
    EXPECT_EQ(to_json(report)["advice"][0]["rule"], "rule");
    report.lab = CommandInLab{"veth", "wire", "iperf3", ""};
    EXPECT_EQ(to_text(report, style).find("--max-series"), std::string::npos) << "--cmd has no such option";
}

TEST(LiveView, MindsItsKeys) {
    WatchView view;
    EXPECT_TRUE(apply_key('q', view).quit);
    EXPECT_EQ(apply_key('b', view).grouping, Grouping::interface);
    EXPECT_FALSE(apply_key(' ', view).quit);
    EXPECT_TRUE(view.frozen);
    (void)apply_key(' ', view);
    EXPECT_FALSE(view.frozen);
    (void)apply_key('s', view);
    EXPECT_EQ(view.sort, WatchSort::p99);
    EXPECT_EQ(apply_key('n', view).step, 1);
    EXPECT_EQ(apply_key('p', view).step, -1);
    for (int i = 0; i < 3; ++i) {
        (void)apply_key('b', view);
        (void)apply_key('s', view);
    }
    EXPECT_EQ(view.grouping, Grouping::container);
    EXPECT_EQ(view.sort, WatchSort::growth);
    EXPECT_EQ(apply_key('x', view).step, 0);
}

// ---- for other programs

TEST(WatchJson, IsOfItsSchema) {
    WatchWindow window = window_of(1);
    WatchWindow empty;
    empty.number = 1;
    std::vector<Advice> advice = {{"rule", "what", "evidence", "setting", "page"}};
    EXPECT_EQ(test::schema_errors("watch-2", to_json(window, advice)), "");
    EXPECT_EQ(test::schema_errors("watch-2", to_json(empty, {})), "");
    WatchTotals totals;
    totals.add(window);
    EXPECT_EQ(test::schema_errors("watch-2", final_json(totals, advice, "it was stopped", {})), "");
}

TEST(WatchJson, HasGapsSocketsAndTranslatedAddresses) {
    WatchWindow window = troubled_window_of(1);
    nlohmann::ordered_json json = to_json(window, {});
    EXPECT_EQ(test::schema_errors("watch-2", json), "");
    EXPECT_EQ(json["unseen"][0],
              nlohmann::ordered_json::parse(R"({"target": "db", "direction": "in", "stage": "backlog",
        "promised": 1204, "seen": 4, "why": "tap0 is fed by a user-mode network"})"));
    EXPECT_EQ(json["sockets"][0], nlohmann::ordered_json::parse(R"({"target": "web", "delivered": 1000, "read": 980,
        "waiting": 3, "oldest_ns": 4200000000, "listen_overflows": 12, "buffer_full": 1, "retransmitted": 18, "sent_segments": 0,
        "bad_checksums": 0, "throttled_periods": 9, "throttled_ns": 812000000, "quota": ""})"));
    EXPECT_EQ(json["slowest"][0]["translated_destination"], "10.9.0.2:12866");
    EXPECT_EQ(json["slowest"][0]["translated_source"], "");
    EXPECT_EQ(json["over_budget"], true);
    EXPECT_EQ(json["sample_ratio"], 1.25);
    EXPECT_EQ(json["arrived"][0]["devices"][0]["is_entry"], true);
    EXPECT_EQ(json["arrived"][0]["unseen"][0]["stage"], "backlog");
    EXPECT_EQ(json["series"][1]["from"], "data_ready@container");
    nlohmann::ordered_json packet = {{"schema", "vethtrace.packet/1"}};
    packet.update(to_json(window.slowest.front()));
    EXPECT_EQ(test::schema_errors("packet-1", packet), "");
    packet.erase("translated_source");
    packet.erase("translated_destination");
    EXPECT_EQ(test::schema_errors("packet-1", packet), "") << "an older one is still right";
    WatchTotals totals;
    totals.add(window);
    totals.add(troubled_window_of(2));
    nlohmann::ordered_json all = final_json(totals, {}, "it was stopped", {});
    EXPECT_EQ(test::schema_errors("watch-2", all), "");
    EXPECT_EQ(all["unseen"][0]["promised"], 2408);
    EXPECT_EQ(all["sockets"][0]["retransmitted"], 36);
    EXPECT_EQ(all["sockets"][0]["waiting"], 3);
    EXPECT_EQ(all["windows_over_budget"], 2);
    EXPECT_EQ(all["conservation"]["to_host"], 180);
}

// ---- where to look first in a recording

TEST(WatchMoments, AreThoseInWhichMostGrew) {
    WatchMoments moments(2);
    for (std::uint64_t number = 1; number <= 9; ++number) {
        WatchWindow window = window_of(number);
        window.drops.clear();
        if (number == 3 || number == 5 || number == 7)
            window.series[2] = series_of("db", Flow::in, Stage::backlog, 500, 10'000 * number);
        moments.add(window);
    }
    std::vector<WatchMoment> found = moments.moments();
    ASSERT_EQ(found.size(), 2);
    EXPECT_EQ(found[0].number, 5);
    EXPECT_EQ(found[1].number, 7);
    ASSERT_TRUE(found[1].worst);
    EXPECT_EQ(found[1].worst->group, "db");

    WatchMoments dropping(2);
    WatchWindow calm = window_of(1);
    calm.drops.clear();
    dropping.add(calm);
    EXPECT_TRUE(dropping.moments().empty());
    dropping.add(window_of(2));
    ASSERT_EQ(dropping.moments().size(), 1);
    EXPECT_EQ(dropping.moments()[0].dropped, 3);
}

} // namespace
} // namespace vethtrace
