// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "support/process.hpp"
#include "support/schema.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <unistd.h>
#include <vector>

namespace vethtrace::test {

// Tests that make namespaces and load programs on this very kernel.
class Native : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0)
            GTEST_SKIP() << "needs root: network namespaces (CAP_SYS_ADMIN) and BPF tracing (CAP_BPF, CAP_PERFMON)";
    }
};

// `lab up`, and in the end `lab down`. There is one kept lab for the whole machine, and one that is there already was
// left by a test that was killed: it goes first.
class KeptLab {
public:
    explicit KeptLab(const std::string &mode = "veth") {
        (void)vethtrace({"lab", "down"});
        Finished up = vethtrace({"lab", "up", "--mode", mode});
        EXPECT_EQ(up.status, 0) << up.err;
    }
    KeptLab(const KeptLab &) = delete;
    KeptLab &operator=(const KeptLab &) = delete;
    ~KeptLab() { (void)vethtrace({"lab", "down"}); }
};

// A run whose JSON was parsed and follows its schema.
inline nlohmann::json run_json(std::vector<std::string> arguments, int status = 0) {
    arguments.emplace_back("--json");
    Finished finished = vethtrace(arguments);
    EXPECT_EQ(finished.status, status) << finished.out << finished.err;
    nlohmann::json json = nlohmann::json::parse(finished.out, nullptr, false);
    if (json.is_discarded()) {
        ADD_FAILURE() << "no JSON: " << finished.out << finished.err;
        return nullptr;
    }
    EXPECT_EQ(schema_errors("run-1", json), "");
    return json;
}

// What a user may rely on in every good result, of whose transactions so many were followed.
inline void expect_good_hops(const nlohmann::json &run, double transactions) {
    ASSERT_TRUE(run.is_object());
    EXPECT_TRUE(run["valid"]) << run["warnings"];
    EXPECT_GE(run["ledger"]["explained_ratio"], 0.97);
    EXPECT_LE(run["ledger"]["explained_ratio"], 1.03);
    EXPECT_TRUE(run["conservation"]["balanced"]) << run["conservation"];
    for (const auto &hop : run["hops"]) {
        if (hop["stage"] == "segments" || hop["stage"] == "unforeseen")
            continue;
        EXPECT_NEAR(hop["count"].get<double>(), transactions, transactions * 0.001) << hop["from"] << hop["to"];
        EXPECT_TRUE(hop["corrected_mean_ns"].is_number()) << hop["from"];
        EXPECT_GE(hop["observer_ns"], 0) << hop["from"];
    }
    EXPECT_GT(run["observer"]["untraced_rtt_mean_ns"], 0);
    EXPECT_GT(run["observer"]["traced_rtt_mean_ns"], 0);
}

inline void expect_good(const nlohmann::json &run) {
    ASSERT_TRUE(run.is_object());
    expect_good_hops(run, run["load"]["transactions"]);
}

inline std::uint64_t hits(const nlohmann::json &run, const std::string &station) {
    for (const auto &entry : run["stations"])
        if (entry["id"] == station)
            return entry["hits"];
    return 0;
}

} // namespace vethtrace::test
