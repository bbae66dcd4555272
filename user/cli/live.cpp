// SPDX-License-Identifier: GPL-2.0-only
#include "cli/live.hpp"

#include "cli/terminal.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

namespace vethtrace {

namespace {

constexpr std::chrono::milliseconds between_keys(50);
constexpr std::size_t most_told = 5;

void put(const std::string &text) {
    (void)std::fputs(text.c_str(), stdout);
    (void)std::fflush(stdout);
}

template<typename Enum>
Enum next_of(Enum value, int count) {
    return static_cast<Enum>((static_cast<int>(value) + 1) % count);
}

} // namespace

WatchControl apply_key(char key, WatchView &view) {
    WatchControl control;
    constexpr int groupings = 4;
    constexpr int sorts = 4;
    switch (key) {
    case 'q':
    case 'Q':
        control.quit = true;
        break;
    case ' ':
        view.frozen = !view.frozen;
        break;
    case 'b':
        view.grouping = next_of(view.grouping, groupings);
        break;
    case 's':
        view.sort = next_of(view.sort, sorts);
        break;
    case 'n':
        control.step = 1;
        break;
    case 'p':
        control.step = -1;
        break;
    default:
        break;
    }
    control.grouping = view.grouping;
    return control;
}

// Keys come one by one and are not echoed; what was on the screen before comes back in the end.
class LiveView::RawTerminal {
public:
    RawTerminal() {
        known_ = tcgetattr(STDIN_FILENO, &before_) == 0;
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        if (known_)
            (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        put("\033[?1049h\033[?25l"); // the alternate screen, no cursor
    }
    RawTerminal(const RawTerminal &) = delete;
    RawTerminal &operator=(const RawTerminal &) = delete;
    ~RawTerminal() {
        put("\033[?25h\033[?1049l");
        if (known_)
            (void)tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }

private:
    termios before_ = {};
    bool known_ = false;
};

bool LiveView::is_possible() {
    return isatty(STDIN_FILENO) != 0 && takes_escapes(STDOUT_FILENO);
}

LiveView::LiveView(WatchView view, const TextStyle &style)
    : view_(std::move(view)), style_(style), terminal_(std::make_unique<RawTerminal>()) {
    draw();
}

LiveView::~LiveView() = default;

WatchControl LiveView::wait_until(std::chrono::steady_clock::time_point then, const std::atomic<bool> &stop) {
    while (!stop) {
        winsize size = {};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && (size.ws_col != style_.width || size.ws_row != rows_))
            draw();
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(then - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            break;
        pollfd keys = {STDIN_FILENO, POLLIN, 0};
        if (poll(&keys, 1, static_cast<int>(std::min(left, between_keys).count())) <= 0)
            continue;
        char key = 0;
        if (read(STDIN_FILENO, &key, 1) != 1)
            return {true, view_.grouping, 0}; // the terminal is gone
        WatchControl control = apply_key(key, view_);
        if (control.quit || control.step != 0)
            return control;
        draw();
    }
    return {false, view_.grouping, 0};
}

void LiveView::show(const std::vector<WatchWindow> &windows, const std::vector<Advice> &advice) {
    if (!view_.frozen)
        replace(windows, advice);
}

void LiveView::replace(const std::vector<WatchWindow> &windows, const std::vector<Advice> &advice) {
    windows_ = windows;
    advice_ = advice;
    draw();
}

void LiveView::show(const SlowPacket &packet) {
    told_.push_back(packet);
    if (told_.size() > most_told)
        told_.pop_front();
}

void LiveView::draw() {
    winsize size = {};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
        style_.width = size.ws_col;
        rows_ = size.ws_row;
    }
    std::string text = "\033[H"; // from the top, over what is there: no flicker
    std::vector<SlowPacket> told(told_.begin(), told_.end());
    std::vector<std::string> lines = watch_frame(windows_, advice_, told, view_, style_, rows_);
    for (std::size_t i = 0; i < lines.size(); ++i)
        text += fmt::format("{}{}\033[K", i == 0 ? "" : "\r\n", lines[i]);
    put(text + "\033[J");
}

void sleep_until(std::chrono::steady_clock::time_point then, const std::atomic<bool> &stop) {
    while (!stop && std::chrono::steady_clock::now() < then)
        std::this_thread::sleep_for(
            std::min<std::chrono::nanoseconds>(between_keys, then - std::chrono::steady_clock::now()));
}

} // namespace vethtrace
