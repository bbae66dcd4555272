// SPDX-License-Identifier: GPL-2.0-only
//
// How times and their distributions are written in every schema.
#pragma once

#include "core/histogram.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vethtrace {

[[nodiscard]] inline double rounded(double value) {
    constexpr double decimals = 1000;
    return std::round(value * decimals) / decimals;
}

[[nodiscard]] inline nlohmann::ordered_json nullable(const std::optional<double> &value) {
    return value ? nlohmann::ordered_json(rounded(*value)) : nlohmann::ordered_json(nullptr);
}
[[nodiscard]] inline nlohmann::ordered_json nullable(const std::optional<Nanoseconds> &value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

[[nodiscard]] inline nlohmann::ordered_json nullable(const std::optional<std::string> &value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

template<typename Distribution>
[[nodiscard]] nlohmann::ordered_json histogram_json(const Distribution &histogram) {
    nlohmann::ordered_json bars = nlohmann::ordered_json::array();
    for (const Histogram::Bar &bar : histogram.bars())
        bars.push_back({bar.range.low, nullable(bar.range.high), bar.count});
    return bars;
}

// Times that every distribution has in common, in the order of the contract.
template<typename Distribution>
void add_distribution(nlohmann::ordered_json &json, const Distribution &histogram) {
    json["mean_ns"] = nullable(histogram.mean());
    json["min_ns"] = nullable(histogram.min());
    json["max_ns"] = nullable(histogram.max());
    json["p50_ns"] = nullable(histogram.percentile(0.5));
    json["p90_ns"] = nullable(histogram.percentile(0.9));
    json["p99_ns"] = nullable(histogram.percentile(0.99));
    json["p999_ns"] = nullable(histogram.percentile(0.999));
    json["histogram"] = histogram_json(histogram);
}

template<typename Distribution>
[[nodiscard]] nlohmann::ordered_json distribution_json(const Distribution &histogram) {
    nlohmann::ordered_json json = {{"count", histogram.count()}, {"sum_ns", histogram.sum()}};
    add_distribution(json, histogram);
    return json;
}

} // namespace vethtrace
