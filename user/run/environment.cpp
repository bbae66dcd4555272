// SPDX-License-Identifier: GPL-2.0-only
#include "run/environment.hpp"

#include "core/version.hpp"

#include <algorithm>
#include <array>
#include <bpf/libbpf.h>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vethtrace {

namespace {

const std::filesystem::path cpu_directory = "/sys/devices/system/cpu";

std::optional<std::string> first_line(const std::filesystem::path &path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line))
        return std::nullopt;
    return line;
}

// The choice in brackets of "none [integrity] confidentiality".
std::optional<std::string> lockdown() {
    std::optional<std::string> line = first_line("/sys/kernel/security/lockdown");
    if (!line)
        return std::nullopt;
    std::size_t open = line->find('[');
    std::size_t close = line->find(']');
    if (open == std::string::npos || close == std::string::npos)
        return line;
    return line->substr(open + 1, close - open - 1);
}

std::optional<std::string> virtualization() {
#if defined(__x86_64__)
    constexpr unsigned hypervisor_leaf = 0x40000000;
    constexpr unsigned hypervisor_bit = 1U << 31;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & hypervisor_bit) == 0)
        return "none";
    std::array<unsigned, 3> words = {};
    __cpuid(hypervisor_leaf, a, words[0], words[1], words[2]);
    std::array<char, sizeof(words) + 1> signature = {};
    std::memcpy(signature.data(), words.data(), sizeof(words));
    return signature.data();
#else
    return std::nullopt;
#endif
}

// What stands behind "model name : ". Not every architecture has one.
std::optional<std::string> cpu_model() {
    constexpr std::string_view key = "model name";
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        std::size_t colon = line.find(": ");
        if (line.rfind(key, 0) == 0 && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return std::nullopt;
}

// CPUs that change their frequency together share a policy.
std::optional<std::string> governor() {
    std::optional<std::string> common;
    std::error_code error;
    for (const auto &policy : std::filesystem::directory_iterator(cpu_directory / "cpufreq", error)) {
        std::optional<std::string> own = first_line(policy.path() / "scaling_governor");
        if (own && common && *own != *common)
            return "mixed";
        if (own)
            common = own;
    }
    return common;
}

void read_idle_states(Environment &environment) {
    std::filesystem::path states = cpu_directory / "cpu0" / "cpuidle";
    for (int i = 0;; ++i) {
        std::filesystem::path state = states / fmt::format("state{}", i);
        std::optional<std::string> name = first_line(state / "name");
        if (!name)
            return;
        if (!environment.idle_states)
            environment.idle_states.emplace();
        if (first_line(state / "disable").value_or("0") != "0")
            continue;
        environment.idle_states->push_back(*name);
        std::uint32_t latency_us = 0;
        if (std::ifstream(state / "latency") >> latency_us)
            environment.deepest_idle_latency_us = std::max(environment.deepest_idle_latency_us.value_or(0), latency_us);
    }
}

// What this CPU is not affected by costs nothing, so it is left out.
std::optional<std::map<std::string, std::string>> mitigations() {
    std::error_code error;
    std::filesystem::directory_iterator vulnerabilities(cpu_directory / "vulnerabilities", error);
    if (error)
        return std::nullopt;
    std::map<std::string, std::string> found;
    for (const auto &vulnerability : vulnerabilities) {
        std::string text = first_line(vulnerability.path()).value_or("");
        if (text.rfind("Mitigation", 0) == 0 || text.rfind("Vulnerable", 0) == 0)
            found.emplace(vulnerability.path().filename(), text);
    }
    return found;
}

std::optional<bool> smt_active() {
    std::optional<std::string> active = first_line(cpu_directory / "smt" / "active");
    return active ? std::optional(*active == "1") : std::nullopt;
}

} // namespace

Environment read_environment() {
    Environment environment;
    environment.tool = tool_version;
    environment.libbpf = fmt::format("{}.{}", libbpf_major_version(), libbpf_minor_version());
    utsname system = {};
    if (uname(&system) == 0) {
        environment.kernel = system.release;
        environment.arch = system.machine;
    }
    environment.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    environment.clocksource =
        first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource").value_or(unknown_clocksource);
    environment.lockdown = lockdown();
    environment.virtualization = virtualization();
    environment.cpu_model = cpu_model();
    environment.governor = governor();
    read_idle_states(environment);
    environment.mitigations = mitigations();
    environment.smt = first_line(cpu_directory / "smt" / "control");
    environment.smt_active = smt_active();
    return environment;
}

} // namespace vethtrace
