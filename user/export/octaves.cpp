// SPDX-License-Identifier: GPL-2.0-only
#include "export/octaves.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace vethtrace {

namespace {

std::uint64_t rounded(long double sum) {
    return static_cast<std::uint64_t>(std::llround(sum));
}

} // namespace

void OctaveHistogram::add(const SparseHistogram &times, double weight) {
    for (const Histogram::Bar &bar : times.bars()) {
        // A bucket is in one octave as a whole, so its lower bound tells which.
        auto bits = static_cast<unsigned>(std::bit_width(bar.range.low));
        std::size_t octave = std::max(bits, least_bits) - least_bits;
        octaves_.at(std::min(octave, bounds)) += static_cast<double>(bar.count) * weight;
    }
    sum_ += static_cast<long double>(times.sum()) * weight;
}

std::uint64_t OctaveHistogram::count() const {
    return rounded(std::accumulate(octaves_.begin(), octaves_.end(), 0.0));
}

Nanoseconds OctaveHistogram::sum() const {
    return rounded(sum_);
}

std::array<std::uint64_t, OctaveHistogram::bounds> OctaveHistogram::cumulated() const {
    std::array<std::uint64_t, bounds> cumulated = {};
    double sum = 0;
    for (std::size_t i = 0; i < bounds; ++i)
        cumulated.at(i) = rounded(sum += octaves_.at(i));
    return cumulated;
}

} // namespace vethtrace
