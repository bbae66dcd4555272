// SPDX-License-Identifier: GPL-2.0-only
//
// What came of matrix.sh in a machine with a stock kernel. The machine counts instructions as time, so its figures
// repeat, and small differences can be asserted.
#include "core/ways.hpp"
#include "native/native.hpp"
#include "vm/results.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <map>

namespace vethtrace::test {
namespace {

constexpr double transactions = 1000;

nlohmann::json result_of(const std::string &name) {
    EXPECT_EQ(vm_file(name + ".status"), "0\n") << vm_file(name + ".err") << vm_file(name + ".json").substr(0, 500);
    nlohmann::json json = vm_json(name + ".json");
    EXPECT_FALSE(json.is_discarded());
    EXPECT_EQ(schema_errors("run-1", json), "");
    return json;
}

// Skips the rest of the test if this kernel cannot have the mode, and sees to it that vethtrace said so.
#define SKIP_WITHOUT_MODE(mode, name)                                                                                  \
    if (const char *missing = missing_mode(mode)) {                                                                    \
        expect_refusal(name);                                                                                          \
        GTEST_SKIP() << "kernel " << vm_kernel() << ": " << missing;                                                   \
    }

void expect_refusal(const std::string &name) {
    EXPECT_EQ(vm_file(name + ".status"), "1\n");
    std::string said = vm_file(name + ".err");
    EXPECT_NE(said.find("hint: "), std::string::npos) << said;
    EXPECT_TRUE(said.find("CONFIG_NETKIT") != std::string::npos || said.find("since kernel 5.13") != std::string::npos)
        << said;
}

nlohmann::json station(const nlohmann::json &run, const std::string &id) {
    for (const auto &entry : run["stations"])
        if (entry["id"] == id)
            return entry;
    return nullptr;
}

double hop_mean(const nlohmann::json &run, const std::string &from, const std::string &to) {
    for (const auto &hop : run["hops"])
        if (hop["from"] == from && hop["to"] == to)
            return hop["corrected_mean_ns"];
    return std::nan("");
}

std::uint64_t hits_at(const nlohmann::json &run, const std::string &point) {
    std::uint64_t sum = 0;
    for (const auto &entry : run["stations"])
        if (entry["id"].get<std::string>().rfind(point + "@", 0) == 0)
            sum += entry["hits"].get<std::uint64_t>();
    return sum;
}

std::string tried(const nlohmann::json &station, const std::string &hook) {
    for (const auto &attempt : station["tried"])
        if (attempt["hook"] == hook)
            return attempt["result"];
    return "not tried";
}

// ---- every mode, topology and rung

// What a mode comes to, counted by hand.
struct Row {
    std::string mode;
    std::string function;     // that stock kernels really have at xmit@container
    nlohmann::json port_mode; // of an ipvlan
    // Per transaction.
    int wire_xmits;
    int wire_netif_rx;
    int local_xmits;
    int local_netif_rx;
};

void PrintTo(const Row &row, std::ostream *out) {
    *out << row.mode;
}

const std::vector<Row> &rows() {
    static const std::vector<Row> rows = {
        {"host", "", nullptr, 2, 2, 0, 0},
        {"veth", "veth_xmit", nullptr, 4, 4, 4, 4},
        {"veth-gro", "veth_xmit", nullptr, 4, 2, 4, 0}, // the pair goes round the backlog
        {"bridge", "veth_xmit", nullptr, 5, 4, 4, 4},   // the bridge itself transmits what comes back
        {"nat", "veth_xmit", nullptr, 5, 4, 4, 4},
        {"netkit", "netkit_xmit", nullptr, 4, 4, 4, 4},
        {"macvlan", "macvlan_start_xmit", nullptr, 3, 2, 2, 2}, // the container's own, and the wire's two
        {"ipvlan", "ipvlan_queue_xmit", "l2", 3, 2, 2, 2},
        {"ipvlan-l3", "ipvlan_queue_xmit", "l3", 3, 2, 2, 2},
    };
    return rows;
}

// Those with a container of their own.
std::vector<Row> rows_with_container() {
    std::vector<Row> found;
    std::copy_if(rows().begin(), rows().end(), std::back_inserter(found),
                 [](const Row &row) { return row.mode != "host"; });
    return found;
}

struct Cell {
    std::string mode;
    std::string topology;
    std::string rung;
    nlohmann::json port_mode;
    // Per transaction; a NET_RX run may serve several packets.
    int xmits;
    int netif_rx;

    [[nodiscard]] std::string name() const { return mode + "." + topology + "." + rung; }
};

void PrintTo(const Cell &cell, std::ostream *out) {
    *out << cell.name();
}

class Matrix : public testing::TestWithParam<Cell> {};

TEST_P(Matrix, IsValidAndCountsWhatTheKernelDoes) {
    const Cell &cell = GetParam();
    SKIP_WITHOUT_MODE(cell.mode, cell.name());
    nlohmann::json run = result_of(cell.name());
    expect_good(run);
    EXPECT_EQ(hits_at(run, "xmit"), cell.xmits * transactions);
    EXPECT_EQ(hits_at(run, "netif_rx"), cell.netif_rx * transactions);
    // Before 6.6 what a NAPI poll puts into another NAPI's queue, the backlog's as well, took a run of its own.
    int runs = cell.mode == "veth-gro" && vm_kernel() == "6.1" ? 4 : 2;
    EXPECT_NEAR(run["softirq"]["net_rx"]["runs_per_transaction"], runs, 0.01);
    EXPECT_EQ(run["port_mode"], cell.port_mode);
}

std::vector<Cell> cells() {
    std::vector<Cell> cells;
    for (const Row &row : rows())
        for (const char *rung : {"fentry", "kprobe", "tracepoint"})
            cells.push_back({row.mode, "wire", rung, row.port_mode, row.wire_xmits, row.wire_netif_rx});
    for (const Row &row : rows_with_container())
        cells.push_back({row.mode, "local", "fentry", row.port_mode, row.local_xmits, row.local_netif_rx});
    return cells;
}

std::string cell_name(const testing::TestParamInfo<Cell> &info) {
    std::string name = info.param.name();
    for (char &letter : name)
        letter = std::isalnum(static_cast<unsigned char>(letter)) != 0 ? letter : '_';
    return name;
}

INSTANTIATE_TEST_SUITE_P(Vm, Matrix, testing::ValuesIn(cells()), cell_name);

// What came of a cell, in a word or two.
std::string verdict(const std::string &mode, const std::string &topology, const std::string &rung) {
    std::string name = mode + "." + topology + "." + rung;
    if (const char *missing = missing_mode(mode))
        return vm_file(name + ".status") == "1\n" ? missing : "FAIL";
    nlohmann::json run = vm_json(name + ".json");
    if (!run.is_object() || vm_file(name + ".status") != "0\n" || !run["valid"])
        return "FAIL";
    if (rung == "fentry" && missing_fentry() != nullptr)
        return "pass (kprobe)";
    return "pass";
}

TEST(Matrix, IsPrinted) {
    nlohmann::json features = vm_json("features.json");
    ASSERT_FALSE(features.is_discarded());
    std::ofstream table(vm_results() / "table.txt");
    table << "kernel " << features["environment"]["kernel"].get<std::string>() << '\n';
    auto row = [&](auto... words) {
        ((table << "  " << std::left << std::setw(14) << words), ...);
        table << '\n';
    };
    row("mode", "fentry", "kprobe", "tracepoint", "local");
    if (const char *missing = missing_fentry())
        table << "  (" << missing << ")\n";
    EXPECT_EQ(rows().size(), all_modes().size());
    for (const ModeRow &known : all_modes()) {
        std::string mode(known.name);
        std::vector<std::string> verdicts;
        for (const char *rung : {"fentry", "kprobe", "tracepoint"})
            verdicts.push_back(verdict(mode, "wire", rung));
        // Between two containers there is no mode host.
        verdicts.push_back(mode == "host" ? "-" : verdict(mode, "local", "fentry"));
        for (const std::string &word : verdicts)
            EXPECT_NE(word, "FAIL") << mode;
        if (missing_mode(mode) != nullptr)
            row(mode, verdicts.front());
        else
            row(mode, verdicts[0], verdicts[1], verdicts[2], verdicts[3]);
    }
    EXPECT_TRUE(table.good());
}

// ---- the rungs, held against one another

class Rungs : public testing::TestWithParam<Row> {
protected:
    void SetUp() override {
        std::string name = GetParam().mode + ".wire.";
        SKIP_WITHOUT_MODE(GetParam().mode, name + "fentry");
        fentry = result_of(name + "fentry");
        kprobe = result_of(name + "kprobe");
        tracepoint = result_of(name + "tracepoint");
    }
    nlohmann::json fentry; // or what came in its place
    nlohmann::json kprobe;
    nlohmann::json tracepoint;
};

TEST_P(Rungs, AreThoseThatWereAskedFor) {
    std::string function = GetParam().function;
    if (missing_fentry() == nullptr) {
        EXPECT_EQ(station(fentry, "xmit@container")["hook"], function + " fentry");
    } else { // refused, and said so
        EXPECT_EQ(station(fentry, "xmit@container")["hook"], function + " kprobe");
        EXPECT_NE(tried(station(fentry, "xmit@container"), function + " fentry").find("5.1"), std::string::npos);
    }
    EXPECT_EQ(station(kprobe, "xmit@container")["hook"], function + " kprobe");
    EXPECT_EQ(station(tracepoint, "xmit@container")["hook"], "net_dev_start_xmit tp_btf");
    EXPECT_EQ(tried(station(kprobe, "xmit@container"), function + " fentry"), "denied by --no-hook");
}

// Corrected means by hop. The two around the delivery to the socket count as one, because the last rung of its ladder
// (the only tracepoint on kernels before 6.2) sees the packet earlier.
std::map<std::string, double> corrected_means(const nlohmann::json &run) {
    std::map<std::string, double> means;
    for (const auto &hop : run["hops"]) {
        if (!hop["corrected_mean_ns"].is_number())
            continue;
        std::string stage = hop["stage"];
        std::string name = stage == "stack_rx" || stage == "wakeup" ? hop["direction"].get<std::string>() + " delivery"
                                                                    : hop["from"].get<std::string>();
        means[name] += hop["corrected_mean_ns"].get<double>();
    }
    return means;
}

TEST_P(Rungs, AgreeOnceCorrected) {
    double rtt = fentry["ledger"]["corrected_sum_ns"];
    std::map<std::string, double> means = corrected_means(fentry);
    for (const nlohmann::json *other : {&kprobe, &tracepoint}) {
        EXPECT_NEAR((*other)["ledger"]["corrected_sum_ns"], rtt, rtt * 0.05);
        std::map<std::string, double> others = corrected_means(*other);
        EXPECT_EQ(others.size(), means.size());
        for (const auto &[name, mean] : means)
            EXPECT_NEAR(others[name], mean, std::max(mean * 0.1, 200.0)) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(Vm, Rungs, testing::ValuesIn(rows_with_container()), [](const auto &row) {
    std::string name = row.param.mode;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

// ---- what the project is named for

TEST(Ipvlan, TheInlinedFunctionIsAskedForAndItsRefusalShown) {
    nlohmann::json at = station(result_of("ipvlan.wire.fentry"), "xmit@container");
    const char *no_fentry = missing_fentry() == nullptr ? "no such function" : "a kernel before 5.11";
    EXPECT_NE(tried(at, "ipvlan_xmit_mode_l2 fentry").find(no_fentry), std::string::npos) << at;
    EXPECT_NE(tried(at, "ipvlan_xmit_mode_l2 kprobe").find("no such function"), std::string::npos) << at;
    EXPECT_EQ(tried(at, missing_fentry() == nullptr ? "ipvlan_queue_xmit fentry" : "ipvlan_queue_xmit kprobe"), "used");
    EXPECT_EQ(at["hits"], transactions);
}

TEST(Ipvlan, HasABacklogBetweenTwoContainersThatItHasOnlyOnTheWireOtherwise) {
    nlohmann::json wire = result_of("ipvlan.wire.fentry");
    nlohmann::json local = result_of("ipvlan.local.fentry");
    EXPECT_EQ(hits(local, "netif_rx@peer"), transactions);
    EXPECT_EQ(hits(local, "netif_rx@container"), transactions);
    EXPECT_GT(hop_mean(local, "netif_rx@container", "receive@container"), 0);
    EXPECT_TRUE(station(wire, "netif_rx@container").is_null());
    EXPECT_EQ(hits(wire, "netif_rx@peer"), transactions);
    EXPECT_EQ(hits(wire, "netif_rx@uplink"), transactions);
}

TEST(Functions, TakeThePlaceOfTracepoints) {
    for (const char *name : {"veth.wire.functions", "veth.wire.kprobes"}) {
        nlohmann::json run = result_of(name);
        expect_good(run);
        bool by_fentry = std::string(name) == "veth.wire.functions" && missing_fentry() == nullptr;
        std::string kind = by_fentry ? " fentry" : " kprobe";
        std::string netif_rx = station(run, "netif_rx@host")["hook"];
        EXPECT_NE(netif_rx.find("netif_rx"), std::string::npos);
        EXPECT_NE(netif_rx.find(kind), std::string::npos) << netif_rx;
        EXPECT_EQ(station(run, "data_ready@server")["hook"], "sock_def_readable" + kind);
        EXPECT_EQ(hits_at(run, "netif_rx"), 4 * transactions);
    }
}

// The programs of the trial are loaded when privileges have been lowered already, and their targets are in modules.
TEST(Budget, IsKept) {
    nlohmann::json run = result_of("veth.wire.budget");
    nlohmann::json budget = run["observer"]["budget"];
    EXPECT_GT(budget["all_followed_ratio"], 0.17);
    EXPECT_GT(budget["sample"], 1);
    EXPECT_EQ(run["load"]["sample"], budget["sample"]);
    EXPECT_LT(run["observer"]["added_ratio"], 0.17 * 1.1);
}

// A request of 16 KiB leaves the container as one skb. veth without TSO has it segmented, and GRO on the other side
// makes one of it again: two changes of the skb that carries the message, and not a hop is lost.
TEST(VethGro, IsFollowedThroughSegmentationAndMerging) {
    SKIP_WITHOUT_MODE("veth-gro", "veth-gro.wire.segments");
    nlohmann::json run = result_of("veth-gro.wire.segments");
    expect_good(run);
    nlohmann::json conservation = run["conservation"];
    EXPECT_EQ(conservation["segmented"], transactions);
    EXPECT_EQ(conservation["merged"], transactions);
    EXPECT_EQ(conservation["entered"], 3 * transactions); // what it was merged into enters as well
    EXPECT_EQ(conservation["completed"], 2 * transactions);
}

TEST(Modules, AreFoundAlthoughTheyAreLoadedAfterTheStart) {
    auto xmit_of_ipvlan = [](const nlohmann::json &features) -> nlohmann::json {
        for (const auto &ladder : features["ladders"])
            if (ladder["name"] == "xmit (ipvlan)")
                return ladder;
        return nullptr;
    };
    nlohmann::json before = xmit_of_ipvlan(vm_json("features.early.json"));
    nlohmann::json after = xmit_of_ipvlan(vm_json("features.json"));
    EXPECT_EQ(before["hook"], "net_dev_start_xmit tp_btf");
    EXPECT_NE(before.dump().find("not loaded"), std::string::npos) << before;
    // The first run in that mode loaded it, after vethtrace had started, and found its function.
    std::string kind = missing_fentry() == nullptr ? " fentry" : " kprobe";
    EXPECT_EQ(station(result_of("ipvlan.wire.fentry"), "xmit@container")["hook"], "ipvlan_queue_xmit" + kind);
    EXPECT_EQ(after["hook"], "ipvlan_queue_xmit" + kind);
}

TEST(Machine, RepeatsItself) {
    double once = result_of("veth.wire.fentry")["load"]["rtt"]["mean_ns"];
    double again = result_of("veth.wire.again")["load"]["rtt"]["mean_ns"];
    // On 5.10 what routing costs differs by 150 instructions from lab to lab.
    EXPECT_NEAR(once, again, once * (vm_kernel() == "5.10" ? 0.02 : 0.005));
}

TEST(Modes, AreInTheOrderOfTheirWays) {
    auto untraced = [](const std::string &mode) {
        return result_of(mode + ".wire.fentry")["observer"]["untraced_rtt_mean_ns"].get<double>();
    };
    double host = untraced("host");
    double veth = untraced("veth");
    for (const char *mode : {"ipvlan", "macvlan"}) {
        EXPECT_GT(untraced(mode), host);
        EXPECT_LT(untraced(mode), host + (veth - host) / 2) << "close to the host, veth clearly behind";
    }
}

TEST(Features, NameAHookForEveryLadder) {
    nlohmann::json features = vm_json("features.json");
    ASSERT_FALSE(features.is_discarded());
    EXPECT_EQ(schema_errors("features-1", features), "");
    for (const auto &ladder : features["ladders"])
        EXPECT_TRUE(ladder["hook"].is_string()) << ladder;
}

} // namespace
} // namespace vethtrace::test
