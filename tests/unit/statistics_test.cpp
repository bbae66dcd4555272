// SPDX-License-Identifier: GPL-2.0-only
#include "core/statistics.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

TEST(EstimateMean, GivesStudentsInterval) {
    // Mean 3, standard deviation sqrt(2.5), n 5: t(4; 0.975) = 2.776445, so 2.776445 * sqrt(2.5 / 5).
    std::vector<double> samples = {1, 2, 3, 4, 5};
    Estimate estimate = estimate_mean(samples);
    EXPECT_DOUBLE_EQ(estimate.mean, 3);
    EXPECT_NEAR(*estimate.half_width, 1.963243, 1e-6);
}

TEST(EstimateMean, GivesNoIntervalForASingleSample) {
    std::vector<double> one = {7};
    EXPECT_EQ(estimate_mean(one).mean, 7);
    EXPECT_EQ(estimate_mean(one).half_width, std::nullopt);
    EXPECT_EQ(estimate_mean({}).half_width, std::nullopt);
}

TEST(EstimateMean, HasNoWidthWithoutScatter) {
    std::vector<double> same = {4, 4, 4};
    EXPECT_EQ(estimate_mean(same).half_width, 0);
}

TEST(Median, IsTheMiddleOne) {
    EXPECT_EQ(median({9, 1, 5}), 5);
    EXPECT_EQ(median({9, 1, 5, 6}), 5.5);
    EXPECT_EQ(median({}), std::nullopt);
}

// Ranks of the sign test: of nine samples one at either end may be left out (P(B(9, 1/2) <= 1) = 10/512 = 1.95 %), of
// eight none (P(B(8, 1/2) <= 1) = 9/256 = 3.5 %).
TEST(MedianInterval, LeavesOutWhatTheSignTestAllows) {
    Interval nine = median_interval({9, 1, 8, 2, 7, 3, 6, 4, 5});
    EXPECT_EQ(nine.low, 2);
    EXPECT_EQ(nine.high, 8);
    Interval eight = median_interval({1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_EQ(eight.low, 1);
    EXPECT_EQ(eight.high, 8);
    Interval one = median_interval({5});
    EXPECT_EQ(one.low, 5);
    EXPECT_EQ(one.high, 5);
}

} // namespace
} // namespace vethtrace
