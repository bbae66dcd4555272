// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/error.hpp"

#include <span>
#include <string_view>

namespace vethtrace {

// A capability that something needs, and what for.
struct Need {
    int capability; // CAP_...
    std::string_view what_for;
};

[[nodiscard]] std::span<const Need> needs_of_run();      // a lab, a load, and tracing
[[nodiscard]] std::span<const Need> needs_of_features(); // trying hooks
[[nodiscard]] std::span<const Need> needs_of_lab();      // namespaces and devices

// Names every capability that is missing, and what it would be for.
[[nodiscard]] Result<void> check_privileges(std::span<const Need> needs);

} // namespace vethtrace
