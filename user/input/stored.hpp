// SPDX-License-Identifier: GPL-2.0-only
//
// Stored results, read back. Nothing in such a file is taken on trust: whatever is wrong ends the reading with its
// place and what was expected there, and what comes out is a result that a run could have had.
#pragma once

#include "core/diff.hpp"

#include <string>
#include <string_view>

namespace vethtrace {

// A document of `vethtrace.run/1` or `vethtrace.compare/1`. `name` is what errors call it.
[[nodiscard]] Result<Stored> parse_stored(const std::string &name, std::string_view text);

// The same from a file; at most 64 MiB.
[[nodiscard]] Result<Stored> read_stored(const std::string &path);

} // namespace vethtrace
