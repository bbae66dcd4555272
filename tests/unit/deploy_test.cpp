// SPDX-License-Identifier: GPL-2.0-only
//
// tools/deploy holds what the program itself knows: capabilities, options, ports, and where containers' names are read.
#include "export/http_server.hpp"
#include "export/pages.hpp"
#include "privileges/privileges.hpp"
#include "support/deployment.hpp"
#include "unit/parsed.hpp"
#include "watch/container_names.hpp"

#include <cap-ng.h>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>
#include <unistd.h>

namespace vethtrace::test {
namespace {

namespace fs = std::filesystem;
using NameSet = std::set<std::string>;

const fs::path kubernetes = fs::path(VETHTRACE_DEPLOY) / "kubernetes";

// As "CAP_BPF".
NameSet names_of(std::initializer_list<std::span<const Need>> all) {
    NameSet names;
    for (std::span<const Need> needs : all)
        for (const Need &need : needs) {
            std::string name = capng_capability_to_name(static_cast<unsigned>(need.capability));
            std::transform(name.begin(), name.end(), name.begin(), ::toupper);
            names.insert("CAP_" + name);
        }
    return names;
}

NameSet words_of(const std::string &text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

std::string text_of_file(const fs::path &path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_FALSE(text.str().empty()) << path;
    return text.str();
}

// Without what only a cluster or systemd can fill in.
ExportPlan plan_of(const std::vector<std::string> &words) {
    Result<Command> command = test::parse(words);
    if (!command) {
        ADD_FAILURE() << command.error().text();
        return {};
    }
    return std::get<ExportCommand>(*command).plan;
}

// The settings of the unit with that name.
std::vector<std::string> of_unit(const std::string &name) {
    std::istringstream lines(text_of_file(fs::path(VETHTRACE_DEPLOY) / "systemd/vethtrace-export.service"));
    std::vector<std::string> values;
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(name + "="))
            values.push_back(line.substr(name.size() + 1));
    return values;
}

TEST(Privileges, OfWatchAndExportAreThoseOfTheDocumentedTable) {
    std::istringstream lines(text_of_file(fs::path(VETHTRACE_DOCS) / "privileges.md"));
    NameSet documented;
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| |"))
            inside = line.starts_with("| `vethtrace watch`, `vethtrace export` |");
        std::vector<std::string> cells;
        std::istringstream row(line);
        for (std::string cell; std::getline(row, cell, '|');)
            cells.push_back(cell);
        constexpr std::size_t capability = 3;
        if (inside && cells.size() > capability)
            documented.merge(words_of(cells[capability]));
    }
    EXPECT_EQ(documented, names_of({needs_of_watch(), wishes_of_watch()}));
}

// Root reads root's files without CAP_DAC_READ_SEARCH.
TEST(DaemonSet, HasTheCapabilitiesThatTheProgramNeedsAndNoOther) {
    YAML::Node security = container_of(manifest("kubernetes/daemonset.yaml"))["securityContext"];
    NameSet added;
    for (const YAML::Node &capability : security["capabilities"]["add"])
        added.insert("CAP_" + capability.as<std::string>());
    EXPECT_EQ(added, names_of({needs_of_watch()}));
    ASSERT_EQ(security["capabilities"]["drop"].size(), 1);
    EXPECT_EQ(security["capabilities"]["drop"][0].as<std::string>(), "ALL");
    EXPECT_EQ(security["runAsUser"].as<int>(), 0);
    EXPECT_FALSE(security["privileged"].as<bool>());
    EXPECT_FALSE(security["allowPrivilegeEscalation"].as<bool>());
    EXPECT_TRUE(security["readOnlyRootFilesystem"].as<bool>());
}

TEST(DaemonSet, CallsTheExporterAsItWantsToBeCalled) {
    YAML::Node daemon_set = manifest("kubernetes/daemonset.yaml");
    YAML::Node container = container_of(daemon_set);
    std::vector<std::string> words;
    for (const YAML::Node &argument : container["args"]) {
        std::string word = argument.as<std::string>();
        const std::string address = "$(NODE_IP)";
        if (std::size_t at = word.find(address); at != std::string::npos)
            word.replace(at, address.size(), "192.0.2.7");
        words.push_back(word);
    }
    ExportPlan plan = plan_of(words);
    EXPECT_TRUE(plan.watch.watch.selection.all);
    ASSERT_TRUE(plan.listen);
    auto port = container["ports"][0]["containerPort"].as<std::string>();
    EXPECT_EQ(vethtrace::text_of(*plan.listen), "192.0.2.7:" + port);
    YAML::Node annotations = daemon_set["spec"]["template"]["metadata"]["annotations"];
    EXPECT_EQ(annotations["prometheus.io/port"].as<std::string>(), port);

    ExportPages pages(std::chrono::seconds(1));
    EXPECT_TRUE(pages.page(annotations["prometheus.io/path"].as<std::string>()));
    for (const char *probe : {"startupProbe", "livenessProbe", "readinessProbe"}) {
        YAML::Node get = container[probe]["httpGet"];
        EXPECT_TRUE(pages.page(get["path"].as<std::string>())) << probe;
        EXPECT_EQ(get["port"].as<std::string>(), container["ports"][0]["name"].as<std::string>()) << probe;
    }
    EXPECT_FALSE(pages.page("/no-such-page"));
}

TEST(DaemonSet, IsOfThisVersion) {
    EXPECT_EQ(container_of(manifest("kubernetes/daemonset.yaml"))["image"].as<std::string>(),
              fmt::format("vethtrace:{}", VETHTRACE_VERSION));
}

// Files of a runtime as its containers have them, of which one is called shop/api-7f or web-1.
struct RuntimesFiles {
    std::string runtime;
    std::vector<std::string> manifests; // that a node with that runtime has
    std::string file;
    std::string text;
    std::string name; // of the pod, or else of the container
};

void PrintTo(const RuntimesFiles &files, std::ostream *out) {
    *out << files.runtime;
}

class MountedFiles : public testing::TestWithParam<RuntimesFiles> {
protected:
    void SetUp() override { fs::remove_all(top_); }
    void TearDown() override { fs::remove_all(top_); }

    fs::path top_ = fs::path(testing::TempDir()) / fmt::format("deploy.{}", getpid());
};

const std::string id(64, 'a');

TEST_P(MountedFiles, TellTheNamesOfContainers) {
    const RuntimesFiles &files = GetParam();
    fs::path node = top_ / "node";
    fs::path file = node / fmt::format(fmt::runtime(files.file), id);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << files.text;
    // What the container sees of the node.
    fs::path seen = top_ / "seen";
    for (const std::string &name : files.manifests)
        for (const YAML::Node &mount : container_of(manifest(name))["volumeMounts"]) {
            fs::path path = mount["mountPath"].as<std::string>();
            fs::create_directories(seen / path.relative_path());
            if (fs::exists(node / path.relative_path()))
                fs::copy(node / path.relative_path(), seen / path.relative_path(), fs::copy_options::recursive);
        }
    ContainerNames names(Roots{seen / "proc", seen / "run", seen / "var/lib", true});
    ContainerName found = names.of({id, files.runtime});
    EXPECT_EQ(found.pod.empty() ? found.name : found.pod, files.name);
}

const std::string crio = R"({"annotations": {"io.kubernetes.container.name": "api", "io.kubernetes.pod.name": "api-7f",
    "io.kubernetes.pod.namespace": "shop", "io.kubernetes.cri-o.ContainerType": "container"}})";
const std::string containerd =
    R"({"annotations": {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "api",
    "io.kubernetes.cri.sandbox-name": "api-7f", "io.kubernetes.cri.sandbox-namespace": "shop"}})";

INSTANTIATE_TEST_SUITE_P(
    Deploy, MountedFiles,
    testing::Values(RuntimesFiles{"containerd",
                                  {"kubernetes/daemonset.yaml"},
                                  "run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
                                  containerd,
                                  "shop/api-7f"},
                    RuntimesFiles{"docker",
                                  {"kubernetes/daemonset.yaml", "kubernetes/runtimes/docker/names.yaml"},
                                  "var/lib/docker/containers/{}/config.v2.json",
                                  R"({"Name": "/web-1"})",
                                  "web-1"},
                    RuntimesFiles{"cri-o",
                                  {"kubernetes/daemonset.yaml", "kubernetes/runtimes/cri-o/names.yaml"},
                                  "run/containers/storage/overlay-containers/{}/userdata/config.json",
                                  crio,
                                  "shop/api-7f"},
                    RuntimesFiles{"cri-o",
                                  {"kubernetes/daemonset.yaml", "kubernetes/runtimes/cri-o/names.yaml"},
                                  "var/lib/containers/storage/overlay-containers/{}/userdata/config.json",
                                  crio,
                                  "shop/api-7f"}));

// The directories are the node's own, under their own names, cannot be written, and hold no socket by which a runtime
// takes orders. What the node mounts there later is seen, and what it unmounts is let go.
TEST(DaemonSet, MountsNothingOfTheNodeBySurprise) {
    const std::vector<std::string> sockets = {"/run/docker.sock", "/run/containerd/containerd.sock",
                                              "/run/crio/crio.sock", "/run/podman/podman.sock",
                                              "/run/cri-dockerd.sock"};
    for (const char *name : {"kubernetes/daemonset.yaml", "kubernetes/runtimes/docker/names.yaml",
                             "kubernetes/runtimes/cri-o/names.yaml"}) {
        YAML::Node daemon_set = manifest(name);
        std::map<std::string, std::string> node_paths;
        for (const YAML::Node &volume : daemon_set["spec"]["template"]["spec"]["volumes"])
            node_paths[volume["name"].as<std::string>()] = volume["hostPath"]["path"].as<std::string>();
        YAML::Node mounts = container_of(daemon_set)["volumeMounts"];
        EXPECT_EQ(mounts.size(), node_paths.size()) << name;
        for (const YAML::Node &mount : mounts) {
            auto path = mount["mountPath"].as<std::string>();
            EXPECT_EQ(node_paths[mount["name"].as<std::string>()], path) << name;
            EXPECT_TRUE(mount["readOnly"].as<bool>()) << path;
            EXPECT_EQ(mount["mountPropagation"].as<std::string>(), "HostToContainer") << path;
            for (const std::string &socket : sockets)
                EXPECT_FALSE(socket.starts_with(path)) << path << " has " << socket;
        }
    }
}

TEST(Kustomization, NamesEveryManifestThatIsThere) {
    NameSet there;
    for (const fs::directory_entry &entry : fs::directory_iterator(kubernetes))
        if (entry.is_regular_file() && entry.path().filename() != "kustomization.yaml")
            there.insert(entry.path().filename());
    NameSet named;
    for (const YAML::Node &resource : manifest("kubernetes/kustomization.yaml")["resources"])
        named.insert(resource.as<std::string>());
    EXPECT_EQ(named, there);
}

// Its user is not root, and reads root's files by CAP_DAC_READ_SEARCH alone.
TEST(Service, HasTheCapabilitiesThatTheProgramKnowsAndNoOther) {
    NameSet known = names_of({needs_of_watch(), wishes_of_watch()});
    for (const char *setting : {"CapabilityBoundingSet", "AmbientCapabilities"}) {
        ASSERT_EQ(of_unit(setting).size(), 1) << setting;
        EXPECT_EQ(words_of(of_unit(setting).front()), known) << setting;
    }
    EXPECT_EQ(of_unit("DynamicUser"), std::vector<std::string>{"yes"});
}

TEST(Service, CallsTheExporterAsItWantsToBeCalled) {
    ASSERT_EQ(of_unit("ExecStart").size(), 1);
    std::istringstream stream(of_unit("ExecStart").front());
    std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
    ASSERT_GE(words.size(), 2);
    EXPECT_EQ(words.front(), "vethtrace");
    EXPECT_EQ(words.back(), "$ARGS");
    ExportPlan plan = plan_of({words.begin() + 1, words.end() - 1});
    ASSERT_TRUE(plan.listen);
    EXPECT_EQ(vethtrace::text_of(*plan.listen), "127.0.0.1:9954");
    EXPECT_EQ(of_unit("RestartPreventExitStatus"),
              std::vector<std::string>{std::to_string(static_cast<int>(Exit::usage))});
}

TEST(ContainerImage, CallsTheExporterAsItWantsToBeCalled) {
    std::istringstream lines(text_of_file(fs::path(VETHTRACE_DEPLOY) / "image/Containerfile"));
    std::vector<std::string> words;
    for (std::string line; std::getline(lines, line);)
        for (const char *instruction : {"ENTRYPOINT ", "CMD "})
            if (line.starts_with(instruction))
                for (const YAML::Node &word : YAML::Load(line.substr(std::strlen(instruction))))
                    words.push_back(word.as<std::string>());
    ASSERT_GE(words.size(), 2);
    EXPECT_EQ(words.front(), "/usr/sbin/vethtrace");
    ExportPlan plan = plan_of({words.begin() + 1, words.end()});
    EXPECT_TRUE(plan.listen);
}

} // namespace
} // namespace vethtrace::test
