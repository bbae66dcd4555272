// SPDX-License-Identifier: GPL-2.0-only
//
// What matrix.sh left behind, for the kernel that CMake names in the environment.
#pragma once

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace vethtrace::test {

inline std::string vm_kernel() {
    const char *name = std::getenv("VETHTRACE_VM_KERNEL");
    return name == nullptr ? "" : name;
}

inline std::string vm_file(const std::string &name) {
    const char *results = std::getenv("VETHTRACE_VM_RESULTS");
    std::ifstream file(std::string(results == nullptr ? "." : results) + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Discarded if it is no JSON.
inline nlohmann::json vm_json(const std::string &name) {
    return nlohmann::json::parse(vm_file(name), nullptr, false);
}

} // namespace vethtrace::test
