// SPDX-License-Identifier: GPL-2.0-only
#include "core/environment.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string_view>

namespace vethtrace {

namespace {

// Waking up from deeper states takes longer than most hops.
constexpr std::uint32_t most_idle_latency_us = 10;

// Read without leaving the CPU, and the same on all of them.
bool is_fast_clock(std::string_view clocksource) {
    constexpr std::array<std::string_view, 4> fast = {"tsc", "kvm-clock", "arch_sys_counter",
                                                      "hyperv_clocksource_tsc_page"};
    return std::find(fast.begin(), fast.end(), clocksource) != fast.end();
}

// "0", or on large machines "00000000,00000000".
bool is_empty_mask(std::string_view mask) {
    return mask.find_first_not_of("0,") == std::string_view::npos;
}

} // namespace

std::vector<std::string> unstable_settings(const Environment &environment) {
    std::vector<std::string> found;
    if (environment.governor && *environment.governor != "performance")
        found.push_back(fmt::format("the CPU frequency governor is {}: the clock rate changes with the load; "
                                    "`cpupower frequency-set -g performance` keeps it up",
                                    *environment.governor));
    if (environment.deepest_idle_latency_us && *environment.deepest_idle_latency_us > most_idle_latency_us)
        found.push_back(fmt::format("the deepest idle state takes {} us to leave: a CPU that waited answers late; "
                                    "`cpupower idle-set -D {}` turns such states off",
                                    *environment.deepest_idle_latency_us, most_idle_latency_us + 1));
    if (const std::string &clock = environment.clocksource;
        !clock.empty() && clock != unknown_clocksource && !is_fast_clock(clock))
        found.push_back(fmt::format("the clocksource is {}: reading it takes longer than many hops; the kernel log "
                                    "tells why it was chosen, and `tsc=reliable` at boot keeps a TSC that is sound",
                                    clock));
    if (environment.smt_active.value_or(false))
        found.emplace_back("SMT is active: what runs on the other thread of a core slows this one down; "
                           "`echo off > /sys/devices/system/cpu/smt/control` turns it off");
    if (environment.network && !is_empty_mask(environment.network->rps_default_mask.value_or("")))
        found.push_back(fmt::format("the RPS default mask is {}: packets are received on a CPU that their hash picks; "
                                    "`sysctl net.core.rps_default_mask=0` leaves them where they arrive",
                                    *environment.network->rps_default_mask));
    if (environment.virtualization && *environment.virtualization != "none")
        found.push_back(fmt::format("this is a virtual machine ({}): its neighbours take time from its CPUs (steal "
                                    "time); measure without one, or on CPUs reserved for it",
                                    *environment.virtualization));
    return found;
}

} // namespace vethtrace
