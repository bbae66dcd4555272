// SPDX-License-Identifier: GPL-2.0-only
//
// Parts that several kinds of stored results have.
#pragma once

#include "core/result.hpp"
#include "input/node.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

[[nodiscard]] std::uint32_t read_count32(const Node &node);
[[nodiscard]] std::string read_text(const Node &node);
[[nodiscard]] std::vector<std::string> read_texts(const Node &from);
[[nodiscard]] std::optional<std::string> read_optional_text(const Node &node);
[[nodiscard]] std::optional<double> read_optional_number(const Node &node);

// A member that older files do not have; absent is null.
template<typename Read>
auto read_newer(const Node &parent, const char *key, Read read) -> std::optional<decltype(read(parent))> {
    if (!parent.has(key))
        return std::nullopt;
    Node node = parent[key];
    return node.is_null() ? std::nullopt : std::optional(read(node));
}

[[nodiscard]] Histogram read_histogram(const Node &distribution);
// Of a document, with the versions of its tool.
[[nodiscard]] Environment read_environment(const Node &document);
// Of a load what every TCP_RR has: how much of it, and its round trips.
[[nodiscard]] LoadResult read_traffic(const Node &from);
[[nodiscard]] std::vector<Attempt> read_tried(const Node &from);

} // namespace vethtrace
