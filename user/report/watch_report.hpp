// SPDX-License-Identifier: GPL-2.0-only
//
// A recording of `watch` as a whole, and the windows of it that stand out: where to look first.
#pragma once

#include "core/environment.hpp"
#include "report/watch_text.hpp"

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

struct WatchMoment {
    std::uint64_t number = 0; // of the window
    std::chrono::system_clock::time_point begun;
    std::optional<WatchRow> worst; // on which the most time was spent, more than in the window before
    std::uint64_t dropped = 0;
};

class WatchMoments {
public:
    explicit WatchMoments(std::size_t most) : most_(most) {}

    // The next window.
    void add(const WatchWindow &window);
    // In the order of time.
    [[nodiscard]] std::vector<WatchMoment> moments() const;

private:
    std::size_t most_;
    std::vector<WatchMoment> worst_; // the worst first
    std::vector<WatchWindow> last_;
};

struct WatchReport {
    const WatchTotals &totals;
    const std::string &ended; // why there are no more windows
    const Environment &environment;
    std::vector<WatchMoment> moments;
    std::vector<std::string> remarks; // what is incomplete, as sentences
    std::optional<CommandInLab> lab = {};
    std::vector<Advice> advice = {}; // of all windows together
};

// The option that makes room for more series, in the kernel; a command in the lab has none.
[[nodiscard]] std::string room_option(const WatchReport &report);

[[nodiscard]] std::string to_text(const WatchReport &report, const TextStyle &style);
// As the line of a recording that sums up.
[[nodiscard]] nlohmann::ordered_json to_json(const WatchReport &report);

} // namespace vethtrace
