// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace export` on a node of its own.
#include "native/crowd.hpp"
#include "native/exporting.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace vethtrace::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Export : public Native {};

std::string text_of_file(const std::string &path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t resident_kib(pid_t pid) {
    std::string status = text_of_file(fmt::format("/proc/{}/status", pid));
    return std::stoull(status.substr(status.find("VmRSS:") + 6));
}

std::size_t descriptors(pid_t pid) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid)), {}));
}

// What `promtool check metrics` has to say, which is nothing if they are as they should be.
std::string lint(const std::string &metrics) {
    std::string file = testing::TempDir() + fmt::format("metrics-{}", getpid());
    std::ofstream(file) << metrics;
    Finished finished = run({"sh", "-c", "promtool check metrics <" + file});
    std::filesystem::remove(file);
    return finished.status == 0 ? finished.out + finished.err : "failed: " + finished.out + finished.err;
}

TEST_F(Export, ShowsWhatHasPassed) {
    Node node(3);
    auto server = node.serve(2);
    Exporting exporting(node.host(), {"--netns", node.container(1), "--netns", node.container(2), "-i", "0.3",
                                      "--max-overhead", "100"});
    exporting.expect_ready();
    Finished load = run(node.client_line(1, 2, {"-c", "1000"}));
    ASSERT_EQ(load.status, 0) << load.err;
    Metrics metrics = exporting.metrics_after_now();
    EXPECT_EQ(metrics.values_of("vethtrace_hop_latency_seconds_count", "container"),
              (std::vector<std::string>{node.container(1), node.container(2)}));
    for (const char *words : {"out qdisc", "out device_xmit", "out backlog", "out bridge", "in qdisc", "in device_xmit",
                              "in backlog", "in stack_rx", "in wakeup"}) {
        std::string hop = words;
        std::size_t space = hop.find(' ');
        Metrics::Labels labels = {{"container", node.container(1)},
                                  {"mode", "bridge"},
                                  {"direction", hop.substr(0, space)},
                                  {"stage", hop.substr(space + 1)}};
        double count = metrics.value("vethtrace_hop_latency_seconds_count", labels);
        EXPECT_GE(count, 1200) << hop;
        EXPECT_LE(count, 1400) << hop;
        double sum = metrics.value("vethtrace_hop_latency_seconds_sum", labels);
        EXPECT_GT(sum, count * 20e-9) << hop;
        EXPECT_LT(sum, count * 1e-2) << hop;
        labels["le"] = "+Inf";
        EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_bucket", labels), count) << hop;
    }
    EXPECT_EQ(metrics.value("vethtrace_books_balanced"), 1);
    EXPECT_EQ(metrics.value("vethtrace_followed_packets_entered_total"),
              metrics.value("vethtrace_followed_packets_ended_total") +
                  metrics.value("vethtrace_followed_packets_in_flight"));
    EXPECT_EQ(metrics.value("vethtrace_sample_ratio"), 1);
    EXPECT_EQ(metrics.value("vethtrace_missed_events_total"), 0);
    EXPECT_EQ(metrics.value("vethtrace_unplaced_hops_total"), 0);
    EXPECT_EQ(metrics.value("vethtrace_watching"), 1);
    EXPECT_GT(metrics.value("vethtrace_overhead_seconds_total"), 0);
    EXPECT_EQ(metrics.value("vethtrace_target_info",
                            {{"container", node.container(1)}, {"kind", "netns"}, {"mode", "bridge"}}),
              1);

    EXPECT_EQ(lint(exporting.get("/metrics").body), "");
    EXPECT_EQ(exporting.get("/healthz").body, "ok\n");
    EXPECT_NE(exporting.get("/").body.find("href=\"/metrics\""), std::string::npos);
    EXPECT_EQ(exporting.get("/else").status, 404);

    Finished stopped = exporting.stop();
    EXPECT_EQ(stopped.status, 0) << stopped.err;
    EXPECT_EQ(stopped.out, "http://127.0.0.1:9954/metrics\n");
    EXPECT_EQ(stopped.err, "");
}

TEST_F(Export, HoldsNoPrivilegesWhileItServes) {
    Node node(1);
    Exporting exporting(node.host(), {"--all"});
    exporting.expect_ready();
    int threads = 0;
    int without_any = 0;
    for (const auto &task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", exporting.pid()))) {
        std::string status = text_of_file(task.path() / "status");
        EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
        without_any += status.find("CapPrm:\t0000000000000000") != std::string::npos ? 1 : 0;
        ++threads;
    }
    EXPECT_EQ(threads, 2);
    EXPECT_EQ(without_any, 1) << "the one that talks to clients";
}

TEST_F(Export, GivesAllClientsTheSameTextUntilTheNextWindow) {
    Node node(1);
    Exporting exporting(node.host(), {"--all", "-i", "30"});
    exporting.expect_ready();
    std::string first = exporting.get("/metrics").body;
    EXPECT_NE(first, "");
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(exporting.get("/metrics").body, first);
}

TEST_F(Export, CountsOnAsContainersComeAndGo) {
    Node node(2);
    Exporting exporting(node.host(), {"--all", "-i", "0.2", "--max-overhead", "100", "--max-series", "1000000"});
    exporting.expect_ready();
    auto server = node.serve(1);
    auto sent = [&](const Metrics &metrics, int i) {
        return metrics.value("vethtrace_hop_latency_seconds_count",
                             {{"container", node.container(i)}, {"direction", "out"}, {"stage", "device_xmit"}});
    };
    auto send = [&](int i, const char *transactions) {
        Finished load = run(node.client_line(i, 1, {"-c", transactions, "--timeout", "50"}));
        EXPECT_EQ(load.status, 0) << load.err;
        return exporting.metrics_after_now();
    };
    // Targets are looked for once a second: until what the container sends is counted.
    auto await = [&](int i) {
        double before = sent(exporting.metrics(), i);
        for (int tries = 0; tries < 50; ++tries)
            if (sent(send(i, "1"), i) > before)
                return;
        ADD_FAILURE() << "container " << i << " is not found";
    };
    Metrics before = send(2, "200");
    EXPECT_GE(sent(before, 2), 200);

    node.add(3);
    node.remove(2);
    await(3);
    Metrics without = send(3, "200");
    EXPECT_EQ(without.fallen_since(before), std::vector<std::string>());
    EXPECT_GE(sent(without, 2), sent(before, 2)) << "it stays for a while";
    EXPECT_GE(sent(without, 3), 200);

    node.add(2);
    await(2);
    Metrics again = send(2, "300");
    EXPECT_EQ(again.fallen_since(without), std::vector<std::string>());
    EXPECT_GE(sent(again, 2), sent(without, 2) + 300) << "it goes on counting";
    EXPECT_EQ(again.value("vethtrace_watching"), 1);
    EXPECT_EQ(again.value("vethtrace_failed_looks_total"), 0);
}

TEST_F(Export, TakesNoContainerForThatWhoseInodeItHas) {
    Node node(2);
    Exporting exporting(node.host(), {"--netns", node.container(1), "--netns", node.container(2), "-i", "0.2"});
    exporting.expect_ready();
    auto bridged = [&] { return exporting.metrics_after_now().value("vethtrace_targets", {{"mode", "bridge"}}); };
    ASSERT_EQ(bridged(), 2);
    // Between two looks, if they come in time: the same inodes again, but the other number in the host for each.
    for (int i = 0; i < 3; ++i) {
        node.remove(1);
        node.remove(2);
        std::this_thread::sleep_for(std::chrono::milliseconds(150)); // the kernel cleans up later
        for (int container : {1, 2})
            Node::run_script("ip netns add " + node.container(container));
        node.connect(i % 2 == 0 ? 2 : 1);
        node.connect(i % 2 == 0 ? 1 : 2);
        std::this_thread::sleep_for(std::chrono::milliseconds(1300));
        EXPECT_EQ(bridged(), 2);
    }
}

TEST_F(Export, CountsAllPacketsWhenItFollowsOneInSixteen) {
    Node node(2);
    auto server = node.serve(2);
    Exporting exporting(node.host(), {"--netns", node.container(1), "--netns", node.container(2), "-i", "0.3",
                                      "--sample", "16", "--max-overhead", "100"});
    exporting.expect_ready();
    constexpr double sent = 20'000;
    ASSERT_EQ(run(node.client_line(1, 2, {"-c", "20000", "--warmup", "0"})).status, 0);
    Metrics metrics = exporting.metrics_after_now();
    EXPECT_GT(metrics.value("vethtrace_sample_ratio"), 0);
    EXPECT_LE(metrics.value("vethtrace_sample_ratio"), 1);
    double counted = metrics.value("vethtrace_hop_latency_seconds_count",
                                   {{"container", node.container(1)}, {"direction", "out"}, {"stage", "qdisc"}});
    // 1,250 are followed, give or take 34: five times that is 14 %. Some packets more carry no request.
    EXPECT_GE(counted, sent * 0.86);
    EXPECT_LE(counted, sent * 1.2);
    double hops = metrics.value("vethtrace_hop_latency_seconds_count");
    EXPECT_NEAR(metrics.value("vethtrace_followed_hops_total") * 16, hops, hops * 0.2);
}

TEST_F(Export, WritesAFileForNodeExporter) {
    Node node(2);
    std::string directory = testing::TempDir() + fmt::format("textfiles-{}", getpid());
    std::filesystem::create_directory(directory);
    std::string path = directory + "/vethtrace.prom";
    auto server = node.serve(2);
    Process exporting(Node::in(node.host(), vethtrace_line({"export", "--all", "-i", "0.1", "--textfile", path})));
    for (int tries = 0; tries < 1000 && !std::filesystem::exists(path); ++tries)
        std::this_thread::sleep_for(milliseconds(20));
    Process load(node.client_line(1, 2, {"-d", "2"}));
    // Whoever reads it at whatever time reads the whole of it.
    auto until = Clock::now() + seconds(2);
    double windows = 0;
    while (Clock::now() < until) {
        std::string text = text_of_file(path);
        ASSERT_TRUE(text.ends_with('\n'));
        Metrics metrics(text);
        EXPECT_GE(metrics.value("vethtrace_windows_total"), windows);
        EXPECT_TRUE(metrics.sum("vethtrace_http_cut_connections_total")) << "the last of all metrics";
        windows = metrics.value("vethtrace_windows_total");
    }
    EXPECT_GE(windows, 5);
    EXPECT_GT(Metrics(text_of_file(path)).value("vethtrace_hop_latency_seconds_count"), 1000);
    EXPECT_EQ(lint(text_of_file(path)), "");
    EXPECT_FALSE(inside(node.host(), [] { return static_cast<bool>(connect_to("127.0.0.1", Exporting::port)); }))
        << "nothing listens that was not asked to";
    exporting.signal(SIGTERM);
    EXPECT_EQ(exporting.wait().status, 0);
    EXPECT_TRUE(std::filesystem::is_empty(directory));
    std::filesystem::remove_all(directory);
}

// The file lies on a file system of the exporter's own, of 256 KiB.
TEST_F(Export, GoesOnWhenTheDiskIsFull) {
    Node node(1);
    std::string directory = testing::TempDir() + fmt::format("full-disk-{}", getpid());
    std::filesystem::create_directory(directory);
    std::vector<std::string> words = {"export",   "--all",          "-i",         "0.1",
                                      "--listen", "127.0.0.1:9954", "--textfile", directory + "/vethtrace.prom"};
    allow_sanitizers(words);
    std::vector<std::string> line = {"sh", "-c", "mount -t tmpfs -o size=256k none " + directory + " && exec \"$@\"",
                                     "sh"};
    for (const std::string &word : vethtrace_line(words))
        line.push_back(word);
    Process exporting(Node::in(node.host(), line)); // which has a mount namespace of its own
    std::string seen_by_it = fmt::format("/proc/{}/root{}", exporting.pid(), directory);
    auto windows_in_file = [&] {
        std::string text = text_of_file(seen_by_it + "/vethtrace.prom");
        return text.empty() ? 0 : Metrics(text).value("vethtrace_windows_total");
    };
    auto served = [&] { return Metrics(inside(node.host(), [] { return get("127.0.0.1", 9954, "/metrics"); }).body); };
    auto wait_for = [&](const auto &condition) {
        for (int tries = 0; tries < 500 && !condition(); ++tries)
            std::this_thread::sleep_for(milliseconds(20));
        EXPECT_TRUE(condition());
    };
    wait_for([&] { return windows_in_file() >= 3; });

    constexpr std::size_t more_than_there_is = 512 << 10;
    std::ofstream(seen_by_it + "/full") << std::string(more_than_there_is, 'x');
    wait_for([&] { return served().value("vethtrace_failed_textfile_writes_total") >= 10; });
    std::string left = text_of_file(seen_by_it + "/vethtrace.prom");
    EXPECT_TRUE(left.ends_with('\n')) << "what was there stays as a whole";
    Metrics meanwhile = served();
    EXPECT_GE(meanwhile.value("vethtrace_windows_total"), Metrics(left).value("vethtrace_windows_total") + 9);

    std::filesystem::remove(seen_by_it + "/full");
    wait_for([&] { return windows_in_file() > meanwhile.value("vethtrace_windows_total"); });
    double failures = served().value("vethtrace_failed_textfile_writes_total");
    std::this_thread::sleep_for(milliseconds(500));
    EXPECT_EQ(served().value("vethtrace_failed_textfile_writes_total"), failures);
    exporting.signal(SIGTERM);
    Finished finished = exporting.wait();
    EXPECT_EQ(finished.status, 0);
    std::size_t told = finished.err.find("No space left on device");
    EXPECT_NE(told, std::string::npos) << finished.err;
    EXPECT_EQ(finished.err.find("No space left on device", told + 1), std::string::npos) << finished.err;
    std::filesystem::remove_all(directory);
}

TEST_F(Export, TellsWhatItCannotDo) {
    Node node(1);
    Exporting exporting(node.host(), {"--all"});
    exporting.expect_ready();
    Finished second = run(Node::in(node.host(), vethtrace_line({"export", "--all"})));
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.err.find("127.0.0.1:9954: "), std::string::npos) << second.err;
    EXPECT_NE(second.err.find("--listen"), std::string::npos) << second.err;
    Finished no_directory =
        run(Node::in(node.host(), vethtrace_line({"export", "--all", "--textfile", "/no/such/x.prom"})));
    EXPECT_EQ(no_directory.status, 1);
    EXPECT_NE(no_directory.err.find("/no/such/x.prom"), std::string::npos) << no_directory.err;
    Finished no_container = run(
        Node::in(node.host(), vethtrace_line({"export", "--container", "no-such", "--textfile", "/no/such/x.prom"})));
    EXPECT_EQ(no_container.status, 2) << no_container.err;
}

TEST_F(Export, StaysAndSaysSoWhenItHasGivenUp) {
    Node node(2);
    auto server = node.serve(2);
    Exporting exporting(node.host(), {"--all", "--max-overhead", "0.01", "-i", "0.1"});
    exporting.expect_ready();
    EXPECT_EQ(exporting.metrics().value("vethtrace_watching"), 1);
    Process load(node.client_line(1, 2, {"-d", "15"}));
    int status = 200;
    for (int tries = 0; tries < 300 && status == 200; ++tries) {
        std::this_thread::sleep_for(milliseconds(50));
        status = exporting.get("/healthz").status;
    }
    EXPECT_EQ(status, 503);
    EXPECT_NE(exporting.get("/healthz").body.find("cannot be kept"), std::string::npos);
    Metrics metrics = exporting.metrics_after_now();
    EXPECT_EQ(metrics.value("vethtrace_watching"), 0);
    Finished stopped = exporting.stop();
    EXPECT_EQ(stopped.status, 0);
    EXPECT_NE(stopped.err.find("nothing is followed any more"), std::string::npos) << stopped.err;
}

TEST_F(Export, GoesOnUnderTwoHundredSlowClients) {
    Node node(2);
    auto server = node.serve(2);
    Exporting exporting(node.host(), {"--all", "-i", "0.2"});
    exporting.expect_ready();
    ASSERT_EQ(run(node.client_line(1, 2, {"-c", "500"})).status, 0);
    double windows = exporting.metrics_after_now().value("vethtrace_windows_total");
    std::size_t open = descriptors(exporting.pid());
    std::uint64_t resident = resident_kib(exporting.pid());
    Clock::duration slowest{};
    int late = inside(node.host(), [&] {
        int late_ones = 0;
        std::vector<Fd> clients;
        for (int round = 0; round < 6; ++round) {
            clients.clear();
            for (int i = 0; i < 200; ++i) {
                clients.push_back(connect_to("127.0.0.1", Exporting::port));
                EXPECT_TRUE(clients.back()) << i;
                const char *words[] = {"", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                                       "\x16\x03\x01 no HTTP at all\r\n\r\n"};
                (void)send_some(clients.back(), words[i % 4]);
            }
            for (int i = 0; i < 3; ++i) {
                auto begun = Clock::now();
                HttpAnswer answer = test::get("127.0.0.1", Exporting::port, "/metrics");
                slowest = std::max(slowest, Clock::now() - begun);
                late_ones += Clock::now() - begun > seconds(1) ? 1 : 0;
                EXPECT_EQ(answer.status, 200) << round;
                EXPECT_TRUE(answer.body.ends_with('\n'));
                std::this_thread::sleep_for(milliseconds(50));
            }
        }
        EXPECT_LE(descriptors(exporting.pid()), open + 33) << "while all are there";
        return late_ones;
    });
    EXPECT_LE(late, 1) << "of 18, on a machine that may be busy with something else";
    Metrics metrics = exporting.metrics_after_now();
    EXPECT_GE(metrics.value("vethtrace_windows_total"), windows + 5) << "the watcher goes on";
    EXPECT_GE(metrics.value("vethtrace_http_cut_connections_total"), 6 * 50) << "of those that ask for nothing";
    for (int tries = 0; tries < 1200 && descriptors(exporting.pid()) > open; ++tries)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_LE(descriptors(exporting.pid()), open);
#ifndef __SANITIZE_ADDRESS__ // keeps freed memory
    EXPECT_LT(resident_kib(exporting.pid()), resident + 4096);
#endif
    RecordProperty("slowest_scrape_us",
                   std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(slowest).count()));
    EXPECT_EQ(exporting.stop().status, 0);
}

TEST_F(Export, ScrapesANodeOfAThousandContainersInTimeAndWithinItsBound) {
    constexpr int containers = 1000;
    constexpr std::uint64_t packets = 5;
    Crowd crowd(containers);
    auto begun = Clock::now();
    Exporting exporting(crowd.host(), {"--all", "-i", "1", "--max-histograms", "16384", "--max-overhead", "100",
                                       "--port", std::to_string(Crowd::port)});
    exporting.expect_ready();
    auto ready = Clock::now() - begun;
    crowd.pass_on(packets);
    Metrics metrics = exporting.metrics_after_now();

    // Each container has sent and received so many, whoever has a name: the sums over all are exact.
    for (const char *stage : {"qdisc", "device_xmit", "backlog"})
        EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"direction", "out"}, {"stage", stage}}),
                  containers * packets)
            << stage;
    for (const char *stage : {"qdisc", "device_xmit", "backlog", "stack_rx", "wakeup"})
        EXPECT_EQ(metrics.value("vethtrace_hop_latency_seconds_count", {{"direction", "in"}, {"stage", stage}}),
                  containers * packets)
            << stage;
    EXPECT_EQ(metrics.value("vethtrace_unplaced_hops_total"), 0);
    EXPECT_GE(metrics.value("vethtrace_targets", {{"mode", "veth"}}), containers);
    double named = static_cast<double>(metrics.values_of("vethtrace_target_info", "container").size());
    EXPECT_GE(named, 80);
    EXPECT_GE(named + metrics.value("vethtrace_unnamed_containers"), containers);
    EXPECT_EQ(metrics.value("vethtrace_max_series"), 30'000);
    EXPECT_LE(metrics.samples().size(), 30'000);
    EXPECT_GE(metrics.samples().size(), 15'000);

    std::vector<double> milliseconds_of_scrapes;
    std::size_t bytes = 0;
    inside(crowd.host(), [&] {
        for (int i = 0; i < 21; ++i) {
            auto asked = Clock::now();
            HttpAnswer answer = test::get("127.0.0.1", Exporting::port, "/metrics");
            milliseconds_of_scrapes.push_back(std::chrono::duration<double, std::milli>(Clock::now() - asked).count());
            bytes = std::max(bytes, answer.body.size());
            std::this_thread::sleep_for(milliseconds(100)); // so that several windows end meanwhile
        }
        return true;
    });
    std::sort(milliseconds_of_scrapes.begin(), milliseconds_of_scrapes.end());
    EXPECT_LT(bytes, std::size_t{5} << 20);
    EXPECT_LT(milliseconds_of_scrapes[10], 1000) << "measured: 2 ms, when the machine is idle";
    std::string figures = fmt::format(
        "{} containers: {} series, {:.2f} MiB; scrape {:.1f} ms, at most {:.1f} ms; ready after {:.1f} s, {} MiB "
        "resident, {:.2f} s of CPU in {} windows",
        containers, metrics.samples().size(), static_cast<double>(bytes) / (1 << 20), milliseconds_of_scrapes[10],
        milliseconds_of_scrapes.back(), std::chrono::duration<double>(ready).count(),
        resident_kib(exporting.pid()) / 1024, exporting.metrics().value("vethtrace_cpu_seconds_total"),
        exporting.metrics().value("vethtrace_windows_total"));
    std::printf("%s\n", figures.c_str());
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(resident_kib(exporting.pid()), 64 * 1024) << "measured: 31 MiB";
#endif
    RecordProperty("figures", figures);
    EXPECT_EQ(exporting.stop().status, 0);
}

} // namespace
} // namespace vethtrace::test
