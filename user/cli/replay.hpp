// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace report` of what `watch --record` has recorded.
#pragma once

#include "cli/options.hpp"
#include "input/recording.hpp"

#include <atomic>

namespace vethtrace {

// Window by window: on a terminal in the live view, each for as long as it lasted, otherwise as `watch` prints them.
[[nodiscard]] Result<void> replay(WatchRecording &recording, const ReportCommand &command,
                                  const std::atomic<bool> &stop);

} // namespace vethtrace
