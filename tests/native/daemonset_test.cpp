// SPDX-License-Identifier: GPL-2.0-only
//
// The pod of tools/deploy/kubernetes as podman runs it, from the image of tools/deploy/image, on a node with a pod of
// containerd's.
#include "native/node.hpp"
#include "support/deployment.hpp"
#include "support/metrics.hpp"

#include <cap-ng.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

namespace vethtrace::test {
namespace {

namespace fs = std::filesystem;

const std::string node_address = "$(NODE_IP)"; // as Kubernetes writes it

class DaemonSetsPod : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        if (run({"sh", "-c", "command -v podman && command -v runc && command -v catatonit && test -x /bin/busybox"})
                .status != 0)
            GTEST_SKIP() << "needs podman, runc, catatonit and busybox-static";
        node_.emplace(2);
        fs::create_directories(directory_);
        // What a kubelet does by itself. This podman does not know hostPID.
        std::ofstream(directory_ / "containers.conf") << R"(
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
            pids_limit = 0
            pidns = "host"
            [engine]
            cgroup_manager = "cgroupfs"
            runtime = "runc"
        )";
    }
    void TearDown() override {
        if (!node_)
            return;
        if (!pod_.empty())
            (void)podman({"kube", "down", pod_});
        (void)podman({"rmi", "--force", image_});
        (void)run({"sh", "-c", "rmdir " + cgroup_});
        fs::remove_all(directory_);
    }

    [[nodiscard]] std::vector<std::string> podman_line(std::vector<std::string> words) const {
        words.insert(words.begin(), {"env", "CONTAINERS_CONF=" + (directory_ / "containers.conf").string(), "podman"});
        return words;
    }
    [[nodiscard]] Finished podman(std::vector<std::string> words) const { return run(podman_line(std::move(words))); }

    // Its last stage; the first one would compile what has been compiled here already.
    void build_image() const {
        const std::string recipe = VETHTRACE_DEPLOY "/image/";
        Finished laid_out = run({recipe + "root", VETHTRACE_BINARY, directory_ / "context/image"});
        ASSERT_EQ(laid_out.status, 0) << laid_out.err;
        Finished built = podman({"build", "--quiet", "--build-context", "build=" + (directory_ / "context").string(),
                                 "--tag", image_, "--file", recipe + "Containerfile", directory_ / "context"});
        ASSERT_EQ(built.status, 0) << built.err;
    }

    // The pod as the DaemonSet has it, but for what this podman cannot do: an argument with the node's address, a port
    // that is the host's, and probes without a shell. containerd's files are the test's own.
    void start_pod() {
        YAML::Node pod = manifest("kubernetes/daemonset.yaml")["spec"]["template"];
        pod["apiVersion"] = "v1";
        pod["kind"] = "Pod";
        pod["metadata"]["name"] = name_;
        YAML::Node container = pod["spec"]["containers"][0];
        container["image"] = image_;
        for (YAML::Node argument : container["args"]) {
            auto text = argument.as<std::string>();
            if (std::size_t at = text.find(node_address); at != std::string::npos)
                argument = text.replace(at, node_address.size(), "127.0.0.1");
        }
        for (const char *key : {"env", "ports", "startupProbe", "livenessProbe", "readinessProbe"})
            container.remove(key);
        for (YAML::Node volume : pod["spec"]["volumes"])
            if (volume["name"].as<std::string>() == "containerd-tasks")
                volume["hostPath"]["path"] = (directory_ / "tasks").string();
        pod_ = directory_ / "pod.yaml";
        std::ofstream(pod_) << pod;
        std::vector<std::string> line = podman_line({"kube", "play", pod_});
        line.insert(line.begin(), {"nsenter", "--net=/run/netns/" + node_->host()});
        Finished started = run(line);
        ASSERT_EQ(started.status, 0) << started.err;
        pid_ = std::stoi("0" + podman({"inspect", "-f", "{{.State.Pid}}", name_ + "-vethtrace"}).out);
        ASSERT_NE(pid_, 0) << logs();
    }

    [[nodiscard]] std::string logs() const { return podman({"logs", name_ + "-vethtrace"}).err; }

    // A pod's process in the first container of the node, with what containerd leaves of it.
    [[nodiscard]] std::unique_ptr<Process> start_neighbour() const {
        const std::string id(64, 'c');
        fs::create_directories(directory_ / "tasks" / id);
        std::ofstream(directory_ / "tasks" / id / "config.json")
            << R"({"annotations": {"io.kubernetes.cri.container-type": "container",
                  "io.kubernetes.cri.container-name": "api", "io.kubernetes.cri.sandbox-name": "api-7f",
                  "io.kubernetes.cri.sandbox-namespace": "shop"}})";
        Node::run_script("mkdir -p " + cgroup_);
        return std::make_unique<Process>(
            std::vector<std::string>{"sh", "-c",
                                     fmt::format("echo $$ >{}/cgroup.procs && exec ip netns exec {} {} rr serve",
                                                 cgroup_, node_->container(1), VETHTRACE_BINARY)});
    }

    [[nodiscard]] Finished fetch(const std::string &path) const {
        return run(Node::in(node_->host(), {"busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:9954" + path}));
    }
    [[nodiscard]] bool comes_to_serve() const {
        for (int tries = 0; tries < 300; ++tries) {
            if (fetch("/healthz").out == "ok\n")
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return false;
    }

    // Of the pod's process: the first word of that line of its status.
    [[nodiscard]] std::string status(const std::string &key) const {
        std::ifstream file(fmt::format("/proc/{}/status", pid_));
        for (std::string line; std::getline(file, line);)
            if (line.starts_with(key + ":")) {
                std::istringstream words(line.substr(key.size() + 1));
                std::string word;
                words >> word;
                return word;
            }
        return "";
    }

    std::optional<Node> node_;
    std::string name_ = fmt::format("vethtrace-pod-{}", getpid());
    std::string image_ = fmt::format("localhost/vethtrace-test:{}", getpid());
    std::string cgroup_ = (fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/pids/") +
                          ("cri-containerd-" + std::string(64, 'c') + ".scope");
    fs::path directory_ = fs::path(testing::TempDir()) / fmt::format("daemonset-{}", getpid());
    std::string pod_; // its file; empty: not yet
    pid_t pid_ = 0;
};

TEST_F(DaemonSetsPod, SeesItsNeighboursByNameWithTheCapabilitiesThatItNames) {
    ASSERT_NO_FATAL_FAILURE(build_image());
    auto server = start_neighbour();
    ASSERT_NO_FATAL_FAILURE(start_pod());
    ASSERT_TRUE(comes_to_serve()) << logs();

    std::uint64_t named = 0;
    for (const YAML::Node &capability :
         container_of(manifest("kubernetes/daemonset.yaml"))["securityContext"]["capabilities"]["add"])
        named |= std::uint64_t{1} << capng_name_to_capability(capability.as<std::string>().c_str());
    EXPECT_EQ(std::stoull(status("CapBnd"), nullptr, 16), named);
    EXPECT_EQ(std::stoull(status("CapPrm"), nullptr, 16), named);
    EXPECT_EQ(status("NoNewPrivs"), "1");
    EXPECT_EQ(status("Seccomp"), "2"); // a filter, the runtime's own
    std::ifstream mounts(fmt::format("/proc/{}/mounts", pid_));
    for (std::string device, path, type, options, rest; mounts >> device >> path >> type >> options;) {
        std::getline(mounts, rest);
        if (path == "/" || path == "/run/netns" || path.starts_with("/run/containerd")) {
            EXPECT_TRUE(options.starts_with("ro")) << path << " " << options;
        }
    }

    ASSERT_EQ(run(node_->client_line(2, 1, {"-c", "1000"})).status, 0);
    constexpr double messages = 1200; // and the warm-up
    double counted = 0;
    for (int tries = 0; tries < 150 && counted < messages; ++tries) { // until the window has ended
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        counted = Metrics(fetch("/metrics").out)
                      .value("vethtrace_hop_latency_seconds_count",
                             {{"container", "shop/api-7f"}, {"direction", "in"}, {"stage", "backlog"}});
    }
    EXPECT_GE(counted, messages);

    auto stopped = podman({"stop", "-t", "10", name_ + "-vethtrace"});
    EXPECT_EQ(stopped.status, 0) << stopped.err;
    EXPECT_EQ(podman({"inspect", "-f", "{{.State.ExitCode}}", name_ + "-vethtrace"}).out, "0\n");
}

} // namespace
} // namespace vethtrace::test
