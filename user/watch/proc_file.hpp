// SPDX-License-Identifier: GPL-2.0-only
//
// Files of /proc and of control groups, read up to a bound: some of them grow with what the machine does.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vethtrace {

struct ProcText {
    std::string text;
    bool complete = true; // false: it is longer than was allowed; the last line may be cut
};

// Null: there is no such file, or it cannot be read.
[[nodiscard]] std::optional<ProcText> read_proc_file(const std::filesystem::path &path, std::size_t most_bytes);

// The next of the columns that blanks separate, taken off the line; empty: there are no more.
std::string_view next_column(std::string_view &line);

} // namespace vethtrace
