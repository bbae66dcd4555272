// SPDX-License-Identifier: GPL-2.0-only
//
// The options of `vethtrace watch`.
#pragma once

#include "watch/watcher.hpp"

#include <chrono>
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

// How long it watches, and what becomes of the windows.
struct WatchPlan {
    WatchOptions watch;
    std::chrono::nanoseconds interval = std::chrono::seconds(1);
    std::optional<std::chrono::nanoseconds> duration; // null: until it is stopped
    std::string record;                               // a file for the windows; empty: none
    std::string filter_text;                          // what was filtered for, as it was typed
};

class WatchParser {
public:
    explicit WatchParser(double interval = 1) : interval_(interval) {}

    void describe(CLI::App &app);
    // Only what is watched and what that may cost. `histograms` is what the option is called that bounds their number.
    void describe_traffic(CLI::App &app, const std::string &histograms);
    // Once the command line has been read.
    [[nodiscard]] Result<WatchPlan> plan() const;

private:
    Result<void> set_selection(Selection &selection) const;
    Result<void> set_filter(WatchPlan &plan) const;

    std::vector<std::string> containers_;
    std::vector<std::string> pods_;
    std::vector<std::string> netns_;
    std::vector<pid_t> pids_;
    std::vector<std::string> interfaces_;
    bool all_ = false;
    std::string ports_;
    std::string peer_;
    std::string protocol_;
    double interval_; // s
    double duration_ = 0;
    bool forever_ = false;
    std::string by_ = "container";
    std::string slower_than_;
    double max_overhead_ = 3;
    std::uint64_t max_memory_ = 256; // MiB
    WatchPlan plan_;                 // what needs no reading
};

} // namespace vethtrace
