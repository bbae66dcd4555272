// SPDX-License-Identifier: GPL-2.0-only
//
// What came of privileges.sh: the table of docs/privileges.md holds on this kernel.
#include "native/native.hpp"
#include "vm/results.hpp"

#include <algorithm>
#include <cctype>
#include <linux/capability.h>
#include <map>

namespace vethtrace::test {
namespace {

std::uint64_t bit(int capability) {
    return std::uint64_t{1} << capability;
}

class User : public testing::TestWithParam<std::string> {};

TEST_P(User, WhoIsNotRootGetsAValidRun) {
    EXPECT_EQ(vm_file("user." + GetParam() + ".status"), "0\n") << vm_file("user." + GetParam() + ".err");
    expect_good(vm_json("user." + GetParam() + ".json"));
}

INSTANTIATE_TEST_SUITE_P(Vm, User, testing::Values("fentry", "kprobe", "tracepoint", "owner", "running"),
                         [](const auto &rung) { return rung.param; });

TEST(User, WhoIsNotRootComparesModes) {
    EXPECT_EQ(vm_file("user.compare.status"), "0\n") << vm_file("user.compare.err");
    EXPECT_EQ(vm_json("user.compare.json")["rounds"], 3);
}

class MissingCapability : public testing::TestWithParam<std::string> {};

TEST_P(MissingCapability, IsNamed) {
    std::string name = "user.without." + GetParam();
    // CAP_SYS_ADMIN includes these two.
    if (GetParam() == "bpf" || GetParam() == "perfmon") {
        EXPECT_EQ(vm_file(name + ".status"), "0\n") << vm_file(name + ".err");
        return;
    }
    std::string capability = "CAP_" + GetParam();
    std::transform(capability.begin(), capability.end(), capability.begin(), ::toupper);
    EXPECT_EQ(vm_file(name + ".status"), "1\n");
    EXPECT_NE(vm_file(name + ".err").find("missing privileges: " + capability), std::string::npos)
        << vm_file(name + ".err");
}

INSTANTIATE_TEST_SUITE_P(Vm, MissingCapability,
                         testing::Values("bpf", "perfmon", "sys_admin", "net_admin", "dac_override"),
                         [](const auto &missing) { return missing.param; });

TEST(Capabilities, AreOffWhileItMeasuresAndNotLeftToTheLoad) {
    std::istringstream lines(vm_file("user.capabilities"));
    std::map<std::string, int> seen;
    std::string comm;
    std::uint64_t permitted = 0;
    std::uint64_t effective = 0;
    int off = 0; // not just now attaching
    while (lines >> comm >> std::hex >> permitted >> effective) {
        ++seen[comm];
        std::uint64_t attaching = bit(CAP_BPF) | bit(CAP_PERFMON);
        bool is_main = comm == "vethtrace";
        off += is_main && effective == 0 ? 1 : 0;
        EXPECT_EQ(effective & ~(is_main ? attaching : 0), 0) << comm;
        EXPECT_EQ(permitted, is_main ? attaching | bit(CAP_SYS_ADMIN) | bit(CAP_DAC_OVERRIDE) : 0) << comm;
    }
    EXPECT_EQ(seen, (std::map<std::string, int>{{"vethtrace", 8}, {"rr-server", 8}, {"rr-client", 8}}));
    EXPECT_GE(off, 2);
}

TEST(Capabilities, SufficeToRemoveTheLab) {
    EXPECT_EQ(vm_file("user.left"), "/run/netns:\n\n/run/vethtrace:\n");
}

TEST(Memlock, ThatIsTooLowIsNamedWhereTheKernelCountsIt) {
    if (vm_kernel() != "5.10") {
        EXPECT_EQ(vm_file("user.locked.status"), "0\n") << vm_file("user.locked.err");
        return;
    }
    EXPECT_EQ(vm_file("user.locked.status"), "1\n");
    std::string said = vm_file("user.locked.err");
    EXPECT_NE(said.find("RLIMIT_MEMLOCK: is 64 KiB"), std::string::npos) << said;
    EXPECT_NE(said.find("hint: `ulimit -l unlimited`"), std::string::npos) << said;
}

TEST(FeaturesOfAUser, NeedNoMoreThanBpfAndPerfmon) {
    nlohmann::json features = vm_json("user.features.json");
    ASSERT_FALSE(features.is_discarded()) << vm_file("user.features.err");
    for (const auto &ladder : features["ladders"])
        EXPECT_TRUE(ladder["hook"].is_string()) << ladder;
}

} // namespace
} // namespace vethtrace::test
