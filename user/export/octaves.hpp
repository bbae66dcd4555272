// SPDX-License-Identifier: GPL-2.0-only
//
// Intervals as Prometheus gets them: a bucket for each octave, from 128 ns to a second.
//
// There an upper bound (`le`) belongs to its bucket. Intervals are whole ns, and the buckets of bpf/layout.h begin anew
// at each power of two, so the bounds are 2^k - 1 ns: how many intervals are at most that long is known exactly. At 2^k
// it would not be, because there an interval of 2^k ns shares its bucket with longer ones.
#pragma once

#include "core/histogram.hpp"

#include <array>
#include <cstdint>

namespace vethtrace {

class OctaveHistogram {
public:
    static constexpr unsigned least_bits = 7;
    static constexpr unsigned most_bits = 30;
    static constexpr std::size_t bounds = most_bits - least_bits + 1; // without the last, which is infinite

    [[nodiscard]] static constexpr Nanoseconds bound(std::size_t index) {
        return (Nanoseconds{1} << (least_bits + index)) - 1;
    }

    // Each of the intervals counts for so many. Only the sums are rounded: many windows of few intervals must not err
    // all to one side.
    void add(const SparseHistogram &times, double weight);

    [[nodiscard]] std::uint64_t count() const;
    [[nodiscard]] Nanoseconds sum() const;
    // How many are at most bound(i) long, for each i.
    [[nodiscard]] std::array<std::uint64_t, bounds> cumulated() const;

private:
    std::array<double, bounds + 1> octaves_ = {}; // each for itself; the last has what is longer
    long double sum_ = 0;                         // exact up to 2^64 ns
};

} // namespace vethtrace
