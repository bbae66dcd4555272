// SPDX-License-Identifier: GPL-2.0-only
//
// Watches a node's own traffic: finds the targets, follows their packets, and hands out windows. It changes nothing on
// the system, and gives up by itself when it costs more than it may.
#pragma once

#include "core/watch.hpp"
#include "hooks/watch_engine.hpp"
#include "watch/overhead.hpp"
#include "watch/registry.hpp"
#include "watch/softnet.hpp"
#include "watch/targets.hpp"
#include "watch/windows.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace vethtrace {

struct WatchOptions {
    Selection selection;
    watch_layout::watch_filter filter = {};
    std::uint32_t sample = 1;                            // follow one packet in so many at most
    double max_overhead = 0.03;                          // a part of the time of the busiest CPU
    std::uint64_t max_memory = std::uint64_t{256} << 20; // bytes of this process that are resident
    std::optional<std::chrono::nanoseconds> slower_than;
    std::size_t slowest = 5; // packets of each window
    Grouping grouping = Grouping::container;
    std::uint32_t series = 8192;
    Denied denied;
};

class Watcher {
public:
    // From here on packets are followed. Purpose::tracing and Purpose::looking are needed as long as it lives.
    [[nodiscard]] static Result<std::unique_ptr<Watcher>> open(const WatchOptions &options);

    // Looks for targets that have come or are gone; to be called so often.
    static constexpr std::chrono::seconds between_refreshes{1};
    [[nodiscard]] Result<void> refresh();

    // Keeps to the budget, and tells packets that were slower than --slower-than since the last call; to be called so
    // often.
    static constexpr std::chrono::milliseconds between_polls{100};
    void poll(const std::function<void(const SlowPacket &)> &each);

    void set_grouping(Grouping grouping);

    // Ends the window and begins the next one.
    [[nodiscard]] Result<WatchWindow> next_window();

    // Runs of the programs that the kernel has suppressed so far.
    [[nodiscard]] std::uint64_t missed() const { return engine_->missed(); }

    // Why it follows no more packets, if it has given up by itself.
    [[nodiscard]] const std::optional<std::string> &gave_up() const { return gave_up_; }

    void detach();

private:
    Watcher(const WatchOptions &options, std::unique_ptr<TargetFinder> finder, std::unique_ptr<WatchEngine> engine);
    void keep_budget(const Overhead::Window &window);
    void give_up(std::string why);
    void add_node(WatchWindow &window);
    void take(TargetChanges changes);

    WatchOptions options_;
    std::unique_ptr<TargetFinder> finder_;
    std::unique_ptr<WatchEngine> engine_;
    Registry registry_;
    Windows windows_;
    Overhead overhead_;

    TargetChanges changes_; // for the next window
    std::chrono::steady_clock::time_point begun_;
    std::chrono::system_clock::time_point begun_wall_;
    unsigned hopeless_ = 0;                                // windows in a row ...
    std::chrono::steady_clock::time_point hopeless_since_; // ... of which the first ended then
    std::optional<std::string> gave_up_;
    bool is_detached_ = false;
    SoftnetReading softnet_;
};

} // namespace vethtrace
