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

// A difference of two means, a - b. Its parts are null with too few samples: fewer than two pairs, or two on a side.
struct Difference {
    double mean = 0;
    std::optional<double> half_width;     // of the two-sided confidence interval at the level that was asked for
    std::optional<double> standard_error; // of the mean
    std::optional<double> p_value;        // two-sided, that there is no difference
    std::optional<double> detectable;     // the smallest difference that is found four times in five

    [[nodiscard]] double low() const { return mean - half_width.value_or(0); }
    [[nodiscard]] double high() const { return mean + half_width.value_or(0); }
    // Whether the interval lies on one side of zero.
    [[nodiscard]] bool excludes_zero() const { return half_width && (low() > 0 || high() < 0); }
};
constexpr double usual_level = 0.95;
// Of samples that belong together by their place (Student t over the pairs).
[[nodiscard]] Difference paired_difference(std::span<const double> a, std::span<const double> b,
                                           double level = usual_level);
// Of samples that have nothing to do with one another (Welch).
[[nodiscard]] Difference independent_difference(std::span<const double> a, std::span<const double> b,
                                                double level = usual_level);

// The p values of several tests, adjusted so that the chance of even one false rejection stays what it was for each
// (Holm). In the order given.
[[nodiscard]] std::vector<double> adjust_for_number(const std::vector<double> &p_values);

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
