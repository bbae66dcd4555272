// SPDX-License-Identifier: GPL-2.0-only
#include "watch/near.hpp"
#include "watch/targets.hpp"

#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vethtrace {
namespace {

namespace fs = std::filesystem;

// A system's files as container runtimes leave them. A plain file stands for a namespace, by its own inode number.
class Tree {
public:
    Tree() : top_(fs::path(testing::TempDir()) / fmt::format("targets.{}", getpid())) {
        fs::remove_all(top_);
        put("proc/self/ns/net", "host");
        fs::create_directories(top_ / "proc/1/ns");
        fs::create_hard_link(top_ / "proc/self/ns/net", top_ / "proc/1/ns/net");
    }
    Tree(const Tree &) = delete;
    Tree &operator=(const Tree &) = delete;
    ~Tree() { fs::remove_all(top_); }

    void put(const fs::path &name, const std::string &text) {
        fs::create_directories((top_ / name).parent_path());
        std::ofstream(top_ / name) << text;
    }
    // A process in a namespace of its own, or in that of another one.
    void process(pid_t pid, const std::string &cgroup, pid_t beside = 0) {
        std::string own = fmt::format("proc/{}/ns/net", pid);
        if (beside == 0) {
            put(own, "");
        } else {
            fs::create_directories((top_ / own).parent_path());
            fs::create_hard_link(top_ / fmt::format("proc/{}/ns/net", beside), top_ / own);
        }
        put(fmt::format("proc/{}/cgroup", pid), cgroup);
    }
    void remove(const fs::path &name) { fs::remove_all(top_ / name); }

    [[nodiscard]] Roots roots() const {
        return {top_ / "proc", top_ / "run", top_ / "var/lib", true, top_ / "etc", top_};
    }
    [[nodiscard]] fs::path path(const fs::path &name) const { return top_ / name; }
    [[nodiscard]] std::uint32_t inode(pid_t pid) const {
        return namespace_inode(roots(), top_ / fmt::format("proc/{}/ns/net", pid));
    }

private:
    fs::path top_;
};

std::string id_of(char digit) {
    return std::string(64, digit);
}

Selection everything() {
    Selection selection;
    selection.all = true;
    return selection;
}

// As "name kind runtime pod".
std::vector<std::string> found_in(const Tree &tree, const Selection &selection) {
    Result<Found> found = TargetFinder(selection, tree.roots()).find();
    std::vector<std::string> names;
    if (!found)
        return {found.error().text() + "; " + found.error().hint};
    for (const Target &target : found->targets)
        names.push_back(fmt::format("{} {} {} {}", target.name, name_of(target.kind), target.runtime, target.pod));
    std::sort(names.begin(), names.end());
    return names;
}

using FoundNames = std::vector<std::string>;

TEST(ControlGroups, TellAContainerAndItsRuntime) {
    std::string a = id_of('a');
    struct Case {
        std::string cgroup;
        ContainerId container;
    };
    const std::vector<Case> cases = {
        {"0::/system.slice/docker-" + a + ".scope\n", {a, "docker"}},
        {"12:cpu:/docker/" + a + "\n11:memory:/docker/" + a + "\n", {a, "docker"}},
        {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-" + a + ".scope\n",
         {a, "containerd"}},
        {"0::/kubepods/besteffort/pod12/" + a + "\n", {a, ""}},
        {"0::/kubepods.slice/pod12.slice/crio-" + a + ".scope/container\n", {a, "cri-o"}},
        {"0::/machine.slice/libpod-" + a + ".scope/container\n", {a, "podman"}},
        {"0::/docker/" + a + "/kubepods/pod3/cri-containerd-" + id_of('b') + ".scope", {id_of('b'), "containerd"}},
        {"0::/user.slice/user-1000.slice/session-2.scope\n", {"", ""}},
        {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + a + ".scope/container\n",
         {a, "podman", 1000}},
        {"0::/system.slice/nerdctl-" + a + ".scope\n", {a, "containerd"}},
        {"0::/machine.slice/systemd-nspawn@web\\x2d1.service/payload/init.scope\n", {"web-1", "systemd-nspawn"}},
        {"0::/machine.slice/machine-db.scope/payload\n", {"db", "systemd-nspawn"}},
        {"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope\n", {"", ""}},
        {"0::/lxc.payload.mail/system.slice/ssh.service\n", {"mail", "lxc"}},
        {"4:cpu:/lxc/mail/init.scope\n", {"mail", "lxc"}},
        {"0::/lxc.monitor.mail\n", {"", ""}}, // outside, on behalf of it
        {"0::/lxc.payload.mail/docker/" + a + "\n", {a, "docker"}},
        {"0::/system.slice/docker-" + a.substr(1) + ".scope\n", {"", ""}}, // one digit short
        {"0::/\n", {"", ""}},
        {"", {"", ""}},
    };
    for (const Case &one : cases)
        EXPECT_EQ(container_of_cgroup(one.cgroup), one.container) << one.cgroup;
}

TEST(Targets, HaveTheNamesThatTheirRuntimesGaveThem) {
    Tree tree;
    tree.process(10, "0::/system.slice/docker-" + id_of('a') + ".scope\n");
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", R"({"Name": "/web-1", "State": {}})");
    tree.process(20, "0::/machine.slice/libpod-" + id_of('b') + ".scope\n");
    tree.put("var/lib/containers/storage/overlay-containers/containers.json",
             R"([{"id": "x", "names": ["other"]}, {"id": ")" + id_of('b') + R"(", "names": ["db"]}])");
    tree.process(30, "0::/crio-" + id_of('c') + ".scope\n");
    tree.put("run/containers/storage/overlay-containers/" + id_of('c') + "/userdata/config.json",
             R"({"annotations": {"io.kubernetes.container.name": "api", "io.kubernetes.pod.name": "api-7f",
                 "io.kubernetes.pod.namespace": "shop", "io.kubernetes.cri-o.ContainerType": "container"}})");
    tree.process(40, "0::/\n");
    tree.put("run/crun/started-by-hand/status", R"({"pid": 40})");
    tree.put("run/netns/blue", "");
    tree.process(50, "0::/user.slice\n");
    tree.process(60, "0::/system.slice/docker-" + id_of('d') + ".scope\n"); // of which no file tells
    EXPECT_EQ(found_in(tree, everything()),
              (FoundNames{"blue netns  ", "db container podman ", "dddddddddddd container docker ", "pid 50 process  ",
                          "shop/api-7f container cri-o shop/api-7f", "started-by-hand container crun ",
                          "web-1 container docker "}));
}

// The name of the only target, asked for all.
std::string only_name(const Tree &tree) {
    FoundNames names = found_in(tree, everything());
    return names.size() == 1 ? names.front() : fmt::format("{} targets", names.size());
}

TEST(Targets, HaveTheirNamesWhereverTheRuntimeKeepsThem) {
    const std::string a = id_of('a');
    const std::string docker = "var/lib/docker/containers/" + a + "/config.v2.json";
    const std::string web = R"({"Name": "/web"})";
    const std::string stored = R"([{"names": 3}, {"id": ")" + a + R"(", "names": ["web"]}])";
    const std::string annotated = R"({"annotations": {"nerdctl/name": "web", "nerdctl/namespace": "default"}})";
    const std::string rootless = "0::/user.slice/user-1000.slice/user@1000.service/user.slice/";
    const std::string passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n";
    struct Case {
        std::string cgroup;
        std::vector<std::pair<std::string, std::string>> files;
        std::string runtime;
    };
    const std::vector<Case> cases = {
        {"0::/docker/" + a,
         {{"etc/docker/daemon.json", R"({"data-root": "/big/disk"})"},
          {"big/disk/containers/" + a + "/config.v2.json", web}},
         "docker"},
        {"0::/docker/" + a,
         {{"proc/77/comm", "dockerd\n"},
          {"proc/77/cmdline", std::string("dockerd\0--data-root\0/other\0", 28)},
          {"other/containers/" + a + "/config.v2.json", web}},
         "docker"},
        // Docker in a container: its files are where its daemon sees them.
        {"0::/docker/" + id_of('b') + "/docker/" + a,
         {{"proc/77/comm", "dockerd\n"}, {"proc/77/root/" + docker, web}},
         "docker"},
        {rootless + "docker-" + a + ".scope",
         {{"etc/passwd", passwd}, {"home/ada/.local/share/docker/containers/" + a + "/config.v2.json", web}},
         "docker"},
        {"0::/libpod-" + a + ".scope",
         {{"etc/containers/storage.conf", "[storage]\ngraphroot = \"/pool\"\n"},
          {"pool/overlay-containers/containers.json", stored}},
         "podman"},
        {"0::/libpod-" + a + ".scope",
         {{"var/lib/containers/storage/vfs-containers/volatile-containers.json", stored}},
         "podman"},
        {rootless + "libpod-" + a + ".scope",
         {{"etc/passwd", passwd},
          {"home/ada/.local/share/containers/storage/overlay-containers/containers.json", stored}},
         "podman"},
        {rootless + "libpod-" + a + ".scope",
         {{"etc/passwd", passwd},
          {"home/ada/.config/containers/storage.conf", "rootless_storage_path = '$HOME/pool/$UID'"},
          {"home/ada/pool/1000/overlay-containers/containers.json", stored}},
         "podman"},
        {"0::/kubepods/pod1/cri-containerd-" + a + ".scope",
         {{"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" + a + "/config.json",
           R"({"annotations": {"io.kubernetes.cri.container-name": "web"}})"}},
         "containerd"},
        {"0::/default/" + a,
         {{"run/containerd/io.containerd.runtime.v2.task/default/" + a + "/config.json", annotated}},
         "containerd"},
        {"0::/default/" + a, {{"var/lib/nerdctl/1935db59/names/default/web", a}}, "containerd"},
        // The only trace of a rootless container that may make no control group.
        {"0::/",
         {{"run/user/1000/crun/" + a + "/status", R"({"pid": 10})"},
          {"etc/passwd", passwd},
          {"home/ada/.local/share/containers/storage/overlay-containers/containers.json", stored}},
         "podman"},
    };
    for (const Case &one : cases) {
        Tree tree;
        tree.process(10, one.cgroup + "\n");
        for (const auto &[file, text] : one.files)
            tree.put(file, text);
        EXPECT_EQ(only_name(tree), "web container " + one.runtime + " ") << one.files.back().first;
    }
}

TEST(Targets, OfMachinesAndLxcHaveTheNamesOfTheirControlGroups) {
    Tree tree;
    tree.process(10, "0::/machine.slice/systemd-nspawn@web\\x2d1.service/payload\n");
    tree.process(20, "0::/lxc.payload.mail/init.scope\n");
    EXPECT_EQ(found_in(tree, everything()), (FoundNames{"mail container lxc ", "web-1 container systemd-nspawn "}));
    Selection selection;
    selection.containers = {"mail"};
    EXPECT_EQ(found_in(tree, selection), FoundNames{"mail container lxc "});
}

// A number is a container's identifier only if there is one.
TEST(Targets, ThatWereAskedForByAProcessAsAContainerAreToldSo) {
    Tree tree;
    tree.process(10, "0::/docker/" + id_of('a') + "\n");
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", R"({"Name": "/db"})");
    auto asked = [&](const char *word) {
        Selection selection;
        selection.containers = {word};
        return found_in(tree, selection).front();
    };
    EXPECT_NE(asked("1").find("host's own namespace"), std::string::npos) << asked("1");
    EXPECT_EQ(asked("1").find("did you mean"), std::string::npos) << asked("1");
    EXPECT_NE(asked("10").find("--pid 10 watches its network namespace"), std::string::npos) << asked("10");
    EXPECT_NE(asked("11").find("fits nothing that is here"), std::string::npos) << asked("11");
    EXPECT_NE(asked("nothing-like-it").find("--pid PID"), std::string::npos) << asked("nothing-like-it");
}

TEST(Targets, NeedAProcFileSystem) {
    Tree tree;
    tree.remove("proc");
    std::string error = found_in(tree, everything()).front();
    EXPECT_NE(error.find(tree.path("proc/self/ns/net").string() + ": cannot be read"), std::string::npos) << error;
}

// What is no namespace cannot be entered.
TEST(Targets, ThatCannotBeLookedIntoAreNamedOnce) {
    Tree tree;
    tree.process(10, "0::/\n");
    tree.process(20, "0::/\n");
    TargetFinder finder(everything(), tree.roots());
    Result<Found> found = finder.find();
    ASSERT_TRUE(found);
    ASSERT_EQ(found->notes.size(), 2);
    EXPECT_NE((found->notes[0] + found->notes[1]).find("proc/20/ns/net cannot be looked into"), std::string::npos);
    EXPECT_EQ(found->targets.size(), 2);
    found = finder.find();
    EXPECT_TRUE(found && found->notes.empty());
}

TEST(Targets, OfAPodAreOneUnderItsName) {
    Tree tree;
    auto config = [](const char *type, const char *name) {
        return fmt::format(R"({{"annotations": {{"io.kubernetes.cri.container-type": "{}",
            "io.kubernetes.cri.container-name": "{}", "io.kubernetes.cri.sandbox-name": "web-5d9",
            "io.kubernetes.cri.sandbox-namespace": "default"}}}})",
                           type, name);
    };
    const std::string tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io/";
    int pid = 10;
    for (auto [digit, type, name] :
         {std::tuple{'a', "sandbox", ""}, {'b', "container", "nginx"}, {'c', "container", "sidecar"}}) {
        tree.process(pid, fmt::format("0::/kubepods.slice/cri-containerd-{}.scope\n", id_of(digit)),
                     pid == 10 ? 0 : 10);
        tree.put(tasks + id_of(digit) + "/config.json", config(type, name));
        ++pid;
    }
    FoundNames pod = {"default/web-5d9 container containerd default/web-5d9"};
    EXPECT_EQ(found_in(tree, everything()), pod);
    for (const char *word : {"nginx", "sidecar", "aaaa", "bbbbbbbb"}) {
        Selection selection;
        selection.containers = {word};
        EXPECT_EQ(found_in(tree, selection), pod) << word;
    }
    for (const char *word : {"web-5d9", "default/web-5d9"}) {
        Selection selection;
        selection.pods = {word};
        EXPECT_EQ(found_in(tree, selection), pod) << word;
    }
}

TEST(Targets, ThatAreNotUniqueOrNotThereAreAnError) {
    Tree tree;
    tree.process(10, "0::/docker/" + id_of('a') + "\n");
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", R"({"Name": "/web"})");
    std::string other = std::string(8, 'a') + std::string(56, 'b');
    tree.process(20, "0::/docker/" + other + "\n");
    tree.put("var/lib/docker/containers/" + other + "/config.v2.json", R"({"Name": "/webb"})");
    tree.process(30, "0::/docker/" + id_of('c') + "\n", 1); // with the host's network
    auto asked = [&](const char *word) {
        Selection selection;
        selection.containers = {word};
        return found_in(tree, selection).front();
    };
    EXPECT_EQ(asked("web"), "web container docker ") << "a whole name is no beginning of another";
    EXPECT_EQ(asked("aaaaaaaaa"), "web container docker ");
    std::string several = asked("aaaa");
    EXPECT_NE(several.find("fits 2 containers: web (docker, aaaaaaaaaaaa), webb (docker, aaaaaaaabbbb)"),
              std::string::npos)
        << several;
    EXPECT_NE(asked("wev").find("did you mean web, webb?"), std::string::npos) << asked("wev");
    EXPECT_NE(asked("zzzz").find("fits nothing that is here"), std::string::npos) << asked("zzzz");
    EXPECT_NE(asked("cccccc").find("has the host's own network"), std::string::npos) << asked("cccccc");
}

TEST(Targets, ByNamespaceMustBeOneThatIsNotTheHosts) {
    Tree tree;
    tree.put("run/netns/blue", "");
    tree.put("elsewhere", "");
    auto asked = [&](const NetnsTarget &netns) {
        Selection selection;
        selection.netns = {netns};
        return found_in(tree, selection).front();
    };
    EXPECT_EQ(asked(NetnsName{"blue"}), "blue netns  ");
    EXPECT_EQ(asked(NetnsPath{tree.path("elsewhere")}), "elsewhere netns  ");
    EXPECT_NE(asked(NetnsName{"blu"}).find("did you mean blue?"), std::string::npos);
    EXPECT_NE(asked(NetnsPath{tree.path("proc/1/ns/net")}).find("is the host's own namespace"), std::string::npos);

    Roots real = tree.roots();
    real.any_file = false;
    Selection selection;
    selection.netns = {NetnsPath{tree.path("elsewhere")}};
    Result<Found> found = TargetFinder(selection, real).find();
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().text().find("is no network namespace"), std::string::npos) << found.error().text();
    EXPECT_EQ(found.error().exit, Exit::usage);
    EXPECT_TRUE(is_network_namespace(Roots{}, "/proc/self/ns/net"));
    EXPECT_FALSE(is_network_namespace(Roots{}, "/proc/self/ns/mnt"));
}

// A process's number may be another one's as soon as it has ended.
TEST(Targets, ByProcessEndWithTheProcess) {
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    Tree tree;
    tree.process(pid, "0::/\n");
    Selection selection;
    selection.pids = {pid};
    TargetFinder finder(selection, tree.roots());
    Result<Found> found = finder.find();
    EXPECT_TRUE(found && found->targets.size() == 1);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    found = finder.find();
    EXPECT_TRUE(found && found->targets.empty()) << "its directory is there still, as another process's would be";
}

TEST(Targets, LearnANameThatComesLater) {
    Tree tree;
    tree.process(10, "0::/docker/" + id_of('a') + "\n");
    TargetFinder finder(everything(), tree.roots());
    auto name = [&] { return finder.find()->targets.front().name; };
    EXPECT_EQ(name(), "aaaaaaaaaaaa");
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", R"({"Name": "/web"})");
    EXPECT_EQ(name(), "web");
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", "{");
    EXPECT_EQ(name(), "web") << "it is remembered";
}

TEST(Targets, SurviveFilesThatAreNotWhatTheyShouldBe) {
    Tree tree;
    tree.process(10, "0::/docker/" + id_of('a') + "\n");
    for (const char *text : {"", "{", "[]", "null", R"({"Name": 3})", R"({"Name": null})", "\xff\xfe", R"("Name")"}) {
        tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", text);
        EXPECT_EQ(found_in(tree, everything()), FoundNames{"aaaaaaaaaaaa container docker "}) << text;
    }
    tree.put("var/lib/docker/containers/" + id_of('a') + "/config.v2.json", "{\"Name\": \"/a\\u001b[31mb\"}");
    EXPECT_EQ(found_in(tree, everything()).front().find('\033'), std::string::npos);
}

TEST(NearMatches, AreNamesThatContainTheWordOrAreTwoLettersOff) {
    EXPECT_EQ(near_matches("web", {"database", "web-1", "wbe", "webs", "w"}),
              (FoundNames{"webs", "w", "wbe", "web-1"}));
    EXPECT_EQ(near_matches("nothing", {"like", "it"}), FoundNames{});
    EXPECT_EQ(near_matches("1", {"db", "a", "v1"}), FoundNames{"v1"})
        << "a word of one letter is near to what contains it";
    EXPECT_EQ(near_matches("a", FoundNames(9, "ab")), FoundNames{"ab"});
}

} // namespace
} // namespace vethtrace
