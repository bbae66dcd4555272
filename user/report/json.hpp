// SPDX-License-Identifier: GPL-2.0-only
//
// Results as JSON; schemas/ holds the JSON Schema of each, and the tests validate every output against it.
#pragma once

#include "core/diff.hpp"
#include "core/explain.hpp"
#include "core/ladder.hpp"
#include "core/result.hpp"

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vethtrace {

[[nodiscard]] nlohmann::ordered_json to_json(const RunResult &result);
[[nodiscard]] nlohmann::ordered_json to_json(const CompareResult &result);
[[nodiscard]] nlohmann::ordered_json to_json(const DiffResult &result);
[[nodiscard]] nlohmann::ordered_json to_json(const RrResult &result);
[[nodiscard]] nlohmann::ordered_json to_json(const ExplainResult &result);
[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<Choice> &choices, const Environment &environment);

// Reals with at most three decimals: a tenth of a ns is already more than any clock here knows.
[[nodiscard]] std::string to_text(const nlohmann::ordered_json &json, bool pretty);

} // namespace vethtrace
