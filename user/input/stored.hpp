// SPDX-License-Identifier: GPL-2.0-only
//
// Stored results, read back. Nothing in such a file is taken on trust: whatever is wrong ends the reading with its
// place and what was expected there, and what comes out is a result that a run could have had.
#pragma once

#include "core/diff.hpp"
#include "input/others.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace vethtrace {

// A document of `vethtrace.run/1` or `vethtrace.compare/1`. `name` is what errors call it.
[[nodiscard]] Result<Stored> parse_stored(const std::string &name, std::string_view text);

// The same from a file; at most 64 MiB.
[[nodiscard]] Result<Stored> read_stored(const std::string &path);

// Whatever vethtrace writes into one document; for recordings see input/recording.hpp.
using AnyResult = std::variant<RunResult, CompareResult, DiffResult, RrResult, StoredFeatures>;
[[nodiscard]] Result<AnyResult> parse_any(const std::string &name, std::string_view text);
[[nodiscard]] Result<AnyResult> read_any(const std::string &path);

} // namespace vethtrace
