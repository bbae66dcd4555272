// SPDX-License-Identifier: GPL-2.0-only
#include "watch/near.hpp"

#include <algorithm>
#include <numeric>

namespace vethtrace {

namespace {

// How many letters must be put in, taken out or exchanged (Levenshtein's distance, row by row).
std::size_t distance(std::string_view from, std::string_view to) {
    std::vector<std::size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < from.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < to.size(); ++j) {
            std::size_t exchanged = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({exchanged, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

} // namespace

std::vector<std::string> near_matches(std::string_view word, std::vector<std::string> names) {
    constexpr std::size_t most_letters = 2;
    // Something of the word must be left: otherwise every short name would be near a short word.
    const std::size_t far = std::min(most_letters, word.empty() ? 0 : word.size() - 1);
    constexpr std::size_t most = 5;
    std::erase_if(names, [&](const std::string &name) {
        return name.find(word) == std::string::npos && distance(word, name) > far;
    });
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::stable_sort(names.begin(), names.end(),
                     [&](const std::string &a, const std::string &b) { return distance(word, a) < distance(word, b); });
    if (names.size() > most)
        names.resize(most);
    return names;
}

} // namespace vethtrace
