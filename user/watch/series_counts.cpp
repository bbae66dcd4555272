// SPDX-License-Identifier: GPL-2.0-only
#include "watch/series_counts.hpp"

#include <algorithm>

namespace vethtrace {

using namespace watch_layout;

std::optional<SparseHistogram> SeriesCounts::grown(const series &now, std::uint64_t window) {
    std::vector<SparseHistogram::Bucket> grown;
    std::vector<std::pair<std::uint16_t, std::uint32_t>> after;
    std::uint64_t count = 0;
    auto earlier = buckets_.begin();
    for (std::uint32_t i = 0; i < BUCKETS; ++i) {
        bool known = earlier != buckets_.end() && earlier->first == i;
        if (now.buckets[i] == 0 && !known)
            continue;
        std::uint32_t by = now.buckets[i] - (known ? (earlier++)->second : 0); // modulo 2^32, as the kernel's
        after.emplace_back(static_cast<std::uint16_t>(i), now.buckets[i]);
        count += by;
        if (by != 0)
            grown.push_back({i, by});
    }
    buckets_ = std::move(after);
    if (grown.empty())
        return std::nullopt;
    // Of a packet that is counted just now the maximum may be there and the bucket not yet, or the sum. What is told is
    // what the buckets hold; the rest of the sum is the next window's.
    BucketRange last = bucket_range(grown.back().bucket);
    const series_max &max = now.max[window & 1];
    bool known = max.window == window && bucket_of(max.ns) == grown.back().bucket;
    totals time{0, bucket_range(grown.front().bucket).low, known ? max.ns : last.high.value_or(last.low)};
    time.sum = std::clamp(now.sum - std::min<std::uint64_t>(now.sum, sum_), count * time.min, count * time.max);
    sum_ += time.sum;
    return SparseHistogram(time, std::move(grown));
}

} // namespace vethtrace
