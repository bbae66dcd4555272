// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/options.hpp"
#include "core/explain.hpp"

#include <atomic>

namespace vethtrace {

// What `vethtrace explain` shows: the walks on this kernel, with the times of a stored result or of a run of its own.
// `stop` ends such a run early.
[[nodiscard]] Result<ExplainResult> explain_modes(const ExplainCommand &command, const std::atomic<bool> &stop,
                                                  const Progress &progress);

} // namespace vethtrace
