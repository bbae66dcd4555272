// SPDX-License-Identifier: GPL-2.0-only
#include "watch/container_names.hpp"

#include "input/target.hpp"

#include <array>
#include <bit>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json read_json(const fs::path &path) {
    std::ifstream file(path);
    return Json::parse(file, nullptr, false);
}

// A member's text as it may go to a terminal; empty if there is none.
std::string text_in(const Json &object, const char *key) {
    if (!object.is_object())
        return "";
    auto member = object.find(key);
    return member != object.end() && member->is_string() ? printable(member->get<std::string>()) : "";
}

Json member_of(const Json &object, const char *key) {
    auto member = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && member != object.end() ? *member : Json();
}

// Docker: /var/lib/docker/containers/ID/config.v2.json has "Name": "/web-1".
ContainerName docker_name(const Roots &roots, const std::string &id) {
    std::string name = text_in(read_json(roots.var_lib / "docker/containers" / id / "config.v2.json"), "Name");
    if (name.starts_with('/'))
        name.erase(0, 1);
    return {name, "", false, "docker"};
}

// Podman: an array of all containers, with "id" and "names".
ContainerName podman_name(const Roots &roots, const std::string &id) {
    for (const char *file :
         {"containers/storage/overlay-containers/containers.json", "containers/storage/vfs-containers/containers.json",
          "containers/storage/btrfs-containers/containers.json"}) {
        Json all = read_json(roots.var_lib / file);
        if (!all.is_array())
            continue;
        for (const Json &container : all) {
            Json names = member_of(container, "names");
            if (text_in(container, "id") == id && names.is_array() && !names.empty() && names.front().is_string())
                return {printable(names.front().get<std::string>()), "", false, "podman"};
        }
    }
    return {"", "", false, "podman"};
}

// How the two runtimes of Kubernetes annotate a container's OCI configuration.
struct Annotations {
    const char *container;
    const char *pod;
    const char *pod_namespace;
    const char *type; // "sandbox" or "container"
    const char *runtime;
};
constexpr Annotations of_containerd = {"io.kubernetes.cri.container-name", "io.kubernetes.cri.sandbox-name",
                                       "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.container-type",
                                       "containerd"};
constexpr Annotations of_crio = {"io.kubernetes.container.name", "io.kubernetes.pod.name",
                                 "io.kubernetes.pod.namespace", "io.kubernetes.cri-o.ContainerType", "cri-o"};

ContainerName annotated_name(const fs::path &config, const Annotations &keys) {
    Json annotations = member_of(read_json(config), "annotations");
    ContainerName name{text_in(annotations, keys.container), "", text_in(annotations, keys.type) == "sandbox",
                       keys.runtime};
    std::string pod = text_in(annotations, keys.pod);
    std::string pod_namespace = text_in(annotations, keys.pod_namespace);
    if (!pod.empty())
        name.pod = pod_namespace.empty() ? pod : pod_namespace + "/" + pod;
    return name;
}

} // namespace

const ContainerName &ContainerNames::of(const ContainerId &container) {
    Known &known = known_[container.id];
    known.is_used = true;
    if (known.name.name.empty() && known.name.pod.empty() && std::has_single_bit(++known.asked))
        known.name = look_up(container);
    return known.name;
}

void ContainerNames::forget_unused() {
    std::erase_if(known_, [](const auto &each) { return !each.second.is_used; });
    for (auto &[id, known] : known_)
        known.is_used = false;
}

ContainerName ContainerNames::look_up(const ContainerId &container) const {
    const std::string &id = container.id;
    if (id.find('/') != std::string::npos)
        return {};
    const std::array<std::pair<const char *, std::function<ContainerName()>>, 5> tries = {{
        {"docker", [&] { return docker_name(roots_, id); }},
        {"podman", [&] { return podman_name(roots_, id); }},
        {"containerd",
         [&] {
             fs::path tasks = roots_.run / "containerd/io.containerd.runtime.v2.task/k8s.io";
             return annotated_name(tasks / id / "config.json", of_containerd);
         }},
        {"cri-o",
         [&] {
             fs::path run = roots_.run / "containers/storage/overlay-containers";
             return annotated_name(run / id / "userdata/config.json", of_crio);
         }},
        {"cri-o",
         [&] {
             fs::path lib = roots_.var_lib / "containers/storage/overlay-containers";
             return annotated_name(lib / id / "userdata/config.json", of_crio);
         }},
    }};
    for (const auto &[runtime, look] : tries) {
        if (!container.runtime.empty() && container.runtime != runtime)
            continue;
        if (ContainerName name = look(); !name.name.empty() || !name.pod.empty())
            return name;
    }
    return {"", "", false, container.runtime};
}

std::map<pid_t, ContainerId> ContainerNames::started_by_hand() const {
    std::map<pid_t, ContainerId> found;
    auto add = [&](const char *directory, const char *file, const char *pid_key, const char *runtime) {
        std::error_code none;
        for (const fs::directory_entry &entry : fs::directory_iterator(roots_.run / directory, none)) {
            Json pid = member_of(read_json(entry.path() / file), pid_key);
            if (pid.is_number_integer())
                found[pid.get<pid_t>()] = {printable(entry.path().filename().string()), runtime};
        }
    };
    add("runc", "state.json", "init_process_pid", "runc");
    add("crun", "status", "pid", "crun");
    return found;
}

} // namespace vethtrace
