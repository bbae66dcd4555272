// SPDX-License-Identifier: GPL-2.0-only
#include "core/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {
constexpr std::uint64_t needed_beyond_a_percentile = 10;
} // namespace

BucketRange bucket_range(std::uint32_t bucket) {
    if (bucket >= layout::BUCKET_OVERFLOW)
        return {Nanoseconds{1} << layout::VALUE_BITS, std::nullopt};
    constexpr std::uint32_t per_octave = 1U << layout::SUB_BUCKET_BITS;
    // The first two octaves of buckets are linear; each later one doubles the width.
    std::uint32_t octave = bucket < 2 * per_octave ? 0 : bucket / per_octave - 1;
    Nanoseconds low = static_cast<Nanoseconds>(bucket - octave * per_octave) << octave;
    return {low, low + (Nanoseconds{1} << octave) - 1};
}

void Histogram::merge(const Histogram &other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i)
        buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
}

void Histogram::merge(const layout::totals &totals, std::span<const __u64, layout::BUCKETS> buckets) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        buckets_[i] += buckets[i];
        count += buckets[i];
    }
    if (count == 0)
        return;
    count_ += count;
    sum_ += totals.sum;
    min_ = std::min<Nanoseconds>(min_, totals.min);
    max_ = std::max<Nanoseconds>(max_, totals.max);
}

void Histogram::clear() {
    *this = Histogram();
}

std::optional<Nanoseconds> Histogram::min() const {
    return count_ == 0 ? std::nullopt : std::optional(min_);
}

std::optional<Nanoseconds> Histogram::max() const {
    return count_ == 0 ? std::nullopt : std::optional(max_);
}

std::optional<double> Histogram::mean() const {
    if (count_ == 0)
        return std::nullopt;
    return static_cast<double>(sum_) / static_cast<double>(count_);
}

std::optional<double> Histogram::percentile(double quantile) const {
    // The small allowance keeps 0.9 * 100 from becoming 91 by rounding.
    auto rank = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_) - 1e-9));
    rank = std::max<std::uint64_t>(rank, 1);
    if (count_ < rank + needed_beyond_a_percentile)
        return std::nullopt;
    std::uint64_t seen = 0;
    for (std::uint32_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        seen += buckets_[bucket];
        if (seen < rank)
            continue;
        BucketRange range = bucket_range(bucket);
        double high = static_cast<double>(range.high.value_or(max_));
        double middle = (static_cast<double>(range.low) + high) / 2;
        return std::clamp(middle, static_cast<double>(min_), static_cast<double>(max_));
    }
    return std::nullopt;
}

std::vector<Histogram::Bar> Histogram::bars() const {
    std::vector<Bar> bars;
    for (std::uint32_t bucket = 0; bucket < buckets_.size(); ++bucket)
        if (buckets_[bucket] != 0)
            bars.push_back({bucket_range(bucket), buckets_[bucket]});
    return bars;
}

} // namespace vethtrace
