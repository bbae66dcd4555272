// SPDX-License-Identifier: GPL-2.0-only
//
// The live view: a terminal that is drawn anew with every window, key and change of its size.
#pragma once

#include "report/watch_text.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <vector>

namespace vethtrace {

struct WatchControl {
    bool quit = false;
    Grouping grouping = Grouping::container;
    int step = 0; // windows on, or back: of a recording
};

// What a key does to the view.
[[nodiscard]] WatchControl apply_key(char key, WatchView &view);

class LiveView {
public:
    // Input and output are a terminal, and one that can be drawn on.
    [[nodiscard]] static bool is_possible();

    LiveView(WatchView view, const TextStyle &style);
    LiveView(const LiveView &) = delete;
    LiveView &operator=(const LiveView &) = delete;
    // Gives the terminal back as it was.
    ~LiveView();

    // Minds keys and the terminal's size until then, or until it is to end.
    [[nodiscard]] WatchControl wait_until(std::chrono::steady_clock::time_point then, const std::atomic<bool> &stop);

    void show(const std::vector<WatchWindow> &windows, const std::vector<Advice> &advice);
    void show(const SlowPacket &packet);
    // The same, even if it is frozen.
    void replace(const std::vector<WatchWindow> &windows, const std::vector<Advice> &advice);
    [[nodiscard]] bool is_frozen() const { return view_.frozen; }

private:
    class RawTerminal;

    void draw();

    WatchView view_;
    TextStyle style_;
    int rows_ = 0;
    std::vector<WatchWindow> windows_; // what is shown; stays while it is frozen
    std::vector<Advice> advice_;
    std::deque<SlowPacket> told_;
    std::unique_ptr<RawTerminal> terminal_;
};

// Where there is no live view.
void sleep_until(std::chrono::steady_clock::time_point then, const std::atomic<bool> &stop);

} // namespace vethtrace
