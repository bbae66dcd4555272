// SPDX-License-Identifier: GPL-2.0-only
#include "input/document.hpp"

#include "input/target.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace vethtrace {

namespace {

using Json = nlohmann::json;

constexpr int deepest = 32;

// How deep brackets are nested outside of strings.
int depth_of(std::string_view text) {
    int depth = 0;
    int most = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (in_string && text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '{' || text[i] == '['))
            most = std::max(most, ++depth);
        else if (!in_string && (text[i] == '}' || text[i] == ']'))
            --depth;
    }
    return most;
}

// One bucket, [low, high, count], above `before`.
std::optional<SparseHistogram::Bucket> read_bucket(const Node &bar, std::optional<std::uint32_t> before) {
    std::vector<Node> words = bar.items();
    if (words.size() != 3) {
        bar.refuse("is no bucket: [low, high, count]");
        return std::nullopt;
    }
    std::uint64_t low = words[0].count();
    SparseHistogram::Bucket bucket{layout::bucket_of(low), words[2].count()};
    BucketRange range = bucket_range(bucket.bucket);
    std::optional<std::uint64_t> high;
    if (!words[1].is_null())
        high = words[1].count();
    if (range.low != low || range.high != high)
        bar.refuse("is none of the buckets that vethtrace has");
    if (before && *before >= bucket.bucket)
        bar.refuse("is not above the bucket before it");
    if (bucket.count == 0)
        words[2].refuse("is an empty bucket");
    return bucket;
}

} // namespace

// nlohmann-json tells errors of syntax by an exception, and lets the last of two equal keys win.
Result<Json> parse_json(const std::string &name, std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
        return fail(name, "is empty", rewrite_hint);
    if (text.size() > most_document_bytes)
        return fail(name, fmt::format("is larger than {} MiB", most_document_bytes >> 20), rewrite_hint);
    if (depth_of(text) > deepest)
        return fail(name, fmt::format("is nested more than {} deep", deepest), rewrite_hint);
    std::vector<std::set<std::string>> keys;
    std::string twice;
    auto watch = [&](int, Json::parse_event_t event, Json &parsed) {
        if (event == Json::parse_event_t::object_start)
            keys.emplace_back();
        else if (event == Json::parse_event_t::object_end)
            keys.pop_back();
        else if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
            twice = printable(parsed.get<std::string>());
        return true;
    };
    try {
        Json json = Json::parse(text, watch);
        if (!twice.empty())
            return fail(name, fmt::format("has \"{}\" twice in one object", twice), rewrite_hint);
        return json;
    } catch (const Json::exception &error) {
        std::string said = error.what();
        std::size_t bracket = said.find("] "); // after the library's name for the error
        return fail(name, "is no JSON: " + printable(bracket == std::string::npos ? said : said.substr(bracket + 2)),
                    rewrite_hint);
    }
}

Buckets read_buckets(const Node &distribution) {
    Buckets read;
    std::uint64_t count = distribution["count"].count();
    std::uint64_t sum = distribution["sum_ns"].count(std::numeric_limits<std::uint64_t>::max());
    std::uint64_t counted = 0;
    std::optional<std::uint32_t> before;
    for (const Node &bar : distribution["histogram"].items()) {
        std::optional<SparseHistogram::Bucket> bucket = read_bucket(bar, before);
        if (!bucket)
            return {};
        before = bucket->bucket;
        counted += bucket->count; // 1025 times 2^53 fits
        read.buckets.push_back(*bucket);
    }
    if (counted != count)
        distribution["histogram"].refuse(fmt::format("holds {} values, and not the {} of \"count\"", counted, count));
    if (count == 0 || distribution.failed())
        return {};
    read.totals = {sum, distribution["min_ns"].count(), distribution["max_ns"].count()};
    if (layout::bucket_of(read.totals.min) != read.buckets.front().bucket)
        distribution["min_ns"].refuse("is not in the first bucket");
    if (layout::bucket_of(read.totals.max) != read.buckets.back().bucket)
        distribution["max_ns"].refuse("is not in the last bucket");
    auto values = static_cast<double>(count);
    constexpr double slack = 1e-9; // of the arithmetic
    double mean = static_cast<double>(sum) / values;
    if (mean < static_cast<double>(read.totals.min) * (1 - slack) ||
        mean > static_cast<double>(read.totals.max) * (1 + slack))
        distribution["sum_ns"].refuse("is not between count times min_ns and count times max_ns");
    return distribution.failed() ? Buckets{} : read;
}

Station read_station(const Node &node) {
    return node.one_of([](const std::string &name) { return station_named(name); }, "the name of a station");
}

} // namespace vethtrace
