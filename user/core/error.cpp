// SPDX-License-Identifier: GPL-2.0-only
#include "core/error.hpp"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace vethtrace {

std::string describe_errno(int code) {
    code = std::abs(code);
    const char *name = strerrorname_np(code);
    const char *text = strerrordesc_np(code);
    if (name == nullptr)
        return fmt::format("error {}", code);
    return fmt::format("{} ({})", name, text);
}

tl::unexpected<Error> fail_errno(std::string object, int code, std::string hint) {
    return fail(std::move(object), describe_errno(code), std::move(hint));
}

} // namespace vethtrace
