// SPDX-License-Identifier: GPL-2.0-only
#include "cli/privileges.hpp"

#include <array>
#include <cap-ng.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <string>
#include <vector>

namespace vethtrace {

namespace {

constexpr Need load_programs{CAP_BPF, "to load BPF programs"};
constexpr Need trace{CAP_PERFMON, "to attach them to the kernel's functions and tracepoints"};
constexpr Need namespaces{CAP_SYS_ADMIN, "to make network namespaces and enter them"};
constexpr Need devices{CAP_NET_ADMIN, "to make network devices"};

constexpr std::array run_needs = {load_programs, trace, namespaces, devices};
constexpr std::array features_needs = {load_programs, trace};
constexpr std::array lab_needs = {namespaces, devices};

std::string upper_name(int capability) {
    const char *name = capng_capability_to_name(static_cast<unsigned>(capability));
    if (name == nullptr)
        return fmt::format("capability {}", capability);
    std::string text = "cap_" + std::string(name);
    for (char &letter : text)
        letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
    return text;
}

// CAP_SYS_ADMIN was all that was needed before 5.8, and still includes CAP_BPF and CAP_PERFMON.
bool has(int capability) {
    auto effective = [](int which) {
        return capng_have_capability(CAPNG_EFFECTIVE, static_cast<unsigned>(which)) != 0;
    };
    if (capability == CAP_BPF || capability == CAP_PERFMON)
        return effective(capability) || effective(CAP_SYS_ADMIN);
    return effective(capability);
}

} // namespace

std::span<const Need> needs_of_run() {
    return run_needs;
}
std::span<const Need> needs_of_features() {
    return features_needs;
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

} // namespace vethtrace
