// SPDX-License-Identifier: GPL-2.0-only
//
// What one series of the kernel's has counted up to a window, and what came in the next one.
#pragma once

#include "core/histogram.hpp"

#include "watch_layout.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace vethtrace {

class SeriesCounts {
public:
    // What has come since the last call; `now` is as it stands at the end of that window. Null: nothing. It is read
    // while packets are counted, and one may have been counted in part.
    [[nodiscard]] std::optional<SparseHistogram> grown(const watch_layout::series &now, std::uint64_t window);

private:
    std::uint64_t sum_ = 0;
    // Only the buckets that hold anything: hundreds of series must fit into little memory.
    std::vector<std::pair<std::uint16_t, std::uint32_t>> buckets_;
};

} // namespace vethtrace
