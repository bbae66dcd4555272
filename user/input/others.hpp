// SPDX-License-Identifier: GPL-2.0-only
//
// Stored results that are no measurement of a lab: what changed between two of them, TCP_RR between two machines, what
// a kernel allows. As with all that is stored, nothing is taken on trust; see input/stored.hpp.
#pragma once

#include "core/diff.hpp"
#include "core/ladder.hpp"
#include "input/node.hpp"

#include <vector>

namespace vethtrace {

struct StoredFeatures {
    std::vector<Choice> choices;
    Environment environment;
};

[[nodiscard]] DiffResult read_diff(const Node &document);
[[nodiscard]] RrResult read_rr(const Node &document);
[[nodiscard]] StoredFeatures read_features(const Node &document);

} // namespace vethtrace
