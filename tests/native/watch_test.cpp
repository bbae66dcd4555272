// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace watch` on a node of its own: what it finds, whose it says it is, and that nothing is lost.
#include "native/watching.hpp"
#include "netns/netns.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <map>
#include <set>
#include <sstream>
#include <sys/socket.h>
#include <thread>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

class Watch : public Native {};

std::uint64_t drops_in(const Json &line, const std::string &target, const std::string &reason) {
    std::uint64_t count = 0;
    for (const Json &drop : line["drops"])
        if (drop["reason"] == reason && drop["target"] == target)
            count += drop["count"].get<std::uint64_t>();
    return count;
}

// Kernels before 5.17 give no reasons.
bool has_reasons() {
    return run({"sh", "-c",
                "grep -q SKB_DROP_REASON /sys/kernel/tracing/events/skb/kfree_skb/format 2>/dev/null || "
                "[ $(uname -r | cut -d. -f1) -ge 6 ]"})
               .status == 0;
}

// Of UDP, in that namespace.
Fd unread_socket(const std::string &netns, std::uint16_t port) {
    Result<Netns> opened = Netns::open(netns);
    EXPECT_TRUE(opened);
    Result<InNamespace> inside = InNamespace::enter(opened->fd());
    EXPECT_TRUE(inside);
    Fd made(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)), 0);
    return made;
}

TEST_F(Watch, TellsContainersThatAreNamedFromOthers) {
    Node node(3);
    auto server = node.serve(2);
    Watching watching(node, {"--netns", node.container(1)});
    Finished load = run(node.client_line(1, 2, {"-c", "1000"}));
    ASSERT_EQ(load.status, 0) << load.err;
    std::vector<Json> lines = watching.finish();
    ASSERT_FALSE(lines.empty());
    const Json &all = lines.back();
    EXPECT_TRUE(all["final"]);
    EXPECT_EQ(all["ended"], "it was stopped");
    EXPECT_EQ(targets_in(all), std::set<std::string>{node.container(1)});
    std::map<std::string, std::uint64_t> counts = counts_in(all);
    for (const char *stage : {"out qdisc", "out device_xmit", "out backlog", "out bridge", "in qdisc", "in device_xmit",
                              "in backlog", "in stack_rx", "in wakeup"}) {
        std::uint64_t count = counts[node.container(1) + " " + stage];
        EXPECT_GE(count, 1200) << stage;
        EXPECT_LE(count, 1300) << stage;
    }
    EXPECT_TRUE(all["conservation"]["balanced"]);
    EXPECT_EQ(all["conservation"]["stale"], 0);
    EXPECT_EQ(all["conservation"]["in_flight"], 0);
}

TEST_F(Watch, KnowsAPacketFromOneContainerToAnother) {
    Node node(2);
    auto server = node.serve(2);
    Watching watching(node, {"--all", "--proto", "tcp"});
    ASSERT_EQ(run(node.client_line(1, 2, {"-c", "500"})).status, 0);
    std::vector<Json> lines = watching.finish();
    std::map<std::string, std::uint64_t> counts = counts_in(lines.back());
    // What leaves one comes to the other.
    std::uint64_t sent = counts[node.container(1) + " out qdisc"];
    EXPECT_GE(sent, 700);
    EXPECT_EQ(counts[node.container(2) + " in qdisc"], sent);
    EXPECT_EQ(counts[node.container(1) + " out bridge"], sent);
    bool both = false;
    for (const Json &line : lines)
        if (!line["final"])
            for (const Json &packet : line["slowest"])
                both = both || packet["target"] == node.container(1) + " -> " + node.container(2) ||
                       packet["target"] == node.container(2) + " -> " + node.container(1);
    EXPECT_TRUE(both);
}

TEST_F(Watch, SeesUdpAndIpv6) {
    Node node(2);
    if (run(Node::in(node.container(1), {"sh", "-c", "ip -6 addr show dev eth0 | grep -q fd99::1"})).status != 0)
        GTEST_SKIP() << "needs IPv6 in the kernel";
    auto server = node.serve(2);
    Watching watching(node, {"--netns", node.container(1), "--peer", "fd99::/64"});
    ASSERT_EQ(run(Node::in(node.container(1), vethtrace_line({"rr", "run", "fd99::2", "-c", "500"}))).status, 0);
    ASSERT_EQ(run(node.client_line(1, 2, {"-c", "500"})).status, 0); // IPv4: not asked for
    std::vector<Json> lines = watching.finish();
    std::uint64_t v6 = counts_in(lines.back())[node.container(1) + " out qdisc"];
    EXPECT_GE(v6, 700);
    EXPECT_LE(v6, 800);

    Watching udp(node, {"--netns", node.container(2), "--proto", "udp", "--port", "7777"});
    ASSERT_EQ(run(Node::in(node.container(1), {VETHTRACE_FLOOD, Node::address(2), "7777", "100000", "300"})).status, 0);
    ASSERT_EQ(run(Node::in(node.container(1), {VETHTRACE_FLOOD, Node::address(2), "7778", "100000", "300"})).status, 0);
    lines = udp.finish();
    EXPECT_EQ(counts_in(lines.back())[node.container(2) + " in backlog"], 300);
    if (has_reasons()) {
        EXPECT_EQ(drops_in(lines.back(), node.container(2), "NO_SOCKET"), 300) << lines.back()["drops"];
    }
    EXPECT_TRUE(lines.back()["conservation"]["balanced"]);
}

TEST_F(Watch, CountsDropsByTheKernelsReason) {
    Node node(2);
    if (run({"sh", "-c", "command -v nft"}).status != 0)
        GTEST_SKIP() << "needs nft";
    // No packets but ours: neither ARP nor IPv6's own.
    node.settle(1, 2);
    // By netfilter in the container of the receiver; by the qdisc on the way to it; by a socket that nobody reads.
    Node::run_script(fmt::format("ip netns exec {} nft 'table ip t {{ chain i {{ type filter hook input priority 0; "
                                 "udp dport 7001 counter drop; }}; }}'",
                                 node.container(2)));
    Fd socket = unread_socket(node.container(2), 7002);
    Watching watching(node, {"--netns", node.container(2)});
    auto flood = [&](const char *port, const char *packets) {
        Finished sent = run(Node::in(node.container(1), {VETHTRACE_FLOOD, Node::address(2), port, "30000", packets}));
        ASSERT_EQ(sent.status, 0) << sent.err;
    };
    flood("7001", "29");
    flood("7002", "3000");
    Node::run_script(
        fmt::format("ip netns exec {} tc qdisc add dev v2 root tbf rate 8kbit burst 100 limit 300", node.host()));
    flood("7003", "50");
    std::this_thread::sleep_for(milliseconds(400));
    Finished queue = run(Node::in(node.host(), {"tc", "-s", "-j", "qdisc", "show", "dev", "v2"}));
    Finished udp =
        run(Node::in(node.container(2), {"sh", "-c", "awk '/^Udp:/ && ++n == 2 {print $6}' /proc/net/snmp"}));
    std::vector<Json> lines = watching.finish();
    if (!has_reasons())
        GTEST_SKIP() << "needs reasons for drops (5.17)";
    const Json &all = lines.back();
    std::string target = node.container(2);
    EXPECT_EQ(drops_in(all, target, "NETFILTER_DROP"), 29) << all["drops"];
    std::uint64_t overrun = std::stoull(udp.out);
    EXPECT_GT(overrun, 0);
    EXPECT_EQ(drops_in(all, target, "SOCKET_RCVBUFF"), overrun) << all["drops"];
    std::uint64_t dropped = Json::parse(queue.out).at(0)["drops"];
    EXPECT_GT(dropped, 0);
    std::uint64_t by_qdisc = 0; // its reason has had several names
    for (const Json &drop : all["drops"])
        if (drop["last"] == "queue@host")
            by_qdisc += drop["count"].get<std::uint64_t>();
    EXPECT_EQ(by_qdisc, dropped) << all["drops"];
    EXPECT_TRUE(all["conservation"]["balanced"]) << all["conservation"];
}

TEST_F(Watch, PicksUpContainersThatComeAndGo) {
    Node node(1);
    Watching watching(node, {"--all", "-i", "0.2"});
    node.add(2);
    std::this_thread::sleep_for(milliseconds(1500));
    auto server = node.serve(1);
    ASSERT_EQ(run(node.client_line(2, 1, {"-c", "200"})).status, 0);
    server.reset();
    node.remove(2);
    std::this_thread::sleep_for(milliseconds(1500));
    std::vector<Json> lines = watching.finish();
    std::string notes;
    for (const Json &line : lines)
        if (!line["final"])
            for (const Json &note : line["notes"])
                notes += note.get<std::string>() + "\n";
    EXPECT_NE(notes.find(node.container(2) + " has come"), std::string::npos) << notes;
    EXPECT_NE(notes.find(node.container(2) + " is gone"), std::string::npos) << notes;
    EXPECT_GE(counts_in(lines.back())[node.container(2) + " out qdisc"], 400);
}

TEST_F(Watch, SaysWhyThereIsNothingToSee) {
    Node node(1);
    Finished finished =
        run(node.watch_line({"--netns", node.container(1), "--port", "4711", "-i", "0.2", "-d", "0.7"}));
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_NE(finished.out.find("no packets in this window"), std::string::npos) << finished.out;
    EXPECT_NE(finished.out.find("Likely reasons"), std::string::npos) << finished.out;
    EXPECT_NE(finished.out.find("--port 4711"), std::string::npos) << finished.out;
    EXPECT_EQ(finished.out.find('\033'), std::string::npos) << "no colours in a pipe";
}

TEST_F(Watch, RefusesWhatFitsNothing) {
    Node node(1);
    auto refused = [&](std::vector<std::string> words, const std::string &text) {
        Finished finished = run(node.watch_line(words));
        EXPECT_EQ(finished.status, 2) << words.front();
        EXPECT_NE(finished.err.find(text), std::string::npos) << finished.err;
        EXPECT_EQ(finished.out, "");
    };
    refused({"--container", "no-such"}, "fits nothing");
    refused({"--netns", node.container(1) + "x"}, "did you mean " + node.container(1));
    refused({"-I", "br1"}, "did you mean br0");
    refused({"--netns", std::to_string(1U << 22)}, "");
    refused({"--peer", "10.0.0.300"}, "is not an address");
    refused({"--slower-than", "1"}, "is not a duration");
    refused({"--all", "--netns", node.container(1)}, "--all");
    refused({"--record", "/no/such/directory/file", "--interval", "0"}, "--interval");
    Finished unwritable = run(node.watch_line({"--record", "/no/such/directory/file"}));
    EXPECT_EQ(unwritable.status, 1);
}

TEST_F(Watch, TellsPacketsThatTakeTooLongButNotAllOfThem) {
    Node node(2);
    auto server = node.serve(2);
    Watching watching(node, {"--netns", node.container(1), "--slower-than", "10ns", "-i", "0.5"});
    ASSERT_EQ(run(node.client_line(1, 2, {"-c", "2000"})).status, 0);
    std::vector<Json> lines = watching.finish();
    std::uint64_t told = 0;
    for (const Json &line : lines)
        if (line["schema"] == "vethtrace.packet/1") {
            ++told;
            EXPECT_EQ(schema_errors("packet-1", line), "");
            EXPECT_GT(line["total_ns"], 10);
            EXPECT_GE(line["marks"].size(), 2);
        }
    EXPECT_GE(told, 20);
    EXPECT_LT(told, 1000);
    EXPECT_GT(lines.back()["slow_suppressed"], 2000);
}

TEST_F(Watch, GivesUpWhenItCostsTooMuch) {
    Node node(2);
    auto server = node.serve(2);
    Process load(node.client_line(1, 2, {"-d", "15"}));
    std::vector<Json> lines = node.watch({"--all", "--max-overhead", "0.01", "-i", "0.1", "-d", "12"});
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.back()["ended"].get<std::string>().find("cannot be kept"), std::string::npos)
        << lines.back()["ended"];
    EXPECT_LT(lines.back()["duration_ns"], 11'000'000'000);
    EXPECT_GT(lines[lines.size() - 2]["sample"], 1000);
}

TEST_F(Watch, GivesUpWhenItTakesTooMuchMemory) {
    Node node(1);
    std::vector<Json> lines = node.watch({"--all", "--max-memory", "1", "-i", "0.1", "-d", "10"});
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.back()["ended"].get<std::string>().find("MiB of memory, and may have 1.0"), std::string::npos)
        << lines.back()["ended"];
    EXPECT_LT(lines.back()["duration_ns"], 5'000'000'000);
}

TEST_F(Watch, HoldsNoPrivilegesWhileItWatches) {
    Node node(1);
    Watching watching(node, {"--all"});
    std::ifstream status(fmt::format("/proc/{}/status", watching.pid()));
    std::string text((std::istreambuf_iterator<char>(status)), {});
    EXPECT_NE(text.find("CapEff:\t0000000000000000"), std::string::npos) << text;
    (void)watching.finish();
}

TEST_F(Watch, FindsTheDelayedOneAmongThreeHundred) {
    constexpr int all = 300;
    constexpr int busy = 20;
    Node node(all);
    std::vector<std::unique_ptr<Process>> senders;
    auto begun = std::chrono::steady_clock::now();
    ASSERT_EQ(node.watch({"--all", "-i", "0.1", "-d", "0.1"}).size(), 2);
    auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
    EXPECT_LT(took.count(), 5000) << "measured: well below a second, when the machine is idle";
    for (int i = 1; i <= busy; ++i) // in a ring
        senders.push_back(std::make_unique<Process>(
            Node::in(node.container(i), {VETHTRACE_PULSE, Node::address(i % busy + 1), "7000", "200", "60"})));
    Watching watching(node, {"--all", "-i", "0.2", "--max-overhead", "3"});
    // A small packet takes 5.4 ms at this rate, and they come faster.
    for (int i = 1; i <= busy; ++i)
        Node::run_script(fmt::format("ip netns exec {0} tc qdisc add dev v{1} root tbf rate 64kbit burst 100 "
                                     "limit 10000 && sleep 0.8 && ip netns exec {0} tc qdisc del dev v{1} root",
                                     node.host(), i));
    std::ifstream status(fmt::format("/proc/{}/status", watching.pid()));
    std::string text((std::istreambuf_iterator<char>(status)), {});
    std::size_t most = text.find("VmHWM:");
    std::vector<Json> lines = watching.finish();
    ASSERT_NE(most, std::string::npos) << "it has ended by itself: " << lines.back()["ended"];
    std::uint64_t resident = std::stoull(text.substr(most + 6));
    EXPECT_EQ(lines.back()["ended"], "it was stopped");
#ifndef __SANITIZE_ADDRESS__ // most of the memory would be the sanitizer's
    EXPECT_LT(resident, 64 * 1024) << "KiB";
#endif
    EXPECT_LT(lines.back()["overhead_ratio"], 0.03);
    EXPECT_TRUE(lines.back()["conservation"]["balanced"]) << lines.back()["conservation"];

    // In the windows of each delay the worst qdisc is the right container's, and in all of them each was the worst
    // once.
    std::vector<std::string> worst; // one after another
    for (const Json &line : lines) {
        if (line["final"])
            continue;
        double mean = 0;
        std::string target;
        for (const Json &series : line["series"])
            if (series["stage"] == "qdisc" && series["direction"] == "in" && series["mean_ns"] > mean) {
                mean = series["mean_ns"];
                target = series["target"];
            }
        constexpr double delayed = 800'000;
        if (mean > delayed && (worst.empty() || worst.back() != target))
            worst.push_back(target);
    }
    std::vector<std::string> expected;
    for (int i = 1; i <= busy; ++i)
        expected.push_back(node.container(i));
    EXPECT_EQ(worst, expected);
}

} // namespace
} // namespace vethtrace::test
