// SPDX-License-Identifier: GPL-2.0-only
//
// The checks can fail: each deliberate mistake of the BPF side makes the run invalid, and for the right reason.
#include "core/ledger.hpp"
#include "native/native.hpp"
#include "run/run.hpp"

namespace vethtrace::test {
namespace {

struct Mistake {
    std::string name;
    layout::mutation mutation;
    std::string reason; // in one of the faults
};

void PrintTo(const Mistake &param, std::ostream *out) {
    *out << param.name;
}

class Mutation : public Native, public testing::WithParamInterface<Mistake> {};

RunResult run_with(layout::mutation mutation) {
    RunOptions options;
    options.count = 4000;
    options.load.flows = 4;
    options.load.client_cpu = options.load.server_cpu = 0;
    options.mutation = mutation;
    std::atomic<bool> stop = false;
    Result<RunResult> result = run_lab(options, stop, [](const std::string &) {});
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? *result : RunResult();
}

TEST_P(Mutation, MakesTheRunInvalidForTheRightReason) {
    RunResult result = run_with(GetParam().mutation);
    EXPECT_FALSE(result.valid);
    std::string faults;
    for (const std::string &fault : find_faults(result))
        faults += fault + "\n";
    EXPECT_NE(faults.find(GetParam().reason), std::string::npos) << faults;
}

INSTANTIATE_TEST_SUITE_P(
    Native, Mutation,
    testing::Values(
        // Without the station its two hops are missing, and packets take the way past it.
        Mistake{"station_off", layout::MUTATION_STATION_OFF, "hop xmit@container -> netif_rx@host was seen 0 times"},
        // A response that goes on with a request's slot has come from where no response comes from.
        Mistake{"wrong_join", layout::MUTATION_WRONG_JOIN, "hop that the mode's table does not have"},
        Mistake{"double_count", layout::MUTATION_DOUBLE_COUNT, "was seen"},
        Mistake{"send_time_used_twice", layout::MUTATION_SEND_REUSED,
                "hop app_send@client -> queue@container was seen 403"}),
    [](const auto &test) { return test.param.name; });

TEST_F(Native, WithoutAMistakeTheSameRunIsValid) {
    RunResult result = run_with(layout::MUTATION_NONE);
    EXPECT_TRUE(result.valid);
    EXPECT_EQ(find_faults(result), std::vector<std::string>{});
}

} // namespace
} // namespace vethtrace::test
