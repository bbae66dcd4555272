// SPDX-License-Identifier: GPL-2.0-only
//
// Surroundings in which it cannot work, or not go on: one clear line, a hint, the right exit status, and nothing is
// lost.
#include "native/native.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace vethtrace::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path &path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::size_t labs() {
    std::error_code error;
    return static_cast<std::size_t>(std::distance(fs::directory_iterator("/run/netns", error), {}));
}

// In a mount namespace of its own, so that whatever the script mounts goes with it. $vethtrace is a short run.
Finished in_shell(const std::string &script) {
    std::string program = std::string("vethtrace='") + VETHTRACE_BINARY + " -c 200'\n";
    return run({"unshare", "--mount", "sh", "-c", program + script});
}

struct Surroundings {
    std::string name;
    std::string script;
    std::string said;
    std::string hint;
};

void PrintTo(const Surroundings &param, std::ostream *out) {
    *out << param.name;
}

class Fails : public Native, public testing::WithParamInterface<Surroundings> {};

TEST_P(Fails, WithOneLineAndAHint) {
    std::size_t before = labs();
    Finished finished = in_shell(GetParam().script);
    EXPECT_EQ(finished.status, 1);
    EXPECT_NE(finished.err.find(GetParam().said), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("hint: " + GetParam().hint), std::string::npos) << finished.err;
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 2) << finished.err;
    EXPECT_EQ(labs(), before) << "the lab is still there";
}

INSTANTIATE_TEST_SUITE_P(
    Native, Fails,
    testing::Values(
        Surroundings{"without_btf", "mount -t tmpfs tmpfs /sys/kernel/btf; $vethtrace",
                     "/sys/kernel/btf/vmlinux: there are no types of this kernel (BTF)",
                     "vethtrace needs a kernel with CONFIG_DEBUG_INFO_BTF"},
        Surroundings{"read_only_run", "mount -t tmpfs -o ro tmpfs /run; $vethtrace",
                     "/run/vethtrace: Read-only file system", "vethtrace keeps a lock there"},
        Surroundings{"closed_stdout", "$vethtrace >&-", "standard output: is closed", "-o FILE"},
        Surroundings{"full_stdout", "$vethtrace >/dev/full", "standard output: ENOSPC", "with -o FILE"},
        Surroundings{"full_device", "$vethtrace -o /dev/full", "-o /dev/full: ENOSPC", "the result is on standard"},
        Surroundings{"no_such_directory", "$vethtrace -o /nowhere/result", "-o /nowhere/result: ENOENT", "name a file"},
        Surroundings{"directory", "$vethtrace -o /run", "-o /run: EISDIR", "name a file"}),
    [](const auto &test) { return test.param.name; });

using EnvironmentTest = Native;

TEST_F(EnvironmentTest, AFullDiskLosesNeitherTheResultNorTheOldFile) {
    Finished finished = in_shell("mount -t tmpfs -o size=8k tmpfs /mnt; echo old >/mnt/result\n"
                                 "$vethtrace -o /mnt/result; echo \"status $?\"; cat /mnt/result; ls -A /mnt");
    EXPECT_NE(finished.out.find("ledger"), std::string::npos) << "the table is printed all the same";
    EXPECT_NE(finished.out.find("status 1\nold\nresult\n"), std::string::npos) << finished.out;
    EXPECT_NE(finished.err.find("-o /mnt/result: ENOSPC"), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("what was in the file before is still there"), std::string::npos) << finished.err;
}

TEST_F(EnvironmentTest, AResultFileIsReplacedWholeAndKeepsItsMode) {
    fs::path file = fs::path(testing::TempDir()) / "vethtrace-replaced.json";
    std::ofstream(file) << "old";
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    Finished finished = vethtrace({"-c", "200", "-q", "-o", file});
    EXPECT_EQ(finished.status & ~3, 0) << finished.err;
    EXPECT_FALSE(nlohmann::json::parse(read_file(file), nullptr, false).is_discarded());
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    fs::remove(file);
}

TEST_F(EnvironmentTest, AFailedRunLeavesTheResultFileAsItWas) {
    fs::path file = fs::path(testing::TempDir()) / "vethtrace-kept.json";
    std::ofstream(file) << "old";
    EXPECT_EQ(vethtrace({"--no-hook", "tracepoint", "-o", file}).status, 1);
    EXPECT_EQ(read_file(file), "old");
    fs::remove(file);
    EXPECT_EQ(vethtrace({"--no-hook", "tracepoint", "-o", file}).status, 1);
    EXPECT_FALSE(fs::exists(file));
}

TEST_F(EnvironmentTest, AReaderThatGoesAwayLeavesNoLab) {
    std::size_t before = labs();
    Finished finished = in_shell("$vethtrace | true");
    EXPECT_NE(finished.err.find("standard output: EPIPE"), std::string::npos) << finished.err;
    EXPECT_EQ(labs(), before);
}

TEST_F(EnvironmentTest, AnErrorThatNobodyCanBeToldIsStillOne) {
    EXPECT_EQ(in_shell("$vethtrace --mode nonsense 2>/dev/full").status, 2);
    EXPECT_EQ(in_shell("$vethtrace -o /nowhere/result 2>&-").status, 1);
}

TEST_F(EnvironmentTest, NeedsNoInputAndNoTracefs) {
    Finished finished = in_shell("for at in /sys/kernel/debug/tracing /sys/kernel/tracing /sys/kernel/debug; do\n"
                                 "    while umount $at 2>/dev/null; do :; done\ndone\n"
                                 "[ -e /sys/kernel/tracing/events ] || $vethtrace <&-");
    EXPECT_EQ(finished.status & ~3, 0) << finished.err;
    EXPECT_NE(finished.out.find("ledger"), std::string::npos) << finished.out;
}

TEST_F(EnvironmentTest, LockdownIsNamedWhereItRefusesAHook) {
    nlohmann::json json = nlohmann::json::parse(vethtrace({"features", "-j"}).out);
    std::string refused;
    for (const auto &ladder : json["ladders"])
        for (const auto &attempt : ladder["tried"])
            if (ladder["name"] == "xmit (veth)" && attempt["hook"] == "veth_xmit fentry")
                refused = attempt["result"];
    if (refused == "used")
        GTEST_SKIP() << "this kernel is not locked down: fentry is allowed";
    EXPECT_NE(refused.find("kernel lockdown"), std::string::npos) << refused;
}

} // namespace
} // namespace vethtrace::test
