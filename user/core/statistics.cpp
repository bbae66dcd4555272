// SPDX-License-Identifier: GPL-2.0-only
#include "core/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
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

double t_quantile(double degrees_of_freedom) {
    return boost::math::quantile(boost::math::students_t(degrees_of_freedom), two_sided_95);
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
