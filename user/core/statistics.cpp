// SPDX-License-Identifier: GPL-2.0-only
#include "core/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <functional>
#include <numeric>

namespace vethtrace {

namespace {

constexpr double two_sided_95 = 0.975;

double mean_of(std::span<const double> samples) {
    return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

// The variance of the mean of the samples; at least two of them.
double variance_of_mean(std::span<const double> samples) {
    double mean = mean_of(samples);
    double squares = 0;
    for (double sample : samples)
        squares += (sample - mean) * (sample - mean);
    auto n = static_cast<double>(samples.size());
    return squares / (n - 1) / n;
}

double t_quantile(double degrees_of_freedom, double probability = two_sided_95) {
    return boost::math::quantile(boost::math::students_t(degrees_of_freedom), probability);
}

// What can be said of a difference from the variance of its estimate.
Difference judged(double mean, double variance, double degrees_of_freedom, double level) {
    constexpr double power = 0.8;
    double error = std::sqrt(variance);
    double quantile = t_quantile(degrees_of_freedom, (1 + level) / 2);
    Difference difference{mean, quantile * error, error, {}, {}};
    difference.detectable = (quantile + t_quantile(degrees_of_freedom, power)) * error;
    if (error > 0) {
        boost::math::students_t distribution(degrees_of_freedom);
        difference.p_value = 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(mean) / error));
    } else { // samples that do not vary at all leave no doubt
        difference.p_value = mean == 0 ? 1 : 0;
    }
    return difference;
}

} // namespace

Estimate estimate_mean(std::span<const double> samples) {
    if (samples.empty())
        return {};
    Estimate estimate{mean_of(samples), std::nullopt};
    if (samples.size() >= 2)
        estimate.half_width =
            t_quantile(static_cast<double>(samples.size() - 1)) * std::sqrt(variance_of_mean(samples));
    return estimate;
}

Difference paired_difference(std::span<const double> a, std::span<const double> b, double level) {
    std::size_t pairs = std::min(a.size(), b.size());
    std::vector<double> differences(pairs);
    std::transform(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(pairs), b.begin(), differences.begin(),
                   std::minus<>());
    if (pairs == 0)
        return {};
    if (pairs == 1)
        return {differences.front(), {}, {}, {}, {}};
    return judged(mean_of(differences), variance_of_mean(differences), static_cast<double>(pairs - 1), level);
}

Difference independent_difference(std::span<const double> a, std::span<const double> b, double level) {
    if (a.empty() || b.empty())
        return {};
    double mean = mean_of(a) - mean_of(b);
    if (a.size() < 2 || b.size() < 2)
        return {mean, {}, {}, {}, {}};
    double of_a = variance_of_mean(a);
    double of_b = variance_of_mean(b);
    auto less_one = [](std::span<const double> samples) { return static_cast<double>(samples.size() - 1); };
    double spread = of_a * of_a / less_one(a) + of_b * of_b / less_one(b);
    double degrees = spread > 0 ? (of_a + of_b) * (of_a + of_b) / spread : less_one(a) + less_one(b);
    return judged(mean, of_a + of_b, degrees, level);
}

std::vector<double> adjust_for_number(const std::vector<double> &p_values) {
    std::vector<std::size_t> order(p_values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
    std::vector<double> adjusted(p_values.size());
    double largest = 0;
    for (std::size_t place = 0; place < order.size(); ++place) {
        largest = std::max(largest, p_values[order[place]] * static_cast<double>(order.size() - place));
        adjusted[order[place]] = std::min(largest, 1.0);
    }
    return adjusted;
}

Interval median_interval(std::vector<double> samples) {
    if (samples.empty())
        return {};
    std::sort(samples.begin(), samples.end());
    // How many samples can be left out at either end.
    boost::math::binomial_distribution<> below(static_cast<double>(samples.size()), 1.0 / 2);
    std::size_t out = 0;
    while (boost::math::cdf(below, static_cast<double>(out + 1)) <= 1 - two_sided_95)
        ++out;
    return {samples[out], samples[samples.size() - 1 - out]};
}

std::optional<double> median(std::vector<double> samples) {
    if (samples.empty())
        return std::nullopt;
    std::sort(samples.begin(), samples.end());
    std::size_t middle = samples.size() / 2;
    return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

} // namespace vethtrace
