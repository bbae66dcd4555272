// SPDX-License-Identifier: GPL-2.0-only
//
// Files of the kernel's and of container engines, read up to a bound: some of them grow with what the machine does, and
// some are in the hands of others.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vethtrace {

struct BoundedText {
    std::string text;
    bool complete = true; // false: it is longer than was allowed; the last line may be cut
};

// Null: there is no such file, it cannot be read, or it is a pipe, a device or a directory.
[[nodiscard]] std::optional<BoundedText> read_bounded(const std::filesystem::path &path, std::size_t most_bytes);

// Empty also if it is longer than 32 MiB, as nothing is that is read by this.
[[nodiscard]] std::string whole_text_of(const std::filesystem::path &path);

// The next of the columns that blanks separate, taken off the line; empty: there are no more.
std::string_view next_column(std::string_view &line);

// With each character that stands there as `introducer` and so many digits to that base: "web\x2d1" of systemd's units
// is web-1, "my\040disk" of mountinfo is "my disk".
[[nodiscard]] std::string unescaped(std::string_view text, std::string_view introducer, std::size_t digits, int base);

} // namespace vethtrace
