// SPDX-License-Identifier: GPL-2.0-only
//
// Two hundred runs, some of them killed: nothing of ours stays, nothing of anyone else's goes.
#include "native/native.hpp"

#include <algorithm>
#include <bpf/bpf.h>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>

namespace vethtrace::test {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

Names files_in(const fs::path &directory, const std::string &with = "") {
    Names names;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(directory, error))
        if (entry.path().filename().string().find(with) != std::string::npos)
            names.insert(entry.path().filename());
    return names;
}

// What the kernel calls its BPF objects of one kind, by identifier.
template<typename Info>
std::map<__u32, std::string> bpf_objects(int (*next_id)(__u32, __u32 *), int (*open)(__u32)) {
    std::map<__u32, std::string> objects;
    for (__u32 id = 0; next_id(id, &id) == 0;) {
        int fd = open(id);
        if (fd < 0)
            continue; // it has gone meanwhile
        Info info = {};
        __u32 size = sizeof(info);
        if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
            objects.emplace(id, info.name);
        close(fd);
    }
    return objects;
}

std::map<__u32, std::string> bpf_programs() {
    return bpf_objects<bpf_prog_info>(bpf_prog_get_next_id, bpf_prog_get_fd_by_id);
}
std::map<__u32, std::string> bpf_maps() {
    return bpf_objects<bpf_map_info>(bpf_map_get_next_id, bpf_map_get_fd_by_id);
}

// Names of objects that are there now and were not before. Ours, if nobody else loads any meanwhile.
Names added(const std::map<__u32, std::string> &before, const std::map<__u32, std::string> &now) {
    Names names;
    for (const auto &[id, name] : now)
        if (before.count(id) == 0)
            names.insert(name);
    return names;
}

Names common(const Names &ours, const Names &left) {
    Names both;
    std::set_intersection(ours.begin(), ours.end(), left.begin(), left.end(), std::inserter(both, both.end()));
    return both;
}

// A folder for the temporary files of what these tests start. It is in their environment, by which they are told from
// other tests, which run beside these and come and go as they like.
class TemporaryFolder {
public:
    TemporaryFolder() {
        fs::create_directory(path_);
        setenv("TMPDIR", path_.c_str(), 1);
    }
    TemporaryFolder(const TemporaryFolder &) = delete;
    TemporaryFolder &operator=(const TemporaryFolder &) = delete;
    ~TemporaryFolder() {
        unsetenv("TMPDIR");
        fs::remove_all(path_);
    }

    [[nodiscard]] Names files() const { return files_in(path_); }

    // Whose environment names it, as "comm pid".
    [[nodiscard]] Names processes() const {
        Names found;
        for (const std::string &pid : files_in("/proc")) {
            if (pid == std::to_string(getpid()))
                continue;
            std::ifstream environment("/proc/" + pid + "/environ");
            std::string variables((std::istreambuf_iterator<char>(environment)), {});
            std::string comm;
            if (variables.find("TMPDIR=" + path_.string()) != std::string::npos &&
                std::getline(std::ifstream("/proc/" + pid + "/comm"), comm))
                found.insert(comm + " " + pid);
        }
        return found;
    }

private:
    fs::path path_ = fs::temp_directory_path() / fmt::format("vethtrace-leftover-{}", getpid());
};

// Everything that a run could leave behind, besides.
struct Traces {
    Names namespaces = files_in("/run/netns");
    Names locks = files_in("/run/vethtrace");
    Names pinned = files_in("/sys/fs/bpf");
    std::string devices = run({"ip", "-o", "-br", "link"}).out;
    std::map<__u32, std::string> programs = bpf_programs();
    std::map<__u32, std::string> maps = bpf_maps();
};

// Names that look like those of a lab, but are not. No `lab gc` may take them.
class Foreign {
public:
    Foreign() {
        for (const std::string &name : names_)
            EXPECT_EQ(run({"ip", "netns", "add", name}).status, 0) << name;
        fs::create_directories("/run/vethtrace");
        std::ofstream(lock_) << "somebody else's\n";
    }
    Foreign(const Foreign &) = delete;
    Foreign &operator=(const Foreign &) = delete;
    ~Foreign() {
        for (const std::string &name : names_)
            (void)run({"ip", "netns", "del", name});
        fs::remove(lock_);
    }

private:
    std::vector<std::string> names_ = {"vethtracex", "vethtrace-my-host", "vethtrace-12-router", "my-vethtrace-1-host"};
    fs::path lock_ = "/run/vethtrace/other.lock";
};

const std::vector<std::string> short_run = {"-c", "50", "--warmup", "0", "-q"};

using Leftover = Native;

TEST_F(Leftover, OfTwoHundredRunsIsNothing) {
    constexpr int runs = 200;
    constexpr int of_each_kind = 20;
    constexpr int at_once = 5;
    unsigned seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    TemporaryFolder temporary;
    Foreign foreign;
    KeptLab kept;
    (void)vethtrace({"lab", "gc"});
    Traces before;

    // What a run's own BPF objects are called.
    Process sample(vethtrace_line({"-d", "0.5", "-q"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    Names our_programs = added(before.programs, bpf_programs());
    Names our_maps = added(before.maps, bpf_maps());
    EXPECT_GE(our_programs.size(), 9);
    EXPECT_GE(our_maps.size(), 4);
    EXPECT_GE(temporary.processes().size(), 1);
    (void)sample.wait();

    // As long as a whole run takes, and a little more.
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(vethtrace(short_run).status & ~3, 0);
    auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
    std::uniform_int_distribution<long> moment(0, whole.count() * 11 / 10);
    std::vector<int> signals(runs - 2 - at_once, 0);
    std::fill_n(signals.begin(), of_each_kind, SIGKILL);
    std::fill_n(signals.begin() + of_each_kind, of_each_kind, SIGINT);
    std::shuffle(signals.begin(), signals.end(), random);
    for (int signal : signals) {
        Process process(vethtrace_line(short_run));
        std::string lab = fmt::format("vethtrace-{}", process.pid());
        if (signal != 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(moment(random)));
            process.signal(signal);
        }
        Finished finished = process.wait();
        constexpr int by_signal = 128;
        bool expected = finished.status == 0 || finished.status == 3 || finished.status == by_signal + signal;
        EXPECT_TRUE(expected) << finished.status << finished.err;
        if (signal != SIGKILL) {
            EXPECT_EQ(files_in("/run/netns", lab), Names()) << "after signal " << signal;
            EXPECT_EQ(files_in("/run/vethtrace", lab), Names()) << "after signal " << signal;
        }
    }
    std::vector<std::unique_ptr<Process>> together;
    for (int i = 0; i < at_once; ++i)
        together.push_back(std::make_unique<Process>(vethtrace_line(short_run)));
    for (const auto &process : together)
        EXPECT_EQ(process->wait().status & ~3, 0);

    EXPECT_EQ(vethtrace({"lab", "gc"}).status, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(200)); // the kernel frees BPF objects a little later
    Traces after;
    EXPECT_EQ(after.namespaces, before.namespaces);
    EXPECT_EQ(after.locks, before.locks);
    EXPECT_EQ(after.pinned, before.pinned);
    EXPECT_EQ(temporary.files(), Names());
    EXPECT_EQ(temporary.processes(), Names());
    EXPECT_EQ(after.devices, before.devices);
    EXPECT_EQ(common(our_programs, added(before.programs, after.programs)), Names());
    EXPECT_EQ(common(our_maps, added(before.maps, after.maps)), Names());
    EXPECT_EQ(vethtrace({"lab", "down"}).status, 0) << "the kept lab is still there";
}

TEST_F(Leftover, CollectionNeverTakesWhatALivingRunOwns) {
    Process one(vethtrace_line({"-c", "4000", "-j", "--cpus", "0"}));
    Process two(vethtrace_line({"-d", "1.5", "-j"}));
    for (int i = 0; i < 100; ++i) {
        Finished collected = vethtrace({"lab", "gc"});
        EXPECT_EQ(collected.status, 0) << collected.err;
        EXPECT_EQ(collected.out, "");
    }
    for (Process *running : {&one, &two}) {
        Finished finished = running->wait();
        ASSERT_NE(finished.status, 1) << finished.err;
        nlohmann::json run = nlohmann::json::parse(finished.out);
        EXPECT_TRUE(run["conservation"]["balanced"]);
        EXPECT_EQ(run["conservation"]["entered"], 2 * run["load"]["transactions"].get<std::uint64_t>());
    }
}

} // namespace
} // namespace vethtrace::test
