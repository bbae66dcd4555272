// SPDX-License-Identifier: GPL-2.0-only
#include "cli/replay.hpp"

#include "cli/live.hpp"
#include "cli/terminal.hpp"
#include "report/json.hpp"
#include "report/watch_json.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

constexpr std::chrono::milliseconds a_look(50);

// The window and, if there is one, that before it.
Result<std::vector<WatchWindow>> windows_at(WatchRecording &recording, std::size_t index) {
    std::vector<WatchWindow> windows;
    for (std::size_t i = index == 0 ? 0 : index - 1; i <= index; ++i) {
        Result<WatchWindow> window = recording.window(i);
        if (!window)
            return tl::unexpected(window.error());
        windows.push_back(std::move(*window));
    }
    return windows;
}

Result<void> play_live(WatchRecording &recording, std::size_t index, const TextStyle &style,
                       const std::atomic<bool> &stop) {
    std::optional<LiveView> live;
    while (!stop) {
        Result<std::vector<WatchWindow>> windows = windows_at(recording, index);
        if (!windows)
            return tl::unexpected(windows.error());
        const WatchWindow &now = windows->back();
        if (!live)
            live.emplace(WatchView{.grouping = now.grouping, .recorded = true}, style);
        live->replace(*windows, advise(now));
        bool is_last = index + 1 == recording.size();
        auto ends = std::chrono::steady_clock::now() + std::chrono::nanoseconds(now.duration_ns);
        WatchControl control;
        do
            control = live->wait_until(std::max(ends, std::chrono::steady_clock::now() + a_look), stop);
        while (!stop && !control.quit && control.step == 0 && (live->is_frozen() || is_last));
        if (control.quit)
            return {};
        if (control.step < 0)
            index -= std::min<std::size_t>(index, 1);
        else if (!is_last)
            ++index;
    }
    return {};
}

Result<void> print_all(WatchRecording &recording, std::size_t index, const ReportCommand &command,
                       const TextStyle &style, const std::atomic<bool> &stop) {
    for (; index < recording.size() && !stop; ++index) {
        Result<std::vector<WatchWindow>> windows = windows_at(recording, index);
        if (!windows)
            return tl::unexpected(windows.error());
        std::vector<Advice> advice = advise(windows->back());
        std::string text = command.output.json ? to_text(to_json(windows->back(), advice), command.output.pretty) + "\n"
                                               : watch_lines(*windows, advice, "", style);
        if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
            return fail_errno("standard output", errno);
    }
    return {};
}

} // namespace

Result<void> replay(WatchRecording &recording, const ReportCommand &command, const std::atomic<bool> &stop) {
    TextStyle style = style_of_stdout(command.output);
    std::size_t first = recording.index_of(command.first_window);
    if (first == recording.size())
        return tl::unexpected(Error{fmt::format("--window {}", command.first_window),
                                    "is after the end of " + recording.name(),
                                    fmt::format("it has {} windows", recording.size()), Exit::usage});
    return !command.output.json && LiveView::is_possible() ? play_live(recording, first, style, stop)
                                                           : print_all(recording, first, command, style, stop);
}

} // namespace vethtrace
