// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace export`: watches until it is stopped, and shows Prometheus what it has seen.
#pragma once

#include "cli/options.hpp"

namespace vethtrace {

[[nodiscard]] Result<void> export_metrics(const ExportCommand &command);

} // namespace vethtrace
