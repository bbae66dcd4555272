// SPDX-License-Identifier: GPL-2.0-only
//
// What all stored documents have in common: limits of their text, and distributions.
#pragma once

#include "core/histogram.hpp"
#include "core/stations.hpp"
#include "input/node.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

constexpr std::size_t most_document_bytes = std::size_t{64} << 20;
constexpr const char *rewrite_hint = "what `vethtrace -o FILE` or `watch --record FILE` wrote can be read";

// At most 64 MiB, 32 deep, each key once in its object. `name` is what errors call it.
[[nodiscard]] Result<nlohmann::json> parse_json(const std::string &name, std::string_view text);

struct Buckets {
    layout::totals totals = {};
    std::vector<SparseHistogram::Bucket> buckets; // none: there was no value, or something is wrong
};

// Of an object with "count", "sum_ns", "min_ns", "max_ns" and "histogram". Buckets are those of bpf/layout.h, in
// ascending order, and what is said of them all fits them.
[[nodiscard]] Buckets read_buckets(const Node &distribution);

[[nodiscard]] Station read_station(const Node &node);

} // namespace vethtrace
