// SPDX-License-Identifier: GPL-2.0-only
//
// What becomes of windows as metrics: buckets, labels and their number, sums, and where they are shown.
#include "export/exposition.hpp"
#include "export/metrics_text.hpp"
#include "export/octaves.hpp"
#include "export/pages.hpp"
#include "export/textfile.hpp"
#include "support/metrics.hpp"
#include "unit/watch_sample.hpp"

#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <sstream>
#include <sys/stat.h>

namespace vethtrace {
namespace {

using test::Metrics;
using test::series_of;
using test::target_named;
using test::times;
using test::troubled_window_of;
using test::window_of;

constexpr std::size_t plenty = 100'000;

Metrics metrics_of(const Exposition &exposition, const ExporterState &state = {}) {
    return Metrics(metrics_text(exposition, state));
}

// A window in which these containers are new and had so many packets in one stage.
WatchWindow window_with(const std::map<std::string, std::uint64_t> &packets, bool arrive,
                        Nanoseconds duration_ns = test::second_ns) {
    WatchWindow window;
    window.duration_ns = duration_ns;
    for (const auto &[name, count] : packets) {
        if (arrive)
            window.arrived.push_back(target_named(name));
        if (count != 0)
            window.series.push_back(series_of(name, Flow::out, Stage::backlog, count, 1000));
    }
    window.targets = packets.size();
    return window;
}

// ---- buckets

TEST(Octaves, HoldWhatIsAtMostTheirBound) {
    for (unsigned k = OctaveHistogram::least_bits; k <= OctaveHistogram::most_bits; ++k) {
        Nanoseconds power = Nanoseconds{1} << k;
        std::size_t index = k - OctaveHistogram::least_bits;
        ASSERT_EQ(OctaveHistogram::bound(index), power - 1);
        auto is_within = [&](Nanoseconds value) {
            OctaveHistogram histogram;
            histogram.add(times(1, value), 1);
            return histogram.cumulated().at(index) == 1;
        };
        EXPECT_TRUE(is_within(power - 1)) << "le is inclusive: 2^" << k << " - 1";
        EXPECT_FALSE(is_within(power)) << "2^" << k;
        EXPECT_FALSE(is_within(power + 1)) << "2^" << k << " + 1";
    }
}

TEST(Octaves, TellExactlyHowManyAreAtMostTheirBound) {
    std::mt19937_64 random(1);
    std::vector<Nanoseconds> values = {
        0, 1, 127, 128, Nanoseconds{1} << 30, Nanoseconds{1} << 36, ~Nanoseconds{0} >> 8};
    SparseHistogram histogram;
    for (int i = 0; i < 20'000; ++i)
        values.push_back(random() >> (24 + random() % 40));
    Nanoseconds sum = 0;
    for (Nanoseconds value : values) {
        histogram.add(value);
        sum += value;
    }
    OctaveHistogram octaves;
    octaves.add(histogram, 1);
    EXPECT_EQ(octaves.count(), values.size());
    EXPECT_EQ(octaves.sum(), sum);
    for (std::size_t i = 0; i < OctaveHistogram::bounds; ++i)
        EXPECT_EQ(octaves.cumulated().at(i),
                  std::count_if(values.begin(), values.end(),
                                [&](Nanoseconds value) { return value <= OctaveHistogram::bound(i); }))
            << i;
}

TEST(Octaves, AreWrittenAsSecondsToTheNanosecond) {
    Exposition exposition(plenty);
    WatchWindow window = window_with({{"web", 1}}, true);
    // One in each octave, at its lower end.
    window.series.clear();
    for (std::size_t i = 0; i < OctaveHistogram::bounds; ++i)
        window.series.push_back(series_of("web", Flow::out, Stage::backlog, 1, OctaveHistogram::bound(i) / 2 + 1));
    exposition.add(window);
    Metrics metrics = metrics_of(exposition);
    std::vector<double> bounds;
    for (const std::string &le : metrics.values_of("vethtrace_hop_latency_seconds_bucket", "le"))
        bounds.push_back(le == "+Inf" ? INFINITY : std::stod(le));
    std::sort(bounds.begin(), bounds.end());
    ASSERT_EQ(bounds.size(), OctaveHistogram::bounds + 1);
    for (std::size_t i = 0; i < OctaveHistogram::bounds; ++i)
        EXPECT_EQ(std::llround(bounds[i] * 1e9), (1LL << (7 + i)) - 1);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", {{"le", "1.27e-07"}}), 1);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", {{"le", "1.073741823"}}), 24);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", {{"le", "+Inf"}}), 24);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count"), 24);
}

// ---- labels and counts

TEST(Exposition, AddsWindowsUp) {
    Exposition exposition(plenty);
    exposition.add(window_of(1));
    exposition.add(window_of(2));
    Metrics metrics = metrics_of(exposition);
    Metrics::Labels web = {{"container", "web"}, {"mode", "bridge"}, {"direction", "out"}, {"stage", "backlog"}};
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", web), 4000);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_hop_latency_seconds_sum", web), 4000 * 1500e-9);
    web["le"] = "1.023e-06";
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", web), 0);
    web["le"] = "2.047e-06";
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", web), 4000);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"container", "db"}, {"direction", "in"}}), 1000);
    EXPECT_EQ(metrics.value("vethtrace_dropped_packets_total", {{"container", "web"},
                                                                {"mode", "bridge"},
                                                                {"direction", "out"},
                                                                {"station", "receive@host"},
                                                                {"reason", "NETFILTER_DROP"}}),
              6);
    EXPECT_EQ(metrics.value("vethtrace_targets", {{"mode", "bridge"}}), 2);
    EXPECT_EQ(metrics.value("vethtrace_target_info", {{"container", "db"},
                                                      {"kind", "container"},
                                                      {"runtime", "docker"},
                                                      {"netns", "4026532000"},
                                                      {"mode", "bridge"}}),
              1);
    // The books are cumulative already.
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_entered_total"), 7000);
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_ended_total"), 7000);
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_ended_total", {{"how", "dropped"}}), 6);
    EXPECT_EQ(metrics.value("vethtrace_books_balanced"), 1);
    EXPECT_EQ(metrics.value("vethtrace_followed_hops_total"), 7000);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_overhead_seconds_total"), 0.025);
    EXPECT_EQ(metrics.value("vethtrace_net_rx_runs_total"), 3400);
    EXPECT_EQ(metrics.value("vethtrace_net_rx_ksoftirqd_runs_total"), 20);
    EXPECT_EQ(metrics.value("vethtrace_windows_total"), 2);
    // The second window began 2 s after ...123, and took one.
    EXPECT_NEAR(metrics.value("vethtrace_last_window_timestamp_seconds"), 1'795'478'403.123, 0.001);
}

TEST(Exposition, TellsStagesThatAreNotSeenAndWhatWaitsInSockets) {
    Exposition exposition(plenty);
    WatchWindow full = troubled_window_of(1);
    full.sample_ratio = 1;
    exposition.add(full);
    WatchWindow sparse = troubled_window_of(2);
    sparse.sample = 4;
    sparse.sample_ratio = 4;
    exposition.add(sparse);
    Metrics metrics = metrics_of(exposition);
    Metrics::Labels db = {{"container", "db"}, {"mode", "bridge"}, {"direction", "in"}, {"stage", "backlog"}};
    EXPECT_EQ(metrics.value("vethtrace_unseen_stages", db), 1);
    EXPECT_EQ(metrics.value("vethtrace_unseen_packets_total", db), 1200 + 4 * 1200);
    // How many it should have been is not known, but that it is missing is.
    EXPECT_EQ(metrics.value("vethtrace_unseen_stages", {{"container", "web"}, {"stage", "qdisc"}}), 1);
    EXPECT_EQ(metrics.sum("vethtrace_unseen_packets_total", {{"container", "web"}}), 0);
    Metrics::Labels web = {{"container", "web"}, {"mode", "bridge"}};
    EXPECT_EQ(metrics.value("vethtrace_socket_delivered_total", web), 5 * 1000) << "one in four was followed";
    EXPECT_EQ(metrics.value("vethtrace_socket_read_total", web), 5 * 980);
    EXPECT_EQ(metrics.value("vethtrace_socket_unread_sockets", web), 3);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_socket_unread_seconds", web), 4.2);
    EXPECT_EQ(metrics.value("vethtrace_socket_buffer_full_total", web), 2) << "these the kernel counts, of all packets";
    EXPECT_EQ(metrics.value("vethtrace_listen_overflows_total", web), 24);
    EXPECT_EQ(metrics.value("vethtrace_retransmitted_segments_total", web), 36);
    EXPECT_EQ(metrics.value("vethtrace_throttled_periods_total", web), 18);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_throttled_seconds_total", web), 1.624);
    EXPECT_EQ(metrics.value("vethtrace_budget_exceeded"), 1);
    for (const auto &[how, count] : std::map<std::string, double>{{"left", 4000},
                                                                  {"delivered", 2000},
                                                                  {"control", 800},
                                                                  {"to_host", 180},
                                                                  {"completed", 14},
                                                                  {"dropped", 6}})
        EXPECT_EQ(metrics.value("vethtrace_followed_packets_ended_total", {{"how", how}}), count) << how;
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_ended_total"), 7000);
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_discarded_total"), 10);

    // What is now is told as it is now, and counts stay.
    exposition.add(window_of(3));
    metrics = metrics_of(exposition);
    EXPECT_EQ(metrics.sum("vethtrace_unseen_stages", db), 0);
    EXPECT_EQ(metrics.value("vethtrace_unseen_packets_total", db), 6000);
    EXPECT_EQ(metrics.sum("vethtrace_socket_unread_sockets", web), 0);
    EXPECT_EQ(metrics.sum("vethtrace_socket_unread_seconds", web), 0);
    EXPECT_EQ(metrics.value("vethtrace_listen_overflows_total", web), 24);
    EXPECT_EQ(metrics.value("vethtrace_budget_exceeded"), 0);
}

TEST(Exposition, CountsTargetsWithoutANameTogether) {
    Exposition exposition(plenty);
    WatchWindow window = window_with({{"a", 0}, {"b", 0}}, true); // no packets, so no names
    for (const char *name : {"a", "b"}) {
        window.unseen.push_back({name, Flow::in, Stage::backlog, 10, 3, ""});
        window.sockets.push_back({.target = name, .waiting = 2, .oldest = name == std::string("a") ? 3000U : 1000U});
    }
    exposition.add(window);
    Metrics metrics = metrics_of(exposition);
    EXPECT_EQ(metrics.value("vethtrace_unseen_stages", {{"container", "other"}}), 2);
    EXPECT_EQ(metrics.value("vethtrace_unseen_packets_total", {{"container", "other"}}), 14);
    EXPECT_EQ(metrics.value("vethtrace_socket_unread_sockets", {{"container", "other"}}), 4);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_socket_unread_seconds", {{"container", "other"}}), 3e-6) << "the oldest";
}

TEST(Exposition, TellsTheExporterItself) {
    ExporterState state;
    state.version = "1.2";
    state.libbpf = "1.1.2";
    state.kernel = "6.1";
    state.watching = false;
    state.max_overhead = 0.03;
    state.missed = 7;
    state.failed_looks = 2;
    state.failed_textfile_writes = 5;
    state.answers = {{200, 11}, {404, 1}};
    state.cut_connections = 3;
    state.resident_bytes = 8 << 20;
    state.cost = {1.5, 21};
    Metrics metrics = metrics_of(Exposition(plenty), state);
    EXPECT_EQ(metrics.value("vethtrace_build_info", {{"version", "1.2"}, {"libbpf", "1.1.2"}, {"kernel", "6.1"}}), 1);
    EXPECT_EQ(metrics.value("vethtrace_watching"), 0);
    EXPECT_EQ(metrics.value("vethtrace_overhead_limit_ratio"), 0.03);
    EXPECT_EQ(metrics.value("vethtrace_missed_events_total"), 7);
    EXPECT_EQ(metrics.value("vethtrace_failed_looks_total"), 2);
    EXPECT_EQ(metrics.value("vethtrace_failed_textfile_writes_total"), 5);
    EXPECT_EQ(metrics.value("vethtrace_http_answers_total", {{"status", "200"}}), 11);
    EXPECT_EQ(metrics.value("vethtrace_http_cut_connections_total"), 3);
    EXPECT_EQ(metrics.value("vethtrace_cpu_seconds_total"), 1.5);
    EXPECT_EQ(metrics.value("vethtrace_resident_memory_bytes"), 8 << 20);
    EXPECT_EQ(metrics.value("vethtrace_open_fds"), 21);
    OwnCost cost = read_own_cost();
    EXPECT_GT(cost.cpu_seconds, 0);
    EXPECT_GE(cost.descriptors, 3);
}

TEST(Exposition, CountsAllPacketsWhereOneInSomeWasFollowed) {
    Exposition exposition(plenty);
    exposition.add(window_of(1));
    WatchWindow sparse = window_of(2);
    sparse.sample = 16;
    sparse.sample_ratio = 16;
    exposition.add(sparse);
    Metrics metrics = metrics_of(exposition);
    Metrics::Labels web = {{"container", "web"}, {"stage", "backlog"}};
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", web), 2000 + 16 * 2000);
    EXPECT_DOUBLE_EQ(metrics.value("vethtrace_hop_latency_seconds_sum", web), 17 * 2000 * 1500e-9);
    EXPECT_EQ(metrics.value("vethtrace_dropped_packets_total"), 3 + 16 * 3);
    EXPECT_EQ(metrics.value("vethtrace_sample_ratio"), 1.0 / 16);
    EXPECT_EQ(metrics.value("vethtrace_followed_hops_total"), 7000) << "those that were measured";
}

TEST(Exposition, EscapesWhatNamesMayHold) {
    Exposition exposition(plenty);
    std::string name = "a\"b\\c{d}=,e\nf \xc3\xa4";
    exposition.add(window_with({{name, 1}}, true));
    EXPECT_EQ(metrics_of(exposition).value("vethtrace_hop_latency_seconds_count", {{"container", name}}), 1);
}

TEST(Exposition, HasNoNameForPacketsThatAreNobodys) {
    Exposition exposition(plenty);
    WatchWindow window = window_with({{"web", 5}, {"other", 7}, {"unknown", 11}}, true);
    window.series.push_back(series_of("", Flow::out, Stage::backlog, 3, 1000));
    window.drops = {{"", Flow::in, at(layout::POINT_RECEIVE, layout::ROLE_UPLINK), "NO_SOCKET", 2}};
    exposition.add(window);
    Metrics metrics = metrics_of(exposition);
    auto count = [&](const char *container) {
        return metrics.value("vethtrace_hop_latency_seconds_count", {{"container", container}});
    };
    EXPECT_EQ(count("web"), 5);
    EXPECT_EQ(count("other"), 7) << "a container whose name is that label";
    EXPECT_EQ(count("unknown"), 11 + 3);
    EXPECT_EQ(metrics.value("vethtrace_dropped_packets_total", {{"container", "unknown"}, {"mode", "other"}}), 2);
    EXPECT_EQ(metrics.values_of("vethtrace_target_info", "container"), std::vector<std::string>{"web"});
}

// ---- how many

// A node on which everything happens: every stage, direction and mode, many reasons, containers that come and go.
class Turmoil {
public:
    explicit Turmoil(std::size_t containers) : containers_(containers), modes_(all_modes().size()) {}

    WatchWindow next() {
        WatchWindow window;
        window.duration_ns = 60 * test::second_ns;
        window.sample = 1U << pick(5);
        window.sample_ratio = window.sample;
        for (std::size_t i = 0; i < containers_; ++i) {
            std::string name = "c" + std::to_string(i);
            if (first_ || pick(20) == 0) {
                Target target = target_named(name);
                target.mode = all_modes()[pick(modes_)].mode;
                window.arrived.push_back(target);
            }
            for (std::size_t j = 0, hops = pick(6); j < hops; ++j)
                window.series.push_back(
                    series_of(name, static_cast<Flow>(pick(2)),
                              static_cast<Stage>(pick(static_cast<std::size_t>(Stage::unforeseen) + 1)), 1 + pick(50),
                              pick(100'000)));
            if (pick(3) == 0)
                window.drops.push_back({name,
                                        static_cast<Flow>(pick(2)),
                                        {static_cast<std::uint32_t>(pick(30))},
                                        "REASON_" + std::to_string(pick(80)),
                                        1 + pick(9)});
            if (pick(3) == 0)
                window.unseen.push_back({name, static_cast<Flow>(pick(2)),
                                         static_cast<Stage>(pick(static_cast<std::size_t>(Stage::unforeseen) + 1)),
                                         10 + pick(50), pick(10), "nobody looks there"});
            if (pick(2) == 0)
                window.sockets.push_back(
                    {.target = name, .delivered = pick(50), .waiting = pick(3), .oldest = pick(99)});
            if (pick(20) == 0)
                window.gone.push_back(name);
        }
        first_ = false;
        return window;
    }

private:
    std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

    std::size_t containers_;
    std::size_t modes_;
    bool first_ = true;
    std::mt19937 random_{7};
};

class ExpositionOfTurmoil : public testing::TestWithParam<std::size_t> {
protected:
    using Packets = std::map<std::pair<Flow, Stage>, std::uint64_t>;

    // By hand: what a window adds.
    static Packets packets_in(const WatchWindow &window) {
        Packets packets;
        for (const WatchSeries &series : window.series)
            packets[{series.flow, series.stage}] += series.time.count() * window.sample;
        return packets;
    }
    static std::uint64_t drops_in(const WatchWindow &window) {
        std::uint64_t drops = 0;
        for (const WatchDrop &drop : window.drops)
            drops += drop.count * window.sample;
        return drops;
    }

    // As Prometheus reckons increases: of each series, and one that was not there has grown from nothing.
    Packets increase_of_packets(const Exposition &now) const {
        Packets packets;
        for (const auto &[labels, times] : now.hops()) {
            auto before = hops_.find(labels);
            OctaveHistogram earlier = before == hops_.end() ? OctaveHistogram() : before->second;
            for (std::size_t i = 0; i < OctaveHistogram::bounds; ++i)
                EXPECT_GE(times.cumulated().at(i), earlier.cumulated().at(i)) << labels.container;
            EXPECT_GE(times.sum(), earlier.sum());
            EXPECT_GE(times.count(), earlier.count());
            if (times.count() > earlier.count())
                packets[{labels.flow, labels.stage}] += times.count() - earlier.count();
        }
        return packets;
    }
    double increase_of_drops(const Exposition &now) const {
        double drops = 0;
        for (const auto &[labels, count] : now.drops()) {
            auto before = drops_.find(labels);
            double earlier = before == drops_.end() ? 0 : before->second;
            EXPECT_GE(count, earlier) << labels.container;
            drops += count - earlier;
        }
        return drops;
    }

    // Packets that were not seen, and those that sockets have taken.
    static std::pair<std::uint64_t, std::uint64_t> others_in(const WatchWindow &window) {
        std::uint64_t unseen = 0;
        std::uint64_t delivered = 0;
        for (const WatchUnseen &one : window.unseen)
            unseen += static_cast<std::uint64_t>(std::llround(window.all_of(one.promised - one.seen)));
        for (const WatchSockets &sockets : window.sockets)
            delivered += static_cast<std::uint64_t>(std::llround(window.all_of(sockets.delivered)));
        return {unseen, delivered};
    }
    std::pair<std::uint64_t, std::uint64_t> increase_of_others(const Exposition &now) const {
        std::uint64_t unseen = 0;
        std::uint64_t delivered = 0;
        for (const auto &[labels, figures] : now.unseen()) {
            auto before = unseen_.find(labels);
            unseen += figures.packets - (before == unseen_.end() ? 0 : before->second.packets);
        }
        for (const auto &[labels, sockets] : now.sockets()) {
            auto before = sockets_.find(labels);
            delivered += sockets.delivered - (before == sockets_.end() ? 0 : before->second.delivered);
        }
        return {unseen, delivered};
    }

    std::map<HopLabels, OctaveHistogram> hops_;
    std::map<DropLabels, double> drops_;
    std::map<HopLabels, UnseenFigures> unseen_;
    std::map<SocketLabels, WatchSockets> sockets_;
};

std::size_t series_in(const std::string &text) {
    std::size_t series = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        series += line.starts_with('#') ? 0 : 1;
    return series;
}

TEST_P(ExpositionOfTurmoil, KeepsItsBoundAndItsSumsAndNeverCountsBackwards) {
    std::size_t bound = GetParam();
    Exposition exposition(bound);
    Turmoil turmoil(300);
    std::size_t most = 0;
    std::set<std::string> named;
    for (int number = 0; number < 60; ++number) {
        WatchWindow window = turmoil.next();
        exposition.add(window);
        most = std::max(most, series_in(metrics_text(exposition, {})));
        ASSERT_EQ(increase_of_packets(exposition), packets_in(window)) << number;
        ASSERT_EQ(increase_of_drops(exposition), drops_in(window)) << number;
        ASSERT_EQ(increase_of_others(exposition), others_in(window)) << number;
        ASSERT_FALSE(HasFailure()) << number;
        hops_ = exposition.hops();
        drops_ = exposition.drops();
        unseen_ = exposition.unseen();
        sockets_ = exposition.sockets();
        for (const Target &target : exposition.targets())
            named.insert(target.name);
    }
    EXPECT_LE(most, bound);
    EXPECT_GE(most, std::min(bound / 4, std::size_t{10'000})) << "it is made use of";
    EXPECT_GE(named.size(), 2) << "names come and go";
    (void)Metrics(metrics_text(exposition, {})); // it can be read
}

INSTANTIATE_TEST_SUITE_P(Bounds, ExpositionOfTurmoil, testing::Values(Exposition::least_series, 5'000, 30'000),
                         [](const auto &each) { return "Of" + std::to_string(each.param); });

TEST(Exposition, NamesTheBusiestWhereThereIsNotRoomForAll) {
    Exposition exposition(3'000);
    std::map<std::string, std::uint64_t> packets;
    for (int i = 1; i <= 100; ++i)
        packets[fmt::format("c{:03}", i)] = static_cast<std::uint64_t>(i);
    exposition.add(window_with(packets, true));
    Metrics metrics = metrics_of(exposition);
    std::vector<std::string> named = metrics.values_of("vethtrace_target_info", "container");
    ASSERT_GE(named.size(), 3);
    ASSERT_LE(named.size(), 5);
    for (std::size_t i = 0; i < named.size(); ++i)
        EXPECT_EQ(named[named.size() - 1 - i], fmt::format("c{:03}", 100 - i));
    double others = 0;
    for (std::size_t i = 1; i <= 100 - named.size(); ++i)
        others += static_cast<double>(i);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"container", "other"}}), others);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count"), 5050);
    EXPECT_EQ(metrics.value("vethtrace_unnamed_containers"), 100 - static_cast<double>(named.size()));
}

TEST(Exposition, LetsOneThatIsFarBusierTakeTheNameOfAnotherButNotAtOnce) {
    Exposition exposition(Exposition::least_series); // one name
    exposition.add(window_with({{"quiet", 10}}, true));
    auto named = [&] { return metrics_of(exposition).values_of("vethtrace_target_info", "container"); };
    ASSERT_EQ(named(), std::vector<std::string>{"quiet"});
    exposition.add(window_with({{"busy", 1000}, {"quiet", 10}}, true, 100 * test::second_ns));
    EXPECT_EQ(named(), std::vector<std::string>{"quiet"}) << "a name stays for five minutes";
    exposition.add(window_with({{"busy", 1000}, {"quiet", 10}}, false, 250 * test::second_ns));
    EXPECT_EQ(named(), std::vector<std::string>{"busy"});
    Metrics metrics = metrics_of(exposition);
    EXPECT_EQ(metrics.sum("vethtrace_hop_latency_seconds_count", {{"container", "quiet"}}), std::nullopt);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"container", "busy"}}), 1000);
    EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"container", "other"}}), 1000 + 10)
        << "what busy had before, and what quiet has from now on";
    // Not the other way round again before five minutes have passed.
    exposition.add(window_with({{"busy", 1}, {"quiet", 100'000}}, false, 200 * test::second_ns));
    EXPECT_EQ(named(), std::vector<std::string>{"busy"});
    exposition.add(window_with({{"quiet", 100'000}}, false, 200 * test::second_ns));
    EXPECT_EQ(named(), std::vector<std::string>{"quiet"});
}

TEST(Exposition, GoesOnCountingForAContainerThatComesBackSoonAndBeginsAnewLater) {
    Exposition exposition(plenty);
    auto count = [&]() {
        return metrics_of(exposition).sum("vethtrace_hop_latency_seconds_count", {{"container", "web"}});
    };
    auto pass = [&](int seconds) {
        for (int i = 0; i < seconds; i += 10)
            exposition.add(window_with({}, false, 10 * test::second_ns));
    };
    exposition.add(window_with({{"web", 100}}, true));
    WatchWindow leaving = window_with({{"web", 10}}, false);
    leaving.gone = {"web"};
    exposition.add(leaving);
    EXPECT_EQ(count(), 110) << "what it had until the end is counted, and stays to be seen";
    pass(200);
    EXPECT_EQ(count(), 110);
    exposition.add(window_with({{"web", 5}}, true));
    EXPECT_EQ(count(), 115) << "it is back";
    leaving.series.clear();
    exposition.add(leaving);
    pass(310);
    EXPECT_EQ(count(), std::nullopt);
    // Back under its name: a series that begins anew must first have ended for those who look five minutes back.
    exposition.add(window_with({{"web", 7}}, true));
    EXPECT_EQ(count(), std::nullopt);
    EXPECT_EQ(metrics_of(exposition).value("vethtrace_hop_latency_seconds_count", {{"container", "other"}}), 7);
    exposition.add(window_with({{"web", 1000}}, false, 301 * test::second_ns));
    EXPECT_EQ(count(), 1000);
}

// ---- where it is shown

TEST(ExportPages, ShowMetricsAndHealth) {
    ExportPages pages(std::chrono::milliseconds(150));
    EXPECT_EQ(pages.page("/metrics")->status, 503);
    EXPECT_EQ(pages.page("/healthz")->status, 503);
    EXPECT_EQ(pages.page("/")->status, 200);
    EXPECT_FALSE(pages.page("/nothing"));
    pages.publish("a 1\n", std::nullopt);
    EXPECT_EQ(*pages.page("/metrics")->body, "a 1\n");
    EXPECT_EQ(pages.page("/healthz")->status, 200);
    pages.publish("a 2\n", "it costs too much");
    EXPECT_EQ(pages.page("/metrics")->status, 200) << "they tell why";
    EXPECT_EQ(pages.page("/healthz")->status, 503);
    EXPECT_EQ(*pages.page("/healthz")->body, "it costs too much\n");
    pages.publish("a 3\n", std::nullopt);
    usleep(200'000);
    EXPECT_EQ(pages.page("/healthz")->status, 503) << "the last window is long ago";
}

class TextfileTest : public testing::Test {
protected:
    void SetUp() override { std::filesystem::create_directories(directory_); }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string text() const {
        std::ifstream file(path_);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::filesystem::path directory_ = testing::TempDir() + fmt::format("textfile-{}", getpid());
    std::string path_ = directory_ / "vethtrace.prom";
};

TEST_F(TextfileTest, IsReplacedAsAWholeAndGoesInTheEnd) {
    {
        Textfile file(path_);
        ASSERT_TRUE(file.write("a 1\n"));
        std::ifstream reader(path_); // has opened it before it is replaced
        struct stat first = {};
        ASSERT_EQ(stat(path_.c_str(), &first), 0);
        EXPECT_EQ(first.st_mode & 0777, 0644);
        ASSERT_TRUE(file.write(std::string(1 << 20, 'x') + "\n"));
        struct stat second = {};
        ASSERT_EQ(stat(path_.c_str(), &second), 0);
        EXPECT_NE(first.st_ino, second.st_ino);
        std::string line;
        std::getline(reader, line);
        EXPECT_EQ(line, "a 1");
        EXPECT_EQ(text().size(), (1 << 20) + 1);
        EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1) << "nothing is left beside it";
    }
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(TextfileTest, TellsWhyItCannotBeWritten) {
    Textfile file(directory_ / "missing" / "vethtrace.prom");
    Result<void> written = file.write("a 1\n");
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().text().find("missing/vethtrace.prom"), std::string::npos);
    EXPECT_NE(written.error().hint.find("directory"), std::string::npos);
    EXPECT_FALSE(file.try_to_write());
}

TEST_F(TextfileTest, ATryLeavesNothingBehind) {
    Textfile file(path_);
    EXPECT_TRUE(file.try_to_write());
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

} // namespace
} // namespace vethtrace
