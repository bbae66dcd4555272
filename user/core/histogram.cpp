// SPDX-License-Identifier: GPL-2.0-only
#include "core/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {

constexpr std::uint64_t needed_beyond_a_percentile = 10;

// The rank of a percentile among `count` values, from 1; null with too few beyond it. The small allowance keeps
// 0.9 * 100 from becoming 91 by rounding.
std::optional<std::uint64_t> rank_of(double quantile, std::uint64_t count) {
    auto rank = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count) - 1e-9));
    rank = std::max<std::uint64_t>(rank, 1);
    return count < rank + needed_beyond_a_percentile ? std::nullopt : std::optional(rank);
}

double middle_of(std::uint32_t bucket, Nanoseconds min, Nanoseconds max) {
    BucketRange range = bucket_range(bucket);
    double high = static_cast<double>(range.high.value_or(max));
    return std::clamp((static_cast<double>(range.low) + high) / 2, static_cast<double>(min), static_cast<double>(max));
}

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
    std::optional<std::uint64_t> rank = rank_of(quantile, count_);
    if (!rank)
        return std::nullopt;
    std::uint64_t seen = 0;
    for (std::uint32_t bucket = 0; bucket < buckets_.size(); ++bucket)
        if ((seen += buckets_[bucket]) >= *rank)
            return middle_of(bucket, min_, max_);
    return std::nullopt;
}

std::vector<Histogram::Bar> Histogram::bars() const {
    std::vector<Bar> bars;
    for (std::uint32_t bucket = 0; bucket < buckets_.size(); ++bucket)
        if (buckets_[bucket] != 0)
            bars.push_back({bucket_range(bucket), buckets_[bucket]});
    return bars;
}

SparseHistogram::SparseHistogram(const layout::totals &totals, std::vector<Bucket> buckets)
    : buckets_(std::move(buckets)), sum_(totals.sum), min_(totals.min), max_(totals.max) {
    for (const Bucket &bucket : buckets_)
        count_ += bucket.count;
}

void SparseHistogram::add(Nanoseconds value) {
    SparseHistogram one({value, value, value}, {{layout::bucket_of(value), 1}});
    merge(one);
}

void SparseHistogram::merge(const SparseHistogram &other) {
    std::vector<Bucket> merged;
    merged.reserve(buckets_.size() + other.buckets_.size());
    auto mine = buckets_.begin();
    for (const Bucket &theirs : other.buckets_) {
        for (; mine != buckets_.end() && mine->bucket < theirs.bucket; ++mine)
            merged.push_back(*mine);
        bool both = mine != buckets_.end() && mine->bucket == theirs.bucket;
        merged.push_back({theirs.bucket, theirs.count + (both ? (mine++)->count : 0)});
    }
    merged.insert(merged.end(), mine, buckets_.end());
    buckets_ = std::move(merged);
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
}

std::optional<Nanoseconds> SparseHistogram::min() const {
    return count_ == 0 ? std::nullopt : std::optional(min_);
}

std::optional<Nanoseconds> SparseHistogram::max() const {
    return count_ == 0 ? std::nullopt : std::optional(max_);
}

std::optional<double> SparseHistogram::mean() const {
    if (count_ == 0)
        return std::nullopt;
    return static_cast<double>(sum_) / static_cast<double>(count_);
}

std::optional<double> SparseHistogram::percentile(double quantile) const {
    std::optional<std::uint64_t> rank = rank_of(quantile, count_);
    if (!rank)
        return std::nullopt;
    std::uint64_t seen = 0;
    for (const Bucket &bucket : buckets_)
        if ((seen += bucket.count) >= *rank)
            return middle_of(bucket.bucket, min_, max_);
    return std::nullopt;
}

std::vector<Histogram::Bar> SparseHistogram::bars() const {
    std::vector<Histogram::Bar> bars(buckets_.size());
    std::transform(buckets_.begin(), buckets_.end(), bars.begin(), [](const Bucket &bucket) {
        return Histogram::Bar{bucket_range(bucket.bucket), bucket.count};
    });
    return bars;
}

} // namespace vethtrace
