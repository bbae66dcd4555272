// SPDX-License-Identifier: GPL-2.0-only
//
// The programs as they watch, on a lab whose devices are told to them by hand: every packet of a known number of
// transactions is where it must be.
#include "core/watch.hpp"
#include "hooks/features.hpp"
#include "hooks/watch_engine.hpp"
#include "lab/lab.hpp"
#include "native/native.hpp"

#include "lab_layout.h"

#include <algorithm>
#include <map>
#include <netinet/in.h>
#include <set>
#include <thread>

namespace vethtrace::test {
namespace {

using namespace watch_layout;

constexpr std::uint32_t target = 1;
constexpr std::uint64_t transactions = 1000;
constexpr std::uint64_t warmup = 200;
constexpr std::uint64_t messages = transactions + warmup;

class WatchEngineTest : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        Result<Features> features = Features::read();
        ASSERT_TRUE(features) << features.error().text();
        std::vector<Choice> choices = features->choose_all(ladders_for_watching(), Denied());
        WatchEngineOptions options{.can_cast = features->can_cast()};
        options.filter.protocol = IPPROTO_TCP; // bridges and new addresses send packets of their own
        Result<std::unique_ptr<WatchEngine>> engine = WatchEngine::load(options, choices, features->drop_reasons());
        ASSERT_TRUE(engine) << engine.error().text();
        engine_ = std::move(*engine);
    }

    void build(Mode mode) {
        Result<std::unique_ptr<Lab>> lab = Lab::build(mode, Topology::wire);
        ASSERT_TRUE(lab) << lab.error().text();
        lab_ = std::move(*lab);
        std::uint32_t host = lab_->host().inode();
        watch(place_of(lab_->client().inode(), 0), device(target, ROLE_ELSEWHERE));
        watch(place_of(lab_->client().inode(), int{LAB_IFINDEX} + ROLE_CONTAINER), device(target, ROLE_CONTAINER));
        watch(place_of(host, int{LAB_IFINDEX} + ROLE_HOST), device(target, ROLE_HOST));
        watch(place_of(host, int{LAB_IFINDEX} + ROLE_BRIDGE), device(0, ROLE_BRIDGE));
        watched_device uplink = device(0, ROLE_UPLINK);
        uplink.is_last = 1;
        watch(place_of(host, int{LAB_IFINDEX} + ROLE_UPLINK), uplink);
        ASSERT_TRUE(engine_->attach());
        engine_->follow();
    }

    static watched_device device(std::uint32_t of, role role) {
        watched_device device = {};
        device.target = of;
        device.role = static_cast<__u8>(role);
        device.books = of;
        return device;
    }

    void watch(std::uint64_t place, const watched_device &device) {
        Result<void> set = engine_->set_device(place, device);
        ASSERT_TRUE(set) << set.error().text();
    }

    [[nodiscard]] std::vector<std::string> in(const Netns &netns, const std::vector<std::string> &arguments) const {
        std::vector<std::string> line = {"ip", "netns", "exec", netns.name()};
        std::vector<std::string> program = vethtrace_line(arguments);
        line.insert(line.end(), program.begin(), program.end());
        return line;
    }

    void transact() {
        Process server(in(lab_->server(), {"rr", "serve"}));
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        Finished finished = run(in(lab_->client(), {"rr", "run", lab_->server_address(), "-c",
                                                    std::to_string(transactions), "--warmup", std::to_string(warmup)}));
        ASSERT_EQ(finished.status, 0) << finished.err;
        server.signal(SIGINT);
        (void)server.wait();
        engine_->detach();
    }

    // By "out queue@container -> xmit@container".
    [[nodiscard]] std::map<std::string, std::uint64_t> counts() const {
        std::map<std::string, std::uint64_t> counts;
        Result<void> read = engine_->read_series([&](const series_key &key, const series &series) {
            EXPECT_EQ(key.target, target);
            std::string name = std::string(name_of(static_cast<Flow>(key.flow))) + " " + name_of(Station{key.from}) +
                               " -> " + name_of(Station{key.to});
            for (std::uint32_t count : series.buckets)
                counts[name] += count;
        });
        EXPECT_TRUE(read) << read.error().text();
        return counts;
    }

    [[nodiscard]] std::uint64_t tally(std::uint32_t which) const {
        std::uint64_t sum = 0;
        for (const WatchEngine::Tallies &cpu : engine_->tallies())
            sum += cpu.at(which);
        return sum;
    }

    // What was followed is accounted for, to the last packet.
    void expect_balanced() const {
        EXPECT_EQ(tally(TALLY_ENTERED), tally(TALLY_COMPLETED) + tally(WATCH_TALLY_DROPPED) +
                                            tally(WATCH_TALLY_CONSUMED) + tally(TALLY_STALE) + engine_->in_flight());
        EXPECT_EQ(tally(TALLY_STALE), 0);
        EXPECT_EQ(tally(WATCH_TALLY_SERIES_OVERFLOW), 0);
        EXPECT_EQ(tally(TALLY_NEGATIVE), 0);
        EXPECT_EQ(engine_->in_flight(), 0);
    }

    std::unique_ptr<WatchEngine> engine_;
    std::unique_ptr<Lab> lab_;
};

using Edges = std::set<std::string>;

// Every packet of the connection passes all the edges of its direction.
void expect_edges(const std::map<std::string, std::uint64_t> &counts, const Edges &expected) {
    constexpr std::uint64_t handshakes_and_acks = 20;
    std::map<char, std::uint64_t> packets; // by the direction's first letter
    for (const std::string &name : expected) {
        auto found = counts.find(name);
        ASSERT_NE(found, counts.end()) << name;
        EXPECT_GE(found->second, messages) << name;
        EXPECT_LE(found->second, messages + handshakes_and_acks) << name;
        // What carries no data does not reach the application.
        if (name.find("data_ready@") == std::string::npos) {
            std::uint64_t &all = packets.try_emplace(name[0], found->second).first->second;
            EXPECT_EQ(found->second, all) << name;
        }
    }
    for (const auto &[name, count] : counts)
        EXPECT_TRUE(expected.contains(name)) << name << " " << count;
}

const Edges through_veth = {
    "out queue@container -> xmit@container",
    "out xmit@container -> netif_rx@host",
    "out netif_rx@host -> receive@host",
    "out receive@host -> queue@uplink",
    "out queue@uplink -> xmit@uplink",
    "in receive@uplink -> queue@host",
    "in queue@host -> xmit@host",
    "in xmit@host -> netif_rx@container",
    "in netif_rx@container -> receive@container",
    "in receive@container -> data_ready@container",
    "in data_ready@container -> app_recv@container",
};

const Edges through_bridge = {
    "out queue@container -> xmit@container",
    "out xmit@container -> netif_rx@host",
    "out netif_rx@host -> receive@host",
    "out receive@host -> receive@bridge",
    "out receive@bridge -> queue@uplink",
    "out queue@uplink -> xmit@uplink",
    "in receive@uplink -> queue@bridge",
    "in queue@bridge -> xmit@bridge",
    "in xmit@bridge -> queue@host",
    "in queue@host -> xmit@host",
    "in xmit@host -> netif_rx@container",
    "in netif_rx@container -> receive@container",
    "in receive@container -> data_ready@container",
    "in data_ready@container -> app_recv@container",
};

const Edges on_a_parent = {
    "out queue@container -> xmit@container",
    "out xmit@container -> queue@uplink",
    "out queue@uplink -> xmit@uplink",
    "in receive@uplink -> data_ready@container",
    "in data_ready@container -> app_recv@container",
};

TEST_F(WatchEngineTest, FollowsPacketsThroughAPairThatIsRouted) {
    build(Mode::veth);
    transact();
    expect_edges(counts(), through_veth);
    expect_balanced();
}

TEST_F(WatchEngineTest, FollowsPacketsThroughABridge) {
    build(Mode::bridge);
    transact();
    expect_edges(counts(), through_bridge);
    expect_balanced();
}

TEST_F(WatchEngineTest, FollowsPacketsThroughMasquerade) {
    build(Mode::nat);
    transact();
    expect_edges(counts(), through_bridge);
    expect_balanced();
}

TEST_F(WatchEngineTest, FollowsPacketsOfAMacvlan) {
    build(Mode::macvlan);
    transact();
    expect_edges(counts(), on_a_parent);
    expect_balanced();
}

TEST_F(WatchEngineTest, FollowsOnePacketInSoMany) {
    engine_->set_sample(4);
    build(Mode::veth);
    transact();
    std::map<std::string, std::uint64_t> all = counts();
    std::uint64_t out = all["out queue@container -> xmit@container"];
    EXPECT_EQ(all["out queue@uplink -> xmit@uplink"], out) << "a packet that is followed is followed to its end";
    // A quarter of 1,200: six standard deviations are 90.
    EXPECT_GT(out, messages / 4 - 90);
    EXPECT_LT(out, messages / 4 + 90);
    expect_balanced();
}

TEST_F(WatchEngineTest, KeepsTheSlowestPacketsWithTheirWay) {
    build(Mode::veth);
    transact();
    std::vector<journey> slowest = engine_->slowest(engine_->next_window());
    ASSERT_GE(slowest.size(), std::size_t{SLOWEST});
    for (const journey &journey : slowest) {
        EXPECT_EQ(journey.target, target);
        ASSERT_GE(journey.marks, 5) << "the least: an ACK from outside";
        EXPECT_EQ(journey.names.family, 4);
        EXPECT_EQ(journey.names.protocol, IPPROTO_TCP);
        EXPECT_EQ(journey.total, journey.at[journey.marks - 1].when - journey.at[0].when);
        for (int i = 1; i < journey.marks; ++i)
            EXPECT_GE(journey.at[i].when, journey.at[i - 1].when);
    }
    // The slowest that any series has seen is not slower than the slowest packet.
    std::uint64_t most = 0;
    for (const journey &journey : slowest)
        most = std::max<std::uint64_t>(most, journey.total);
    Result<void> read = engine_->read_series([&](const series_key &key, const series &series) {
        if (Station{key.to} == at(MOMENT_APP_RECV, END_CONTAINER))
            return; // after the packet's way
        EXPECT_EQ(series.max[1].window, 1);
        EXPECT_LE(series.max[1].ns, most) << name_of(Station{key.to});
    });
    ASSERT_TRUE(read);
    EXPECT_TRUE(engine_->slowest(2).empty()) << "a window in which nothing happened has no packets";
}

} // namespace
} // namespace vethtrace::test
