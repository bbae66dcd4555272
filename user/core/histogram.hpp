// SPDX-License-Identifier: GPL-2.0-only
//
// A log-linear histogram of intervals in ns, with the buckets of bpf/layout.h: the kernel's are merged into it, and
// user space records its own intervals the same way.
#pragma once

#include "core/units.hpp"
#include "layout.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace vethtrace {

// The values that a bucket holds, both bounds included. The overflow bucket has no upper bound.
struct BucketRange {
    Nanoseconds low = 0;
    std::optional<Nanoseconds> high;
};
[[nodiscard]] BucketRange bucket_range(std::uint32_t bucket);

class Histogram {
public:
    struct Bar {
        BucketRange range;
        std::uint64_t count = 0;
    };

    Histogram() : buckets_(layout::BUCKETS) {}

    void add(Nanoseconds value) {
        ++buckets_[layout::bucket_of(value)];
        ++count_;
        sum_ += value;
        if (value < min_)
            min_ = value;
        if (value > max_)
            max_ = value;
    }
    void merge(const Histogram &other);
    // What BPF gathered on one CPU; one that has counted nothing changes nothing, not even the minimum.
    void merge(const layout::totals &totals, std::span<const __u64, layout::BUCKETS> buckets);
    void clear();

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] Nanoseconds sum() const { return sum_; }
    [[nodiscard]] std::uint64_t overflow() const { return buckets_[layout::BUCKET_OVERFLOW]; }
    // Null while nothing has been counted.
    [[nodiscard]] std::optional<Nanoseconds> min() const;
    [[nodiscard]] std::optional<Nanoseconds> max() const;
    [[nodiscard]] std::optional<double> mean() const;

    // The value below which a share of `quantile` (0 to 1) of all values lie, by nearest rank: the middle of its
    // bucket, kept within min and max, so at most 1.6 % off. Null with fewer than 10 values beyond it.
    [[nodiscard]] std::optional<double> percentile(double quantile) const;

    // The buckets that hold anything, in ascending order.
    [[nodiscard]] std::vector<Bar> bars() const;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    Nanoseconds sum_ = 0;
    Nanoseconds min_ = std::numeric_limits<Nanoseconds>::max();
    Nanoseconds max_ = 0;
};

// The same, for hundreds of them: only buckets that hold anything take memory.
class SparseHistogram {
public:
    struct Bucket {
        std::uint32_t bucket = 0; // as bucket_of() numbers it
        std::uint64_t count = 0;
    };

    SparseHistogram() = default;
    // Buckets in ascending order, each once. Of the totals the minimum and the maximum lie within the outermost
    // buckets.
    SparseHistogram(const layout::totals &totals, std::vector<Bucket> buckets);

    void add(Nanoseconds value);
    void merge(const SparseHistogram &other);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] Nanoseconds sum() const { return sum_; }
    [[nodiscard]] std::optional<Nanoseconds> min() const;
    [[nodiscard]] std::optional<Nanoseconds> max() const;
    [[nodiscard]] std::optional<double> mean() const;
    [[nodiscard]] std::optional<double> percentile(double quantile) const; // as of a Histogram
    [[nodiscard]] std::vector<Histogram::Bar> bars() const;

private:
    std::vector<Bucket> buckets_;
    std::uint64_t count_ = 0;
    Nanoseconds sum_ = 0;
    Nanoseconds min_ = std::numeric_limits<Nanoseconds>::max();
    Nanoseconds max_ = 0;
};

} // namespace vethtrace
