// SPDX-License-Identifier: GPL-2.0-only
#include "watch/container_names.hpp"

#include "input/containers.hpp"
#include "input/target.hpp"
#include "watch/bounded_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <fmt/format.h>

namespace vethtrace {

namespace {

namespace fs = std::filesystem;

void add_place(Places &places, const fs::path &place) {
    if (!place.empty() && std::find(places.begin(), places.end(), place) == places.end())
        places.push_back(place);
}

std::vector<fs::path> entries_of(const fs::path &directory) {
    constexpr std::size_t most = 4096; // rootless users have theirs in their own hands
    std::vector<fs::path> entries;
    std::error_code none;
    for (auto entry = fs::directory_iterator(directory, none); !none && entry != fs::directory_iterator();
         entry.increment(none)) {
        if (entries.size() == most)
            break;
        entries.push_back(entry->path());
    }
    std::sort(entries.begin(), entries.end());
    return entries;
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
    std::map<std::string, std::string> annotations = annotations_in(whole_text_of(config));
    ContainerName name{annotations[keys.container], "", annotations[keys.type] == "sandbox", keys.runtime};
    if (name.name.empty())
        name.name = annotations["nerdctl/name"];
    const std::string &pod = annotations[keys.pod];
    const std::string &pod_namespace = annotations[keys.pod_namespace];
    if (!pod.empty())
        name.pod = pod_namespace.empty() ? pod : pod_namespace + "/" + pod;
    return name;
}

bool is_named(const ContainerName &name) {
    return !name.name.empty() || !name.pod.empty();
}

// Of containers/storage's configuration, whose paths may begin with a variable.
std::string expanded(std::string path, const std::string &home, std::uint32_t uid) {
    for (const auto &[variable, value] :
         {std::pair<std::string, std::string>{"$HOME", home}, {"$UID", std::to_string(uid)}})
        for (std::size_t at = path.find(variable); at != std::string::npos; at = path.find(variable, at + value.size()))
            path.replace(at, variable.size(), value);
    return path;
}

} // namespace

const ContainerName &ContainerNames::of(const ContainerId &container) {
    Known &known = known_[container.id];
    known.is_used = true;
    if (!is_named(known.name) && std::has_single_bit(++known.asked))
        known.name = look_up(container);
    return known.name;
}

void ContainerNames::forget_unused() {
    std::erase_if(known_, [](const auto &each) { return !each.second.is_used; });
    for (auto &[id, known] : known_)
        known.is_used = false;
    engines_.reset();
    stored_names_.clear();
}

const std::vector<ContainerNames::Engine> &ContainerNames::engines() {
    constexpr std::size_t most = 64;
    if (engines_)
        return *engines_;
    engines_.emplace();
    std::error_code gone;
    for (auto entry = fs::directory_iterator(roots_.proc, gone); !gone && entry != fs::directory_iterator();
         entry.increment(gone)) {
        std::string program = whole_text_of(entry->path() / "comm");
        program.erase(std::min(program.find('\n'), program.size()));
        if (program != "dockerd" && program != "containerd")
            continue;
        if (engines_->size() == most)
            break;
        engines_->push_back({program, whole_text_of(entry->path() / "cmdline"), entry->path() / "root"});
    }
    return *engines_;
}

std::string ContainerNames::home_of(std::uint32_t uid) const {
    return uid == 0 ? "" : home_in_passwd(whole_text_of(roots_.etc / "passwd"), uid);
}

Places ContainerNames::docker_places(std::uint32_t uid) {
    Places places;
    std::string home = home_of(uid);
    if (!home.empty())
        add_place(places, roots_.at(home) / ".local/share/docker");
    add_place(places, roots_.var_lib / "docker");
    std::string configuration = whole_text_of(roots_.etc / "docker/daemon.json");
    for (const char *key : {"data-root", "graph"})
        if (std::string root = text_member(configuration, key); !root.empty())
            add_place(places, roots_.at(root));
    for (const Engine &engine : engines()) {
        if (engine.program != "dockerd")
            continue;
        fs::path root = "/var/lib/docker";
        for (const char *option : {"--data-root", "--graph", "-g"})
            if (std::string given = option_in_cmdline(engine.cmdline, option); !given.empty())
                root = given;
        add_place(places, roots_.at(root));
        add_place(places, engine.root / root.relative_path());
    }
    return places;
}

// Docker: /var/lib/docker/containers/ID/config.v2.json has "Name": "/web-1".
std::string ContainerNames::docker_name(const ContainerId &container) {
    for (const fs::path &place : docker_places(container.uid)) {
        std::string name = text_member(whole_text_of(place / "containers" / container.id / "config.v2.json"), "Name");
        if (name.starts_with('/'))
            name.erase(0, 1);
        if (!name.empty())
            return name;
    }
    return "";
}

Places ContainerNames::storage_places(std::uint32_t uid) const {
    Places places;
    std::string system = whole_text_of(roots_.etc / "containers/storage.conf");
    auto add = [&](const std::string &path) {
        if (!path.empty())
            add_place(places, roots_.at(path));
    };
    if (std::string home = home_of(uid); !home.empty()) {
        std::string own = whole_text_of(roots_.at(home) / ".config/containers/storage.conf");
        add(expanded(text_in_toml(own, "graphroot"), home, uid));
        add(expanded(text_in_toml(own, "rootless_storage_path"), home, uid));
        add(expanded(text_in_toml(system, "rootless_storage_path"), home, uid));
        add(home + "/.local/share/containers/storage");
    }
    add_place(places, roots_.var_lib / "containers/storage");
    add(text_in_toml(system, "graphroot"));
    return places;
}

// Podman: an array of all containers, with "id" and "names"; those of `--rm` have a file of their own.
std::string ContainerNames::podman_name(const ContainerId &container) {
    for (const fs::path &place : storage_places(container.uid))
        for (const char *driver : {"overlay", "vfs", "btrfs", "zfs"})
            for (const char *file : {"containers.json", "volatile-containers.json"}) {
                auto [names, fresh] = stored_names_.try_emplace(place / (std::string(driver) + "-containers") / file);
                if (fresh)
                    names->second = names_in_storage(whole_text_of(names->first));
                if (auto name = names->second.find(container.id); name != names->second.end())
                    return name->second;
            }
    return "";
}

Places ContainerNames::containerd_places(std::uint32_t uid) {
    Places places;
    for (const char *distribution : {"containerd", "k3s/containerd", "k0s/containerd"})
        add_place(places, roots_.run / distribution);
    add_place(places, roots_.at("/var/snap/microk8s/common/run/containerd"));
    if (uid != 0)
        add_place(places, roots_.run / fmt::format("user/{}/containerd", uid));
    for (const Engine &engine : engines()) {
        if (engine.program != "containerd")
            continue;
        fs::path state = "/run/containerd";
        if (std::string given = option_in_cmdline(engine.cmdline, "--state"); !given.empty())
            state = given;
        add_place(places, roots_.at(state));
        add_place(places, engine.root / state.relative_path());
    }
    return places;
}

// The annotations of its OCI configuration, in whichever of containerd's namespaces it is: Kubernetes has k8s.io.
ContainerName ContainerNames::containerd_name(const ContainerId &container) {
    for (const fs::path &place : containerd_places(container.uid))
        for (const fs::path &space : entries_of(place / "io.containerd.runtime.v2.task"))
            if (ContainerName name = annotated_name(space / container.id / "config.json", of_containerd);
                is_named(name))
                return name;
    return {nerdctl_name(container), "", false, "containerd"};
}

// nerdctl: /var/lib/nerdctl/ADDRESS/names/NAMESPACE/NAME holds the identifier.
std::string ContainerNames::nerdctl_name(const ContainerId &container) {
    Places places = {roots_.var_lib / "nerdctl"};
    if (std::string home = home_of(container.uid); !home.empty())
        places.push_back(roots_.at(home) / ".local/share/nerdctl");
    for (const fs::path &place : places)
        for (const fs::path &address : entries_of(place))
            for (const fs::path &space : entries_of(address / "names"))
                for (const fs::path &name : entries_of(space))
                    if (whole_text_of(name).starts_with(container.id))
                        return printable(name.filename().string());
    return "";
}

ContainerName ContainerNames::crio_name(const ContainerId &container) {
    for (const fs::path &place : {roots_.run / "containers/storage", roots_.var_lib / "containers/storage"}) {
        fs::path config = place / "overlay-containers" / container.id / "userdata/config.json";
        if (ContainerName name = annotated_name(config, of_crio); is_named(name))
            return name;
    }
    return {};
}

ContainerName ContainerNames::look_up(const ContainerId &container) {
    if (!is_container_id(container.id))
        return {"", "", false, container.runtime}; // it is a name
    auto may_be = [&](const char *runtime) { return container.runtime.empty() || container.runtime == runtime; };
    if (may_be("docker"))
        if (std::string name = docker_name(container); !name.empty())
            return {name, "", false, "docker"};
    if (may_be("podman"))
        if (std::string name = podman_name(container); !name.empty())
            return {name, "", false, "podman"};
    if (may_be("containerd"))
        if (ContainerName name = containerd_name(container); is_named(name))
            return name;
    if (may_be("cri-o"))
        if (ContainerName name = crio_name(container); is_named(name))
            return name;
    return {"", "", false, container.runtime};
}

std::map<pid_t, ContainerId> ContainerNames::started_by_hand() const {
    std::map<pid_t, ContainerId> found;
    auto add = [&](const fs::path &run, std::uint32_t uid) {
        struct ByHand {
            const char *directory;
            const char *file;
            const char *pid_key;
        };
        for (const ByHand &one : {ByHand{"runc", "state.json", "init_process_pid"}, ByHand{"crun", "status", "pid"}})
            for (const fs::path &entry : entries_of(run / one.directory)) {
                std::uint64_t pid = count_member(whole_text_of(entry / one.file), one.pid_key);
                std::string name = printable(entry.filename().string());
                // An identifier is that of podman or docker, where they may make no control groups.
                if (pid != 0)
                    found[static_cast<pid_t>(pid)] = {name, is_container_id(name) ? "" : one.directory, uid};
            }
    };
    add(roots_.run, 0);
    for (const fs::path &user : entries_of(roots_.run / "user"))
        if (std::string uid = user.filename(); !uid.empty() && uid.find_first_not_of("0123456789") == std::string::npos)
            add(user, static_cast<std::uint32_t>(std::strtoul(uid.c_str(), nullptr, 10)));
    return found;
}

} // namespace vethtrace
