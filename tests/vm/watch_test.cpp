// SPDX-License-Identifier: GPL-2.0-only
//
// The ways of all modes as `watch` sees them in a machine with a stock kernel, with --cmd for traffic: no packet of a
// known load is missing at any station.
#include "native/native.hpp"
#include "vm/results.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sstream>

namespace vethtrace::test {
namespace {

constexpr std::uint64_t messages = 700; // of matrix.sh: 500 and the warm-up
constexpr std::uint64_t handshakes_and_acks = 20;

using Stages = std::set<std::string>;

// The stages of the packets that leave a container, and of those that come to it.
struct Cell {
    std::string name;
    std::string target; // how its name ends
    std::string out;
    std::string in;
};

void PrintTo(const Cell &cell, std::ostream *stream) {
    *stream << cell.name << cell.target;
}

std::vector<Cell> cells() {
    const std::string read = " stack_rx wakeup";
    const std::string pair = "qdisc device_xmit backlog";
    const std::string pair_with_gro = "qdisc backlog gro";
    const std::string outside = " host_forward uplink_qdisc";
    std::vector<Cell> cells;
    auto wire = [&](const std::string &mode, const std::string &out, const std::string &in) {
        cells.push_back({mode + ".wire", "-container", out, in + read});
    };
    auto local = [&](const std::string &mode, const std::string &out, const std::string &in) {
        for (const char *target : {"-container", "-peer"})
            cells.push_back({mode + ".local", target, out, in + read});
    };
    cells.push_back({"host.wire", "-peer", pair, pair + read});
    for (const char *mode : {"veth", "netkit"}) {
        wire(mode, pair + outside, "host_forward " + pair);
        local(mode, pair + " host_forward", pair);
    }
    wire("veth-gro", pair_with_gro + outside, "host_forward " + pair_with_gro);
    local("veth-gro", pair_with_gro + " host_forward", pair_with_gro);
    for (const char *mode : {"bridge", "nat"}) {
        wire(mode, pair + " bridge" + outside, "host_forward bridge " + pair);
        local(mode, pair + " bridge", pair);
    }
    for (const char *mode : {"ipvlan", "ipvlan-l3"}) {
        wire(mode, "qdisc device_xmit uplink_qdisc", "");
        local(mode, "qdisc device_xmit", "backlog");
    }
    wire("macvlan", "qdisc device_xmit uplink_qdisc", "");
    local("macvlan", "qdisc device_xmit backlog", "");
    for (const char *rung : {"veth.kprobe", "veth.tracepoint"})
        cells.push_back({rung, "-container", pair + outside, "host_forward " + pair + read});
    return cells;
}

Stages words(const std::string &text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

class Watched : public testing::TestWithParam<Cell> {};

TEST_P(Watched, SeesEveryPacketAtEveryStation) {
    const Cell &cell = GetParam();
    std::string mode = cell.name.substr(0, cell.name.find('.'));
    std::string name = "watch." + cell.name;
    if (const char *missing = missing_mode(mode)) {
        EXPECT_EQ(vm_file(name + ".status"), "1\n");
        GTEST_SKIP() << "kernel " << vm_kernel() << ": " << missing;
    }
    ASSERT_EQ(vm_file(name + ".status"), "0\n") << vm_file(name + ".err");
    nlohmann::json json = vm_json(name + ".json");
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(schema_errors("watch-2", json), "");
    EXPECT_TRUE(json["conservation"]["balanced"]) << json["conservation"];

    std::map<std::string, Stages> stages;
    std::map<std::string, std::set<std::uint64_t>> packets;
    for (const nlohmann::json &series : json["series"]) {
        if (!series["target"].get<std::string>().ends_with(cell.target))
            continue;
        std::string direction = series["direction"];
        std::string stage = series["stage"];
        std::uint64_t count = series["count"];
        stages[direction].insert(stage);
        EXPECT_GE(count, messages) << series["from"] << series["to"];
        EXPECT_LE(count, messages + handshakes_and_acks) << series["from"] << series["to"];
        // What carries no data does not reach the application.
        if (stage != "stack_rx" && stage != "wakeup")
            packets[direction].insert(count);
    }
    EXPECT_EQ(stages["out"], words(cell.out));
    EXPECT_EQ(stages["in"], words(cell.in));
    // A packet is seen at all stations or at none. Only a bridge makes some of its own, multicasts of IPv6, which enter
    // the container's way in its middle.
    const std::uint64_t own = mode == "bridge" || mode == "nat" ? 5 : 0;
    for (const auto &[direction, counts] : packets)
        EXPECT_LE(*counts.rbegin() - *counts.begin(), own) << direction;
    // All but the last words of the connection end where they should.
    constexpr std::uint64_t last_words = 5;
    const nlohmann::json &books = json["conservation"];
    EXPECT_GE(books["completed"].get<std::uint64_t>() + last_words, books["entered"].get<std::uint64_t>()) << books;
}

struct SeriesMean {
    double count = 0;
    double ns = 0;
};

// Means, and of wakeups medians, since one that the load begins with takes 1.8 ms and may be drawn or not: of the
// container's series with sockets and devices, by "out qdisc queue@container xmit@container".
std::map<std::string, SeriesMean> means_with(unsigned one_in) {
    std::string name = fmt::format("watch.sampled.{}", one_in);
    EXPECT_EQ(vm_file(name + ".status"), "0\n") << vm_file(name + ".err");
    std::map<std::string, SeriesMean> means;
    nlohmann::json json = vm_json(name + ".json");
    if (!json.is_object())
        return means;
    for (const nlohmann::json &series : json["series"])
        if (series["target"].get<std::string>().ends_with("-container"))
            means[fmt::format("{} {} {} {}", series["direction"].get<std::string>(), series["stage"].get<std::string>(),
                              series["from"].get<std::string>(), series["to"].get<std::string>())] = {
                series["count"], series[series["stage"] == "wakeup" ? "p50_ns" : "mean_ns"]};
    return means;
}

TEST(Sampled, MeansAreThoseOfAllPackets) {
    if (vm_kernel() != "6.12")
        GTEST_SKIP() << "one packet in so many is tried on 6.12 only";
    std::map<std::string, SeriesMean> all = means_with(1);
    EXPECT_GE(all.size(), 11);
    for (unsigned one_in : {2, 8, 64}) {
        std::map<std::string, SeriesMean> some = means_with(one_in);
        for (const auto &[hop, mean] : all) {
            std::string what = fmt::format("{}: {} ns of {}, with one in {} {} ns of {}", hop, mean.ns, mean.count,
                                           one_in, some[hop].ns, some[hop].count);
            RecordProperty(fmt::format("one in {}, {}", one_in, hop), fmt::format("{:.4f}", some[hop].ns / mean.ns));
            constexpr double deviations = 5;
            double part = 1.0 / one_in;
            EXPECT_NEAR(some[hop].count, mean.count * part, deviations * std::sqrt(mean.count * part * (1 - part)))
                << what;
            EXPECT_NEAR(some[hop].ns, mean.ns, (hop.starts_with("in wakeup") ? 0.07 : 0.03) * mean.ns) << what;
        }
    }
}

std::string cell_name(const testing::TestParamInfo<Cell> &info) {
    std::string name = info.param.name + info.param.target;
    std::replace_if(
        name.begin(), name.end(), [](unsigned char letter) { return std::isalnum(letter) == 0; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Vm, Watched, testing::ValuesIn(cells()), cell_name);

} // namespace
} // namespace vethtrace::test
