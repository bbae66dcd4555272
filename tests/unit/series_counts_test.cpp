// SPDX-License-Identifier: GPL-2.0-only
#include "watch/series_counts.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

// A series as the kernel counts it.
class Kernel {
public:
    void count(Nanoseconds ns, std::uint64_t window) {
        ++now.buckets[layout::bucket_of(ns)];
        now.sum += ns;
        watch_layout::series_max &max = now.max[window & 1];
        if (max.window != window || max.ns < ns)
            max = {window, ns};
    }
    watch_layout::series now = {};
};

TEST(SeriesCounts, TellWhatCameInAWindow) {
    Kernel kernel;
    SeriesCounts counts;
    EXPECT_FALSE(counts.grown(kernel.now, 1));
    kernel.count(1000, 1);
    kernel.count(5000, 1);
    std::optional<SparseHistogram> first = counts.grown(kernel.now, 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->count(), 2);
    EXPECT_EQ(first->sum(), 6000);
    EXPECT_EQ(first->max(), 5000);
    kernel.count(2000, 2);
    std::optional<SparseHistogram> second = counts.grown(kernel.now, 2);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->count(), 1);
    EXPECT_EQ(second->sum(), 2000);
    EXPECT_EQ(second->max(), 2000);
    EXPECT_FALSE(counts.grown(kernel.now, 3));
}

TEST(SeriesCounts, AgreeThoughAPacketIsCountedJustThen) {
    Kernel kernel;
    SeriesCounts counts;
    kernel.count(1000, 1);
    // Its bucket has been counted, and neither its maximum nor its sum.
    ++kernel.now.buckets[layout::bucket_of(68'000)];
    std::optional<SparseHistogram> first = counts.grown(kernel.now, 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->count(), 2);
    EXPECT_EQ(layout::bucket_of(*first->max()), layout::bucket_of(68'000)) << "the end of its bucket";
    EXPECT_GE(first->sum(), 2 * *first->min());
    // Then they come, with another: the sum over both windows is right.
    kernel.now.sum += 68'000;
    kernel.count(1000, 2);
    std::optional<SparseHistogram> second = counts.grown(kernel.now, 2);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->count(), 1);
    EXPECT_LE(second->sum(), *second->max());
    kernel.count(40'000, 3);
    kernel.count(40'000, 3);
    std::optional<SparseHistogram> third = counts.grown(kernel.now, 3);
    ASSERT_TRUE(third);
    EXPECT_GE(third->sum(), 2 * *third->min());
    EXPECT_LE(third->sum(), 2 * *third->max());
}

TEST(SeriesCounts, MayHaveAMaximumWhoseBucketIsNotCountedYet) {
    Kernel kernel;
    SeriesCounts counts;
    kernel.count(1000, 1);
    kernel.now.max[1] = {1, 90'000};
    std::optional<SparseHistogram> first = counts.grown(kernel.now, 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(layout::bucket_of(*first->max()), layout::bucket_of(1000));
    EXPECT_EQ(first->sum(), 1000);
}

} // namespace
} // namespace vethtrace
