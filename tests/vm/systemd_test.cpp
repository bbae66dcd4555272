// SPDX-License-Identifier: GPL-2.0-only
//
// What came of systemd.sh: the exporter as a service.
#include "support/metrics.hpp"
#include "vm/results.hpp"

#include <cap-ng.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

namespace vethtrace::test {
namespace {

constexpr const char *unit_file = VETHTRACE_DEPLOY "/systemd/vethtrace-export.service";

// "key=value" lines.
std::map<std::string, std::string> shown(const std::string &name) {
    std::istringstream lines(vm_file(name + ".show"));
    std::map<std::string, std::string> found;
    for (std::string line; std::getline(lines, line);)
        if (std::size_t equals = line.find('='); equals != std::string::npos)
            found[line.substr(0, equals)] = line.substr(equals + 1);
    return found;
}

// The capabilities that the unit names, as a bit for each.
std::uint64_t of_unit(const std::string &setting) {
    std::ifstream file(unit_file);
    std::uint64_t bits = 0;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(setting + "="))
            continue;
        std::istringstream words(line.substr(setting.size() + 1));
        for (std::string word; words >> word;) {
            int number = capng_name_to_capability(word.substr(std::string("CAP_").size()).c_str());
            EXPECT_GE(number, 0) << word;
            bits |= std::uint64_t{1} << number;
        }
    }
    return bits;
}

// One thread of the service, as /proc tells it.
struct Task {
    std::map<std::string, std::string> lines;

    [[nodiscard]] std::string first(const std::string &key) const {
        auto found = lines.find(key);
        return found == lines.end() ? "" : found->second.substr(0, found->second.find('\t'));
    }
    [[nodiscard]] std::uint64_t capabilities(const std::string &key) const {
        return std::stoull("0" + first(key), nullptr, 16);
    }
};

std::vector<Task> tasks() {
    std::istringstream lines(vm_file("tasks"));
    std::vector<Task> found;
    for (std::string line; std::getline(lines, line);) {
        std::size_t colon = line.find(":\t");
        if (colon == std::string::npos)
            continue;
        std::string key = line.substr(0, colon);
        if (key == "Name")
            found.emplace_back();
        if (!found.empty())
            found.back().lines[key] = line.substr(colon + 2);
    }
    return found;
}

TEST(Service, StartsAndListensOnLoopbackAlone) {
    EXPECT_EQ(vm_file("start.status"), "0\n") << vm_file("start.err");
    auto started = shown("started");
    EXPECT_EQ(started["ActiveState"], "active") << vm_file("journal");
    EXPECT_EQ(started["SubState"], "running");
    EXPECT_EQ(started["NRestarts"], "0");
    EXPECT_EQ(vm_file("listening"), "127.0.0.1:9954\n");
    EXPECT_EQ(vm_file("healthz"), "ok\n");
}

// By name, though the runtime's files are root's alone: 500 transactions and the warm-up of 200, one packet each way.
TEST(Service, TellsOfAContainersPacketsUnderItsName) {
    nlohmann::json rr = vm_json("rr.json");
    ASSERT_FALSE(rr.is_discarded()) << vm_file("rr.err");
    constexpr double messages = 700;
    const std::string count = "vethtrace_hop_latency_seconds_count";
    Metrics metrics(vm_file("metrics"));
    for (const char *container : {"web-1", "web-2"}) {
        EXPECT_GE(metrics.value(count, {{"container", container}, {"direction", "in"}, {"stage", "backlog"}}),
                  messages);
        EXPECT_GE(metrics.value(count, {{"container", container}, {"direction", "out"}, {"stage", "device_xmit"}}),
                  messages);
    }
}

TEST(Service, IsADynamicUserWithTheCapabilitiesOfTheUnit) {
    auto started = shown("started");
    EXPECT_EQ(started["DynamicUser"], "yes");
    EXPECT_EQ(started["User"], "vethtrace-export");
    std::uint64_t named = of_unit("CapabilityBoundingSet");
    EXPECT_EQ(named, of_unit("AmbientCapabilities"));
    std::vector<Task> threads = tasks();
    ASSERT_GE(threads.size(), 2); // what watches and what answers
    int watching = 0;
    for (const Task &thread : threads) {
        // systemd's range of dynamic users
        EXPECT_GE(std::stoi("0" + thread.first("Uid")), 61184);
        EXPECT_LE(std::stoi("0" + thread.first("Uid")), 65519);
        EXPECT_EQ(thread.first("Uid"), thread.first("Gid"));
        EXPECT_EQ(thread.first("NoNewPrivs"), "1");
        EXPECT_EQ(thread.first("Seccomp"), "2");
        EXPECT_EQ(thread.capabilities("CapBnd"), named);
        EXPECT_EQ(thread.capabilities("CapAmb"), 0);
        EXPECT_EQ(thread.capabilities("CapEff") & ~named, 0);
        std::uint64_t permitted = thread.capabilities("CapPrm");
        EXPECT_TRUE(permitted == named || permitted == 0) << std::hex << permitted;
        watching += permitted == named ? 1 : 0;
    }
    EXPECT_EQ(watching, 1) << "whoever answers clients has no capability";
}

TEST(Service, CanWriteNothingOfTheMachine) {
    std::istringstream lines(vm_file("mountinfo"));
    std::string root;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string word;
        std::vector<std::string> fields;
        while (words >> word)
            fields.push_back(word);
        ASSERT_GE(fields.size(), 6);
        if (fields[4] == "/")
            root = fields[5]; // the last one lies on top
    }
    EXPECT_TRUE(root.starts_with("ro")) << root;
}

TEST(Service, StaysWithinItsMemory) {
    constexpr long limit = 256L << 20; // MemoryMax=
    EXPECT_LT(std::stol("0" + vm_file("memory.peak")), limit / 2) << "with one CPU";
    EXPECT_EQ(vm_file("oom"), "oom_kill 0\n");
    std::cout << "memory.peak " << vm_file("memory.peak");
}

TEST(Service, ComesBackAfterItWasKilled) {
    EXPECT_EQ(vm_file("revived.status"), "0\n");
    auto revived = shown("revived");
    EXPECT_EQ(revived["ActiveState"], "active");
    EXPECT_EQ(revived["NRestarts"], "1");
    EXPECT_NE(revived["MainPID"], shown("started")["MainPID"]);
}

TEST(Service, StopsCleanly) {
    EXPECT_EQ(vm_file("stop.status"), "0\n");
    auto stopped = shown("stopped");
    EXPECT_EQ(stopped["ActiveState"], "inactive");
    EXPECT_EQ(stopped["Result"], "success");
    EXPECT_EQ(stopped["MainPID"], "0");
    EXPECT_EQ(vm_file("stopped.listening"), "0\n");
    EXPECT_EQ(vm_file("journal").find("Killing"), std::string::npos) << "it went by itself";
}

TEST(Service, LetsInOnlyWhomTheAdministratorNames) {
    EXPECT_EQ(vm_file("denied.status"), "143\n") << "it waits in vain, and is ended";
    EXPECT_EQ(vm_file("allowed"), "ok\n");
}

// In a directory of node_exporter's, whose user it is then.
TEST(Service, WritesWhereTheAdministratorSays) {
    EXPECT_EQ(vm_file("textfile.owner"), "prometheus\n");
    EXPECT_GT(Metrics(vm_file("textfile")).value("vethtrace_build_info"), 0);
    EXPECT_EQ(vm_file("textfile.listening"), "0\n");
}

TEST(Service, DoesNotTryWrongOptionsAgain) {
    auto wrong = shown("wrong");
    EXPECT_EQ(wrong["ActiveState"], "failed");
    EXPECT_EQ(wrong["ExecMainStatus"], "2");
    EXPECT_EQ(wrong["NRestarts"], "0");
    EXPECT_NE(vm_file("journal").find("--no-such-option"), std::string::npos) << vm_file("journal");
}

} // namespace
} // namespace vethtrace::test
