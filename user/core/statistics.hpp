// SPDX-License-Identifier: GPL-2.0-only
//
// How sure a mean is.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace vethtrace {

// A mean with half the width of its two-sided 95 % confidence interval (Student t); null with fewer than two samples.
struct Estimate {
    double mean = 0;
    std::optional<double> half_width;
};
[[nodiscard]] Estimate estimate_mean(std::span<const double> samples);

// Null if there is none.
[[nodiscard]] std::optional<double> median(std::vector<double> samples);

// Two samples between which the median lies with at least 95 % confidence, whatever the distribution (by the ranks of
// a sign test). With fewer than six samples there is no such pair, and the whole range is given.
struct Interval {
    double low = 0;
    double high = 0;
};
[[nodiscard]] Interval median_interval(std::vector<double> samples);

} // namespace vethtrace
