// SPDX-License-Identifier: GPL-2.0-only
//
// The BPF side for a node's own traffic; see bpf/watch.bpf.c.
#pragma once

#include "core/error.hpp"
#include "core/ladder.hpp"

#include "watch_layout.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vethtrace {

struct WatchEngineOptions {
    watch_layout::watch_filter filter = {};
    bool can_cast = false;              // see Features
    std::uint32_t sample = 1;           // follow one packet in so many
    std::uint32_t series = 8192;        // at most; 4 KiB of kernel memory each
    std::uint64_t slower_than = 0;      // ns; packets that take longer are reported one by one ...
    std::uint32_t reported_at_most = 0; // ... up to so many on each CPU and window
    std::array<std::uint8_t, layout::DROP_REASONS> harmless = {}; // by reason: watch_layout::HARMLESS_... bits
};

class WatchEngine {
public:
    [[nodiscard]] static Result<std::unique_ptr<WatchEngine>>
    load(const WatchEngineOptions &options, const std::vector<Choice> &choices, std::vector<std::string> drop_reasons);
    WatchEngine(const WatchEngine &) = delete;
    WatchEngine &operator=(const WatchEngine &) = delete;
    ~WatchEngine();

    // Nothing is followed before follow(), so that no packet has passed only some of the hooks.
    [[nodiscard]] Result<void> attach();
    void follow();
    // Lets what is followed come to its end first.
    void detach();

    // Devices by watch_layout::place_of().
    [[nodiscard]] Result<void> set_device(std::uint64_t place, const watch_layout::watched_device &device);
    void remove_device(std::uint64_t place);
    // The target that has an address; 0: several have it. One that finds no place is not set, which is no error: only
    // packets that are dropped before they get to their target are looked up by it.
    void set_address(const watch_layout::target_address &address, std::uint32_t target);
    void remove_address(const watch_layout::target_address &address);
    // Whether any device is a tunnel.
    void set_tunnels(bool any);

    void set_sample(std::uint32_t one_in);
    void set_grouping(watch_layout::watch_group group);

    // Begins the next window and returns the number of the one that has ended.
    std::uint64_t next_window();

    // All series as they stand now; counts go on from window to window.
    using EachSeries = std::function<void(const watch_layout::series_key &, const watch_layout::series &)>;
    [[nodiscard]] Result<void> read_series(const EachSeries &each) const;
    void remove_series(const watch_layout::series_key &key);

    using Drop = std::pair<watch_layout::drop_key, std::uint64_t>;
    [[nodiscard]] Result<std::vector<Drop>> drops() const;
    void remove_drop(const watch_layout::drop_key &key);
    [[nodiscard]] std::string reason_name(std::size_t reason) const;

    // The slowest packets of a window that has ended, in no order.
    [[nodiscard]] std::vector<watch_layout::journey> slowest(std::uint64_t window) const;

    // Packets that were slower than they may be, since the last call.
    void poll_reported(const std::function<void(const watch_layout::journey &)> &each);

    // Of the target with that index in the table of books.
    [[nodiscard]] watch_layout::target_books books(std::uint32_t index) const;

    // Sockets that have data which nobody has read. One of UDP that is closed by now may still be among them.
    [[nodiscard]] std::vector<watch_layout::unread> unread() const;
    // By the clock of the programs, ns.
    [[nodiscard]] static std::uint64_t now();

    using Tallies = std::array<std::uint64_t, watch_layout::WATCH_TALLIES>;
    [[nodiscard]] std::vector<Tallies> tallies() const;      // by CPU
    [[nodiscard]] std::vector<std::uint64_t> events() const; // tracing events, by CPU
    [[nodiscard]] std::uint64_t in_flight() const;

    // Time spent in the programs and how often they ran, as the kernel counts it while count_time() is on. It costs
    // something itself, so it is on only for a moment at a time.
    struct Spent {
        std::uint64_t ns = 0;
        std::uint64_t runs = 0;
    };
    [[nodiscard]] Result<void> count_time(bool on);
    [[nodiscard]] Spent spent() const;

    [[nodiscard]] std::uint64_t missed() const; // calls that the kernel suppressed

private:
    class Implementation;
    explicit WatchEngine(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

} // namespace vethtrace
