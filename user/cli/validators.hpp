// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "core/error.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <string>

namespace vethtrace {

// A range whose bounds are named when they are missed, not in every line of --help. "nan" is in no range.
template<typename Number>
CLI::Validator within(Number least, Number most) {
    return CLI::Validator(
        [least, most](std::string &word) {
            Number number = {};
            if (CLI::detail::lexical_cast(word, number) && number >= least && number <= most)
                return std::string();
            return fmt::format("'{}' is not in range {} to {}", word, least, most);
        },
        "");
}

} // namespace vethtrace
