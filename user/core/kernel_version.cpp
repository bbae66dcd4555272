// SPDX-License-Identifier: GPL-2.0-only
#include "core/kernel_version.hpp"

#include <cstdio>
#include <sys/utsname.h>
#include <utility>

namespace vethtrace {

bool kernel_is_before(int major, int minor) {
    utsname kernel = {};
    uname(&kernel);
    std::pair<int, int> running;
    if (std::sscanf(kernel.release, "%d.%d", &running.first, &running.second) != 2)
        return false;
    return running < std::pair(major, minor);
}

} // namespace vethtrace
