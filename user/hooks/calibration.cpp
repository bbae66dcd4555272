// SPDX-License-Identifier: GPL-2.0-only
#include "hooks/calibration.hpp"

#include "hooks/probe.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <sys/syscall.h>
#include <unistd.h>

namespace vethtrace {

namespace {

// The entry of a system call that does next to nothing.
#if defined(__aarch64__)
constexpr const char *callee = "__arm64_sys_getppid";
#else
constexpr const char *callee = "__x64_sys_getppid";
#endif

// ns for one call; the least of several tries, as the rest is disturbance.
double time_calls() {
    constexpr int tries = 7;
    constexpr int calls = 500;
    double least = std::numeric_limits<double>::max();
    for (int i = 0; i < tries; ++i) {
        auto begin = std::chrono::steady_clock::now();
        for (int j = 0; j < calls; ++j)
            (void)syscall(SYS_getppid);
        std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
        least = std::min(least, took.count() / calls);
    }
    return least;
}

} // namespace

std::optional<double> measure_kprobe_extra(Features &features) {
    double plain = time_calls();
    double with_fentry = plain; // where fentry is not allowed, a tracepoint's own cost is left to the kprobe
    if (Result<Probe> fentry = features.probe({HookKind::fentry, callee, ""}))
        with_fentry = time_calls();
    Result<Probe> kprobe = features.probe({HookKind::kprobe, callee, ""});
    if (!kprobe)
        return std::nullopt;
    return std::max(0.0, time_calls() - with_fentry);
}

} // namespace vethtrace
