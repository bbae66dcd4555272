// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vethtrace::test {

// What is wrong with a document by one of docs/schemas, for example "run-1"; empty: nothing.
[[nodiscard]] std::string schema_errors(const std::string &schema, const nlohmann::json &document);

} // namespace vethtrace::test
