// SPDX-License-Identifier: GPL-2.0-only
//
// Containers of real runtimes, with a root file system made on the spot: found by name and by identifier, and their
// packets are theirs.
#include "native/watching.hpp"

#include <algorithm>
#include <fstream>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;

class Runtimes : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        if (run({"sh", "-c", "command -v podman && command -v runc && test -x /bin/busybox"}).status != 0)
            GTEST_SKIP() << "needs podman, runc and busybox-static";
        Node::run_script(fmt::format("mkdir -p {0}/bin {0}/proc {0}/sys {0}/dev {0}/tmp && cp /bin/busybox {0}/bin && "
                                     "ln -s busybox {0}/bin/sleep",
                                     root_));
    }
    void TearDown() override {
        (void)run({"sh", "-c",
                   fmt::format("podman rm -f -t 0 {0} >/dev/null 2>&1; runc delete -f {0} >/dev/null 2>&1", name_)});
        std::filesystem::remove_all(directory_);
    }

    // A process in it. No network but what the test gives it.
    pid_t start_podman() const {
        Finished started = run({"podman",
                                "--cgroup-manager",
                                "cgroupfs",
                                "--runtime",
                                "runc",
                                "run",
                                "-d",
                                "--name",
                                name_,
                                "--network",
                                "none",
                                "--ulimit",
                                "nofile=1024:1024",
                                "--ulimit",
                                "nproc=1000:1000",
                                "--pids-limit",
                                "0",
                                "--rootfs",
                                root_,
                                "/bin/sleep",
                                "300"});
        EXPECT_EQ(started.status, 0) << started.err;
        return std::stoi("0" + run({"podman", "inspect", "-f", "{{.State.Pid}}", name_}).out);
    }
    pid_t start_runc() const {
        Json config = Json::parse(R"({
            "ociVersion": "1.0.2", "hostname": "vethtrace",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "300"], "env": ["PATH=/bin"], "cwd": "/"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]}
        })");
        config["root"] = {{"path", root_}, {"readonly", true}};
        std::ofstream(directory_ + "/config.json") << config;
        Finished started = run({"sh", "-c",
                                fmt::format("runc run -d --bundle {} {} </dev/null >{}/log 2>&1 || cat {}/log >&2",
                                            directory_, name_, directory_, directory_)});
        EXPECT_EQ(started.err, "");
        Json state = Json::parse(run({"runc", "state", name_}).out, nullptr, false);
        return state.is_object() ? state["pid"].get<pid_t>() : 0;
    }

    // Its packets to another container, asked for by that word.
    static void check(const Node &node, const std::string &word, const std::string &name, const std::string &runtime) {
        auto server = node.serve(1);
        Watching watching(node, {"--container", word});
        ASSERT_EQ(run(node.client_line(2, 1, {"-c", "1000"})).status, 0);
        std::vector<Json> lines = watching.finish();
        ASSERT_FALSE(lines.empty());
        const Json &target = lines.front()["arrived"][0];
        EXPECT_EQ(lines.front()["arrived"].size(), 1);
        EXPECT_EQ(target["name"], name);
        EXPECT_EQ(target["runtime"], runtime);
        EXPECT_EQ(target["mode"], "bridge");
        EXPECT_EQ(targets_in(lines.back()), std::set<std::string>{name});
        EXPECT_GE(counts_in(lines.back())[name + " out qdisc"], 1200) << "asked for by " << word;
        EXPECT_TRUE(lines.back()["conservation"]["balanced"]);
    }

    std::string name_ = fmt::format("vethtrace-test-{}", getpid());
    std::string directory_ = fmt::format("{}/runtimes-{}", testing::TempDir(), getpid());
    std::string root_ = directory_ + "/rootfs";
};

TEST_F(Runtimes, PodmansContainerIsFoundByNameAndIdentifier) {
    Node node(1);
    pid_t pid = start_podman();
    ASSERT_NE(pid, 0);
    node.adopt(2, pid);
    check(node, name_, name_, "podman");
    std::string id = run({"podman", "inspect", "-f", "{{.Id}}", name_}).out;
    id.erase(std::remove(id.begin(), id.end(), '\n'), id.end());
    EXPECT_EQ(id.size(), 64);
    check(node, id, name_, "podman");
    check(node, id.substr(0, 12), name_, "podman");
    Finished wrong = run(node.watch_line({"--container", name_ + "x"}));
    EXPECT_EQ(wrong.status, 2);
    EXPECT_NE(wrong.err.find("did you mean " + name_), std::string::npos) << wrong.err;
}

TEST_F(Runtimes, RuncsContainerIsFoundByName) {
    Node node(1);
    pid_t pid = start_runc();
    ASSERT_NE(pid, 0);
    node.adopt(2, pid);
    check(node, name_, name_, "runc");
}

// With the host's network there is nothing that would be the container's alone.
TEST_F(Runtimes, ContainerWithTheHostsNetworkIsNoTarget) {
    Node node(1);
    Finished started = run({"podman",
                            "--cgroup-manager",
                            "cgroupfs",
                            "--runtime",
                            "runc",
                            "run",
                            "-d",
                            "--name",
                            name_,
                            "--network",
                            "host",
                            "--ulimit",
                            "nofile=1024:1024",
                            "--ulimit",
                            "nproc=1000:1000",
                            "--pids-limit",
                            "0",
                            "--rootfs",
                            root_,
                            "/bin/sleep",
                            "300"});
    ASSERT_EQ(started.status, 0) << started.err;
    Finished refused = run(
        vethtrace_line({"watch", "--container", run({"podman", "inspect", "-f", "{{.Id}}", name_}).out.substr(0, 12)}));
    EXPECT_EQ(refused.status, 2);
    EXPECT_NE(refused.err.find("has the host's own network"), std::string::npos) << refused.err;
}

} // namespace
} // namespace vethtrace::test
