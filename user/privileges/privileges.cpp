// SPDX-License-Identifier: GPL-2.0-only
#include "privileges/privileges.hpp"

#include "core/kernel_version.hpp"

#include <array>
#include <cap-ng.h>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace vethtrace {

namespace {

constexpr Need load_programs{CAP_BPF, "to load BPF programs"};
constexpr Need trace{CAP_PERFMON, "to attach them to the kernel's functions and tracepoints"};
constexpr Need namespaces{CAP_SYS_ADMIN, "to make network namespaces and enter them"};
constexpr Need devices{CAP_NET_ADMIN, "to make network devices"};

constexpr Need names{CAP_DAC_OVERRIDE, "to write in /run/netns and /run/vethtrace, where the lab has its names"};

constexpr std::array run_needs = {load_programs, trace, namespaces, devices, names};
constexpr std::array features_needs = {load_programs, trace};
constexpr Need enter{CAP_SYS_ADMIN, "to look into network namespaces"};
constexpr Need look{CAP_SYS_PTRACE, "to see which namespaces processes are in"};

constexpr Need read_names{CAP_DAC_READ_SEARCH, "to read containers' names where only root may"};

constexpr std::array watch_needs = {load_programs, trace, enter, look};
constexpr std::array watch_wishes = {read_names};
constexpr std::array lab_needs = {namespaces, devices, names};

// What a run needs until its end.
constexpr std::array for_tracing = {CAP_BPF, CAP_PERFMON};
// The last for the BTF of modules, and for kprobes with Debian's perf_event_paranoid=3.
constexpr std::array for_loading = {CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN};
constexpr std::array for_removing = {CAP_SYS_ADMIN, CAP_DAC_OVERRIDE};
constexpr std::array for_looking = {CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};

std::span<const int> needed_for(Purpose purpose) {
    switch (purpose) {
    case Purpose::tracing:
        return for_tracing;
    case Purpose::loading:
    case Purpose::kprobes:
        return for_loading;
    case Purpose::looking:
        return for_looking;
    case Purpose::removing:
        break;
    }
    return for_removing;
}

std::string upper_name(int capability) {
    const char *name = capng_capability_to_name(static_cast<unsigned>(capability));
    if (name == nullptr)
        return fmt::format("capability {}", capability);
    std::string text = "cap_" + std::string(name);
    for (char &letter : text)
        letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
    return text;
}

bool is_permitted(int capability) {
    return capng_have_capability(CAPNG_PERMITTED, static_cast<unsigned>(capability)) != 0;
}

// The directories may belong to the user who runs this, or to everybody.
bool can_write_names() {
    auto can_write = [](const char *path) { return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0; };
    for (const char *path : {"/run/netns", "/run/vethtrace"})
        if (!can_write(path) && (errno != ENOENT || !can_write("/run")))
            return false;
    return true;
}

// CAP_SYS_ADMIN was all that was needed before 5.8, and still includes CAP_BPF and CAP_PERFMON.
bool has(int capability) {
    auto effective = [](int which) {
        return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(which)) != 0;
    };
    if (capability == CAP_BPF || capability == CAP_PERFMON)
        return effective(capability) || effective(CAP_SYS_ADMIN);
    if (capability == CAP_DAC_OVERRIDE && can_write_names())
        return true;
    return effective(capability);
}

} // namespace

std::span<const Need> needs_of_run() {
    return run_needs;
}
std::span<const Need> needs_of_features() {
    return features_needs;
}
std::span<const Need> needs_of_watch() {
    return watch_needs;
}
std::span<const Need> wishes_of_watch() {
    return watch_wishes;
}
std::span<const Need> needs_of_lab() {
    return lab_needs;
}

Result<void> check_privileges(std::span<const Need> needs) {
    if (capng_get_caps_process() != 0)
        return fail("capabilities", "cannot be read");
    std::vector<std::string> missing;
    for (const Need &need : needs)
        if (!has(need.capability))
            missing.push_back(fmt::format("{} {}", upper_name(need.capability), need.what_for));
    if (missing.empty())
        return {};
    return fail("missing privileges", fmt::format("{}", fmt::join(missing, "; ")),
                "run it as root: sudo vethtrace ...");
}

Result<void> allow_bpf_memory() {
    if (!kernel_is_before(5, 11))
        return {};
    rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0)
        return {};
    rlimit now = {};
    (void)getrlimit(RLIMIT_MEMLOCK, &now);
    constexpr rlim_t enough = 256 << 20;
    constexpr rlim_t kibi = 1024;
    if (now.rlim_cur == RLIM_INFINITY || now.rlim_cur >= enough)
        return {};
    return fail("RLIMIT_MEMLOCK",
                fmt::format("is {} KiB and may not be raised, and kernels before 5.11 count BPF programs and maps "
                            "against it",
                            now.rlim_cur / kibi),
                "`ulimit -l unlimited` as root beforehand, or CAP_SYS_RESOURCE");
}

void give_up_privileges() {
    capng_clear(CAPNG_SELECT_CAPS);
    (void)capng_apply(CAPNG_SELECT_CAPS);
}

void lower_privileges(std::initializer_list<Purpose> purposes) {
    if (capng_get_caps_process() != 0)
        return;
    std::vector<int> kept;
    for (Purpose purpose : purposes)
        for (int capability : needed_for(purpose))
            if (is_permitted(capability))
                kept.push_back(capability);
    capng_clear(CAPNG_SELECT_CAPS);
    for (int capability : kept)
        (void)capng_update(CAPNG_ADD, CAPNG_PERMITTED, static_cast<unsigned>(capability));
    (void)capng_apply(CAPNG_SELECT_CAPS);
}

RaisedPrivileges::RaisedPrivileges(Purpose purpose) : before_(nullptr) {
    if (capng_get_caps_process() != 0)
        return;
    before_ = capng_save_state();
    for (int capability : needed_for(purpose)) {
        int granted = is_permitted(capability) ? capability : CAP_SYS_ADMIN; // which includes the two for tracing
        if (is_permitted(granted))
            (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, static_cast<unsigned>(granted));
    }
    (void)capng_apply(CAPNG_SELECT_CAPS);
}

RaisedPrivileges::~RaisedPrivileges() {
    if (before_ == nullptr)
        return;
    capng_restore_state(&before_);
    (void)capng_apply(CAPNG_SELECT_CAPS);
}

} // namespace vethtrace
