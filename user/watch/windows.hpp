// SPDX-License-Identifier: GPL-2.0-only
//
// What has happened since the last window, out of counts that only grow.
#pragma once

#include "core/watch.hpp"
#include "hooks/watch_engine.hpp"
#include "watch/registry.hpp"
#include "watch/seen_stages.hpp"
#include "watch/series_counts.hpp"
#include "watch/target_counters.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace vethtrace {

// A packet as BPF has followed it, in words.
[[nodiscard]] SlowPacket to_slow_packet(const watch_layout::journey &journey, const Registry &registry);

class Windows {
public:
    Windows(WatchEngine &engine, Registry &registry) : engine_(engine), registry_(registry) {}

    // Ends the window: series, drops, the slowest packets (at most so many), conservation. What a target that is gone
    // had goes into this window, and is then forgotten.
    // `is_last`: nothing is under way any more, so what is missing is not to come either.
    [[nodiscard]] Result<WatchWindow> close(std::size_t slowest, Grouping grouping, bool is_last);

    // Notes what the kernel has counted for the namespaces of targets that are new, so that only what comes is told.
    void begin_to_count();

private:
    struct Key {
        watch_layout::series_key key;
        bool operator==(const Key &other) const;
    };
    struct Hash {
        std::size_t operator()(const Key &key) const;
    };
    void add_series(const watch_layout::series_key &key, const watch_layout::series &now, std::uint64_t window,
                    WatchWindow &into);
    Result<void> add_drops(WatchWindow &into);
    void add_slowest(std::uint64_t window, std::size_t most, WatchWindow &into);
    void add_books(WatchWindow &into);
    void add_sockets(WatchWindow &into);
    void add_unread(std::map<std::uint32_t, WatchSockets> &all) const;
    void add_counters(std::map<std::uint32_t, WatchSockets> &all);
    void add_unseen(WatchWindow &into, bool is_last);
    void forget_gone();

    WatchEngine &engine_;
    Registry &registry_;
    std::unordered_map<Key, SeriesCounts, Hash> before_;
    std::map<std::uint64_t, std::uint64_t> drops_before_; // by the key as a number
    std::vector<WatchEngine::Tallies> tallies_before_;
    std::map<std::uint32_t, watch_layout::target_books> books_before_; // by the target's number
    SeenStages seen_;
    TargetCounters counters_;
    std::set<std::uint32_t> counted_; // targets, by their numbers
    std::size_t next_counted_ = 0;    // of them, by turns
};

} // namespace vethtrace
