// SPDX-License-Identifier: GPL-2.0-only
//
// What of a lab's network bears on its latencies.
#pragma once

#include "core/environment.hpp"
#include "netns/netns.hpp"

#include <functional>
#include <vector>

namespace vethtrace {

// `all` are the namespaces whose devices are listed. What cannot be read is null; needs CAP_SYS_ADMIN to get there.
[[nodiscard]] NetworkSettings read_settings(const Netns &client, const Netns &host,
                                            const std::vector<std::reference_wrapper<const Netns>> &all);

} // namespace vethtrace
