// SPDX-License-Identifier: GPL-2.0-only
#include "export/octaves.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace vethtrace {

void OctaveHistogram::add(const SparseHistogram &times, std::uint64_t weight) {
    for (const Histogram::Bar &bar : times.bars()) {
        // A bucket is in one octave as a whole, so its lower bound tells which.
        auto bits = static_cast<unsigned>(std::bit_width(bar.range.low));
        std::size_t octave = std::max(bits, least_bits) - least_bits;
        if (octave < bounds)
            octaves_.at(octave) += bar.count * weight;
    }
    count_ += times.count() * weight;
    sum_ += times.sum() * weight;
}

std::array<std::uint64_t, OctaveHistogram::bounds> OctaveHistogram::cumulated() const {
    std::array<std::uint64_t, bounds> cumulated = {};
    std::partial_sum(octaves_.begin(), octaves_.end(), cumulated.begin());
    return cumulated;
}

} // namespace vethtrace
