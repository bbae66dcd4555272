// SPDX-License-Identifier: GPL-2.0-only
#include "run/environment.hpp"

#include "core/version.hpp"

#include <array>
#include <bpf/libbpf.h>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vethtrace {

namespace {

std::optional<std::string> first_line(const char *path) {
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
        first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource").value_or("unknown");
    environment.lockdown = lockdown();
    environment.virtualization = virtualization();
    return environment;
}

} // namespace vethtrace
