// SPDX-License-Identifier: GPL-2.0-only
#include "run/budget.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

TEST(SampleWithin, FollowsAllThatTheLimitAllows) {
    EXPECT_EQ(sample_within(0.25, 0.10, 0.20), 1U);
    EXPECT_EQ(sample_within(0.20, 0.10, 0.20), 1U);
    // 10 % for the programs alone leave 5 % of the 10 % that following everything adds.
    EXPECT_EQ(sample_within(0.15, 0.10, 0.20), 2U);
    EXPECT_EQ(sample_within(0.113, 0.10, 0.20), 8U); // 7.7 rounded up: rather too few than too many
}

TEST(SampleWithin, FollowsAsFewAsItCanWhereTheLimitCannotBeKept) {
    EXPECT_EQ(sample_within(0.05, 0.10, 0.20), 4096U);
    EXPECT_EQ(sample_within(0.1000001, 0.10, 0.20), 4096U);
    EXPECT_FALSE((Budget{.limit = 0.05, .none_followed = 0.10, .all_followed = 0.20}).can_be_kept());
    EXPECT_TRUE((Budget{.limit = 0.15, .none_followed = 0.10, .all_followed = 0.20}).can_be_kept());
}

} // namespace
} // namespace vethtrace
