// SPDX-License-Identifier: GPL-2.0-only
//
// The machine that a result is from, as far as it bears on latencies. Null is what the kernel does not say.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

// The name of a clocksource that could not be read.
constexpr const char *unknown_clocksource = "unknown";

struct DeviceSettings {
    std::string name;
    std::optional<std::string> qdisc;
    std::optional<bool> gro;
    std::optional<bool> gso;
    std::optional<bool> tso;
};

// Of the network that the load went through.
struct NetworkSettings {
    std::optional<std::string> congestion_control; // of the client
    std::optional<std::string> rps_default_mask;   // of the host
    std::vector<DeviceSettings> devices;
};

struct Environment {
    std::string tool;   // the version of vethtrace
    std::string libbpf; // its version
    std::string kernel;
    std::string arch;
    int cpus = 0;
    std::string clocksource;
    std::optional<std::string> lockdown; // null: securityfs is not mounted, so it cannot be told
    std::optional<std::string> virtualization;
    std::optional<std::string> cpu_model;
    std::optional<std::string> governor;                 // "mixed": not all CPUs have the same
    std::optional<std::vector<std::string>> idle_states; // of CPU 0, those that are not disabled
    std::optional<std::uint32_t> deepest_idle_latency_us;
    std::optional<std::map<std::string, std::string>> mitigations; // by vulnerability; without those it does not have
    std::optional<std::string> smt;                                // "on", "off", "notsupported" ...
    std::optional<bool> smt_active;
    std::optional<NetworkSettings> network;
};

// A sentence for each setting that is known to make latencies differ from run to run: what it is, why, what to set.
[[nodiscard]] std::vector<std::string> unstable_settings(const Environment &environment);

} // namespace vethtrace
