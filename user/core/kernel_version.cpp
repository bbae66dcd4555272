// SPDX-License-Identifier: GPL-2.0-only
#include "core/kernel_version.hpp"

#include <charconv>
#include <string_view>
#include <sys/utsname.h>
#include <system_error>
#include <utility>

namespace vethtrace {

bool kernel_is_before(int major, int minor) {
    utsname kernel = {};
    uname(&kernel);
    std::string_view release = kernel.release; // "6.12.107+deb13-cloud-amd64"
    const char *end = release.data() + release.size();
    std::pair<int, int> running;
    auto [dot, first] = std::from_chars(release.data(), end, running.first);
    if (first != std::errc() || dot == end || *dot != '.')
        return false;
    if (std::from_chars(dot + 1, end, running.second).ec != std::errc())
        return false;
    return running < std::pair(major, minor);
}

} // namespace vethtrace
