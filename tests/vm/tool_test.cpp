// SPDX-License-Identifier: GPL-2.0-only
//
// tools/vm itself: what goes in comes out, and nothing that goes wrong in the guest passes for a success.
#include "support/process.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

namespace vethtrace::test {
namespace {

constexpr int timed_out = 124;
constexpr int trouble = 125;

std::vector<std::string> vm_line(const std::vector<std::string> &arguments) {
    std::vector<std::string> line = {VETHTRACE_TOOLS "/vm", "run", "--binary", VETHTRACE_BINARY};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return line;
}

Finished vm(const std::vector<std::string> &arguments) {
    return Process(vm_line(arguments)).wait(std::chrono::seconds(240));
}

// A folder that goes with the test.
class Folder {
public:
    Folder() : path_(std::filesystem::temp_directory_path() / ("vethtrace-test-" + std::to_string(getpid()))) {
        std::filesystem::create_directories(path_);
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::filesystem::path &path() const { return path_; }

private:
    std::filesystem::path path_;
};

TEST(VmTool, HandsBackOutputFilesAndExitStatus) {
    Folder out;
    Finished finished = vm({"--out", out.path(), "--", "sh", "-c",
                            "echo to stdout; echo to stderr >&2; mkdir 'a b'; echo content >'a b/file'; exit 7"});
    EXPECT_EQ(finished.status, 7);
    EXPECT_EQ(finished.out, "to stdout\n");
    EXPECT_EQ(finished.err, "to stderr\n");
    std::ostringstream content;
    content << std::ifstream(out.path() / "a b/file").rdbuf();
    EXPECT_EQ(content.str(), "content\n");
}

TEST(VmTool, HasTwoCpusIfAsked) {
    Finished finished = vm({"--smp", "2", "--", "sh", "-c", "nproc; vethtrace --cpus 0,1 -c 500 -q"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(finished.out.substr(0, 2), "2\n");
}

TEST(VmTool, StopsACommandThatNeverEndsAndPrintsWhatItSaid) {
    Finished finished = vm({"--timeout", "30", "--", "sh", "-c", "echo so far; while :; do :; done"});
    EXPECT_EQ(finished.status, timed_out);
    EXPECT_EQ(finished.out, "so far\n");
    EXPECT_NE(finished.err.find("did not end in time"), std::string::npos) << finished.err;
}

TEST(VmTool, ReportsAPanic) {
    Finished finished = vm({"--", "sh", "-c", "echo c >/proc/sysrq-trigger"});
    EXPECT_EQ(finished.status, trouble);
    EXPECT_NE(finished.err.find("Kernel panic"), std::string::npos) << finished.err;
}

TEST(VmTool, ReportsASplatAlthoughTheCommandSucceededAndTriesAgainIfAsked) {
    Finished finished =
        vm({"--tries", "2", "--", "sh", "-c", "echo 'WARNING: CPU: 0 PID: 1 at net/core/dev.c:1' >/dev/kmsg"});
    EXPECT_EQ(finished.status, trouble);
    EXPECT_NE(finished.err.find("WARNING: "), std::string::npos) << finished.err;
    std::size_t again = finished.err.find("it boots again");
    EXPECT_NE(again, std::string::npos) << finished.err;
    EXPECT_EQ(finished.err.find("it boots again", again + 1), std::string::npos) << finished.err;
}

// ---- what can be said before the boot

struct Misuse {
    std::vector<std::string> arguments;
    std::string said;
};

void PrintTo(const Misuse &misuse, std::ostream *out) {
    *out << misuse.said;
}

class VmToolRefuses : public testing::TestWithParam<Misuse> {};

TEST_P(VmToolRefuses, WithTheReason) {
    Finished finished = vm(GetParam().arguments);
    EXPECT_EQ(finished.status, trouble);
    EXPECT_NE(finished.err.find(GetParam().said), std::string::npos) << finished.err;
}

INSTANTIATE_TEST_SUITE_P(
    Vm, VmToolRefuses,
    testing::Values(Misuse{{"--kernel", "9.9", "--", "true"}, "choose from 5.10, 6.1, 6.12, newest"},
                    Misuse{{"--kernel-image", "/nowhere", "--modules", "/tmp", "--", "true"}, "No such file"},
                    Misuse{{"--kernel-image", VETHTRACE_BINARY, "--modules", "/tmp", "--", "true"}, "not a boot image"},
                    Misuse{{"--module", "no_such_module", "--", "true"}, "has no module no_such_module"},
                    Misuse{{"--with", "/nowhere", "--", "true"}, "no such file"}));

// A boot image for x86 has the letters HdrS at 0x202 and at 0x20e where, from 0x200, its release is written.
std::string write_image(const std::filesystem::path &path, const std::string &release) {
    std::string image(0x300, '\0');
    image.replace(0x202, 4, "HdrS");
    image[0x20e] = 0x50;
    image.replace(0x250, release.size(), release);
    std::ofstream(path) << image;
    return path;
}

TEST(VmTool, RefusesAnImageWithoutItsModules) {
    Folder folder;
    std::string image = write_image(folder.path() / "vmlinuz", "1.2.3 (someone)");
    std::filesystem::create_directories(folder.path() / "1.2.4/kernel");
    std::filesystem::create_directories(folder.path() / "1.2.3");
    auto refused = [&](const std::string &modules) {
        Finished finished = vm({"--kernel-image", image, "--modules", folder.path() / modules, "--", "true"});
        EXPECT_EQ(finished.status, trouble);
        return finished.err;
    };
    EXPECT_NE(refused("1.2.4").find("holds the modules of 1.2.4"), std::string::npos);
    EXPECT_NE(refused("1.2.3").find("has no modules in it"), std::string::npos);
    EXPECT_NE(refused("missing").find("no such folder"), std::string::npos);
}

TEST(VmTool, RefusesAnImageWithoutBtf) {
    Folder folder;
    std::string image = write_image(folder.path() / "vmlinuz-1.2.3", "1.2.3");
    std::filesystem::create_directories(folder.path() / "1.2.3/kernel");
    std::ofstream(folder.path() / "config-1.2.3") << "# CONFIG_DEBUG_INFO_BTF is not set\n";
    Finished finished = vm({"--kernel-image", image, "--modules", folder.path() / "1.2.3", "--", "true"});
    EXPECT_EQ(finished.status, trouble);
    EXPECT_NE(finished.err.find("CONFIG_DEBUG_INFO_BTF"), std::string::npos) << finished.err;
}

TEST(VmTool, NamesThePackageOfAMissingProgram) {
    Folder empty;
    std::string python = "/usr/bin/python3";
    std::vector<std::string> line = {"env", "PATH=" + empty.path().string(), python};
    std::vector<std::string> vm = vm_line({"--", "true"});
    line.insert(line.end(), vm.begin(), vm.end());
    Finished finished = Process(line).wait();
    EXPECT_EQ(finished.status, trouble);
    EXPECT_NE(finished.err.find("qemu-system-x86"), std::string::npos) << finished.err;
}

TEST(VmTool, ShowsItsUsage) {
    EXPECT_EQ(vm({}).status, 2);
    EXPECT_EQ(vm({"--smp", "3", "--", "true"}).status, 2);
    EXPECT_EQ(vm({"--timeout", "0", "--", "true"}).status, 2);
}

} // namespace
} // namespace vethtrace::test
