// SPDX-License-Identifier: GPL-2.0-only
//
// What is in tools/deploy, as tests read it.
#pragma once

#include <filesystem>
#include <string>
#include <yaml-cpp/yaml.h>

namespace vethtrace::test {

// By its path in tools/deploy.
inline YAML::Node manifest(const std::string &name) {
    return YAML::LoadFile(std::filesystem::path(VETHTRACE_DEPLOY) / name);
}

// The only one of the pods of a DaemonSet.
inline YAML::Node container_of(const YAML::Node &daemon_set) {
    return daemon_set["spec"]["template"]["spec"]["containers"][0];
}

} // namespace vethtrace::test
