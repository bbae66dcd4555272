// SPDX-License-Identifier: GPL-2.0-only
//
// The options of `vethtrace export`.
#pragma once

#include "cli/watch_options.hpp"
#include "input/listen.hpp"

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace vethtrace {

struct ExportPlan {
    WatchPlan watch;
    std::optional<ListenAddress> listen; // null: metrics go to the file alone
    std::string textfile;                // empty: none
    std::size_t series = 30'000;         // at most
};

class ExportParser {
public:
    void describe(CLI::App &app);
    // Once the command line has been read.
    [[nodiscard]] Result<ExportPlan> plan() const;

private:
    static constexpr double interval = 5; // s

    WatchParser traffic_{interval};
    std::string listen_;
    std::string textfile_;
    ExportPlan plan_;
};

} // namespace vethtrace
