// SPDX-License-Identifier: GPL-2.0-only
#include "export/own_cost.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace vethtrace {

OwnCost read_own_cost() {
    OwnCost cost;
    rusage usage = {};
    (void)getrusage(RUSAGE_SELF, &usage);
    constexpr double microseconds = 1e6;
    for (const timeval &time : {usage.ru_utime, usage.ru_stime})
        cost.cpu_seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / microseconds;
    std::uint64_t all_pages = 0;
    std::uint64_t resident_pages = 0;
    if (std::ifstream("/proc/self/statm") >> all_pages >> resident_pages)
        cost.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    std::error_code none;
    std::filesystem::directory_iterator descriptors("/proc/self/fd", none);
    cost.descriptors = static_cast<std::uint64_t>(std::distance(begin(descriptors), end(descriptors))) - 1; // its own
    return cost;
}

} // namespace vethtrace
