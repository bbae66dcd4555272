// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/options.hpp"

namespace vethtrace {

// Shows a stored result, whatever kind it is of, in the forms that were asked for.
[[nodiscard]] Result<void> report(const ReportCommand &command);

} // namespace vethtrace
