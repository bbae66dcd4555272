// SPDX-License-Identifier: GPL-2.0-only
#include "core/histogram.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using layout::bucket_of;

TEST(Buckets, HoldOneValueEachBelow64) {
    for (std::uint32_t value = 0; value < 64; ++value) {
        EXPECT_EQ(bucket_of(value), value);
        EXPECT_EQ(bucket_range(value).low, value);
        EXPECT_EQ(bucket_range(value).high, value);
    }
}

TEST(Buckets, BeginAnOctaveAtEachPowerOfTwo) {
    for (int k = 6; k < 36; ++k) {
        Nanoseconds power = Nanoseconds{1} << k;
        // 32 buckets for each octave after the first 64 values.
        auto first = static_cast<std::uint32_t>(64 + (k - 6) * 32);
        EXPECT_EQ(bucket_of(power - 1), first - 1) << "2^" << k << " - 1";
        EXPECT_EQ(bucket_of(power), first) << "2^" << k;
        EXPECT_EQ(bucket_of(power + 1), first) << "2^" << k << " + 1";
        EXPECT_EQ(bucket_range(first).low, power);
        EXPECT_EQ(bucket_range(first - 1).high, power - 1);
    }
}

TEST(Buckets, FollowOneAnotherWithoutGapOrOverlap) {
    for (std::uint32_t bucket = 0; bucket + 1 < layout::BUCKET_OVERFLOW; ++bucket) {
        BucketRange range = bucket_range(bucket);
        ASSERT_EQ(*range.high + 1, bucket_range(bucket + 1).low) << bucket;
        ASSERT_EQ(bucket_of(range.low), bucket);
        ASSERT_EQ(bucket_of(*range.high), bucket);
    }
}

TEST(Buckets, AreNeverWiderThanThreePercent) {
    for (std::uint32_t bucket = 64; bucket < layout::BUCKET_OVERFLOW; ++bucket) {
        BucketRange range = bucket_range(bucket);
        double half_width = static_cast<double>(*range.high - range.low) / 2;
        ASSERT_LE(half_width / static_cast<double>(range.low), 0.016) << bucket;
    }
}

TEST(Buckets, HoldValuesBeyond31Bits) {
    Nanoseconds three_seconds = 3'000'000'000; // more than 2^31
    BucketRange range = bucket_range(bucket_of(three_seconds));
    EXPECT_LE(range.low, three_seconds);
    EXPECT_GE(*range.high, three_seconds);
}

TEST(Buckets, OverflowFrom69SecondsOn) {
    Nanoseconds limit = Nanoseconds{1} << 36;
    EXPECT_EQ(bucket_of(limit - 1), layout::BUCKET_OVERFLOW - 1);
    EXPECT_EQ(bucket_of(limit), layout::BUCKET_OVERFLOW);
    EXPECT_EQ(bucket_of(~Nanoseconds{0}), layout::BUCKET_OVERFLOW);
    EXPECT_EQ(bucket_range(layout::BUCKET_OVERFLOW).low, limit);
    EXPECT_EQ(bucket_range(layout::BUCKET_OVERFLOW).high, std::nullopt);
}

Histogram of(std::initializer_list<Nanoseconds> values) {
    Histogram histogram;
    for (Nanoseconds value : values)
        histogram.add(value);
    return histogram;
}

TEST(HistogramTest, KnowsNothingWhileItIsEmpty) {
    Histogram empty;
    EXPECT_EQ(empty.count(), 0);
    EXPECT_EQ(empty.mean(), std::nullopt);
    EXPECT_EQ(empty.min(), std::nullopt);
    EXPECT_EQ(empty.max(), std::nullopt);
    EXPECT_EQ(empty.percentile(0.5), std::nullopt);
    EXPECT_TRUE(empty.bars().empty());
}

TEST(HistogramTest, CountsSumsAndBounds) {
    Histogram histogram = of({10, 1000, 70'000'000'000});
    EXPECT_EQ(histogram.count(), 3);
    EXPECT_EQ(histogram.sum(), 70'000'001'010);
    EXPECT_EQ(histogram.min(), 10);
    EXPECT_EQ(histogram.max(), 70'000'000'000);
    EXPECT_EQ(histogram.overflow(), 1);
    ASSERT_EQ(histogram.bars().size(), 3);
    EXPECT_EQ(histogram.bars()[1].range.low, 992); // 1000 lies in 992..1007: octave of 512, steps of 16
    EXPECT_EQ(histogram.bars()[1].range.high, 1007);
    EXPECT_EQ(histogram.bars()[1].count, 1);
}

TEST(HistogramTest, PercentilesAreByNearestRank) {
    Histogram histogram;
    for (Nanoseconds value = 1; value <= 60; ++value)
        histogram.add(value); // each in a bucket of its own
    EXPECT_EQ(histogram.percentile(0.5), 30);
    EXPECT_EQ(histogram.percentile(0.01), 1);
    EXPECT_EQ(histogram.percentile(0.8), 48);
}

TEST(HistogramTest, APercentileNeedsTenValuesBeyondIt) {
    Histogram histogram;
    for (int i = 0; i < 1000; ++i)
        histogram.add(50);
    EXPECT_EQ(histogram.percentile(0.99), 50);            // rank 990: 10 beyond
    EXPECT_EQ(histogram.percentile(0.999), std::nullopt); // rank 999: 1 beyond
    Histogram fewer;
    for (int i = 0; i < 999; ++i)
        fewer.add(50);
    EXPECT_EQ(fewer.percentile(0.99), std::nullopt); // rank 990: 9 beyond
}

TEST(HistogramTest, APercentileNeverLeavesWhatWasMeasured) {
    Histogram histogram;
    for (int i = 0; i < 100; ++i)
        histogram.add(1000); // the middle of its bucket is 999.5
    EXPECT_EQ(histogram.percentile(0.5), 1000);
}

TEST(HistogramTest, MergesLikeOneHistogram) {
    Histogram a = of({5, 100});
    a.merge(of({7, 100'000}));
    EXPECT_EQ(a.count(), 4);
    EXPECT_EQ(a.sum(), 100'112);
    EXPECT_EQ(a.min(), 5);
    EXPECT_EQ(a.max(), 100'000);
}

TEST(HistogramTest, ACpuThatCountedNothingChangesNothing) {
    Histogram histogram = of({500});
    layout::totals untouched = {0, 0, 0}; // its minimum is not even set
    std::array<__u64, layout::BUCKETS> buckets = {};
    histogram.merge(untouched, buckets);
    EXPECT_EQ(histogram.min(), 500);
    EXPECT_EQ(histogram.count(), 1);
}

TEST(HistogramTest, TakesOverWhatACpuCounted) {
    layout::totals totals = {210, 100, 110};
    std::array<__u64, layout::BUCKETS> buckets = {};
    buckets[bucket_of(100)] += 1;
    buckets[bucket_of(110)] += 1;
    Histogram histogram;
    histogram.merge(totals, buckets);
    EXPECT_EQ(histogram.count(), 2);
    EXPECT_EQ(histogram.mean(), 105);
    EXPECT_EQ(histogram.min(), 100);
    EXPECT_EQ(histogram.max(), 110);
}

} // namespace
} // namespace vethtrace
