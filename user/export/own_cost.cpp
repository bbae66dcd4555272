// SPDX-License-Identifier: GPL-2.0-only
#include "export/own_cost.hpp"

#include <filesystem>
#include <iterator>
#include <sys/resource.h>

namespace vethtrace {

OwnCost read_own_cost() {
    OwnCost cost;
    rusage usage = {};
    (void)getrusage(RUSAGE_SELF, &usage);
    constexpr double microseconds = 1e6;
    for (const timeval &time : {usage.ru_utime, usage.ru_stime})
        cost.cpu_seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / microseconds;
    std::error_code none;
    std::filesystem::directory_iterator descriptors("/proc/self/fd", none);
    cost.descriptors = static_cast<std::uint64_t>(std::distance(begin(descriptors), end(descriptors))) - 1; // its own
    return cost;
}

} // namespace vethtrace
