// SPDX-License-Identifier: GPL-2.0-only
//
// What matrix.sh left behind, for the kernel that CMake names in the environment.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace vethtrace::test {

// The folder of results; its last part is the kernel.
inline std::filesystem::path vm_results() {
    const char *results = std::getenv("VETHTRACE_VM_RESULTS");
    return results == nullptr ? "." : results;
}

inline std::string vm_kernel() {
    return vm_results().filename();
}

inline std::string vm_file(const std::string &name) {
    std::ifstream file(vm_results() / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Why a mode cannot be had on this kernel; null: it can.
inline const char *missing_mode(const std::string &mode) {
    bool old = vm_kernel() == "5.10";
    if (mode == "netkit" && (old || vm_kernel() == "6.1"))
        return "no netkit before 6.7";
    if (mode == "veth-gro" && old)
        return "no NAPI for veth without XDP before 5.13";
    return nullptr;
}

// Why a hook by fentry cannot be had on this kernel; null: it can.
inline const char *missing_fentry() {
    return vm_kernel() == "5.10" ? "fentry cannot be attached again before 5.13, nor to a module before 5.11" : nullptr;
}

// Discarded if it is no JSON.
inline nlohmann::json vm_json(const std::string &name) {
    return nlohmann::json::parse(vm_file(name), nullptr, false);
}

} // namespace vethtrace::test
