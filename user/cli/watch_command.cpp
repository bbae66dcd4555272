// SPDX-License-Identifier: GPL-2.0-only
#include "cli/watch_command.hpp"

#include "cli/live.hpp"
#include "cli/publish.hpp"
#include "cli/terminal.hpp"
#include "core/advice.hpp"
#include "core/watch_history.hpp"
#include "privileges/privileges.hpp"
#include "report/watch_json.hpp"
#include "report/watch_report.hpp"
#include "run/environment.hpp"

#include <cerrno>
#include <cstdio>
#include <deque>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t history = 2; // windows: the last and the one that it is held against

struct CloseFile {
    void operator()(std::FILE *file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Result<void> write_line(std::FILE *file, const std::string &name, const std::string &text) {
    if (std::fputs((text + "\n").c_str(), file) < 0 || std::fflush(file) != 0)
        return fail_errno(name, errno);
    return {};
}

// Where windows go: to the terminal, to a pipe as lines or as JSON, to the file of --record, and into the page of
// --html.
class Outlet {
public:
    Outlet(const WatchCommand &command, File record, Publication files)
        : command_(command), record_(std::move(record)), files_(std::move(files)),
          style_(style_of_stdout(command.output)) {
        if (!command.output.json && command.output.verbosity >= 0 && LiveView::is_possible())
            live_.emplace(WatchView{.grouping = command.plan.watch.grouping, .filter = command.plan.filter_text},
                          style_);
    }

    // Until then, or until it is to end. The grouping can be changed by a key.
    [[nodiscard]] WatchControl wait_until(Clock::time_point then, const std::atomic<bool> &stop) {
        if (live_)
            return live_->wait_until(then, stop);
        sleep_until(then, stop);
        return {false, command_.plan.watch.grouping, 0};
    }

    Result<void> show(const WatchWindow &window) {
        windows_.push_back(window);
        if (windows_.size() > history)
            windows_.pop_front();
        totals_.add(window);
        std::vector<WatchWindow> recent(windows_.begin(), windows_.end());
        std::vector<Advice> advice = advise(window, totals_);
        if (files_.has_page()) {
            moments_.add(window);
            history_.add(window, advice);
        }
        if (record_ || command_.output.json) {
            std::string line = to_json(window, advice).dump();
            if (Result<void> kept = record(line); !kept)
                return kept;
            if (command_.output.json)
                return write_line(stdout, "standard output", line);
        }
        if (live_)
            live_->show(recent, advice);
        else if (command_.output.verbosity >= 0)
            return write_line(stdout, "standard output",
                              watch_lines(recent, advice, command_.plan.filter_text, style_));
        return {};
    }

    Result<void> show(const SlowPacket &packet) {
        if (files_.has_page())
            history_.add(packet);
        if (command_.output.json) {
            nlohmann::ordered_json line = {{"schema", "vethtrace.packet/1"}};
            line.update(to_json(packet));
            return write_line(stdout, "standard output", line.dump());
        }
        if (live_)
            live_->show(packet);
        else
            return write_line(stdout, "standard output", slow_packet_text(packet, style_));
        return {};
    }

    Result<void> close(const std::string &ended) {
        if (live_)
            live_.reset(); // gives the terminal back
        Environment environment = read_environment();
        WatchReport report{totals_, ended, environment, moments_.moments(), {}, {}, advise(totals_)};
        std::string line = to_json(report).dump();
        Result<void> kept = record(line);
        Result<void> written = files_.write({[&] { return to_json(report); },
                                             [&](const TextStyle &style) { return to_text(report, style); },
                                             [&] { return to_page(report, history_, command_.plan.filter_text); }});
        Result<void> shown = write_line(
            stdout, "standard output",
            command_.output.json ? line : watch_summary(totals_, ended, report.advice, room_option(report), style_));
        for (const Result<void> &done : {kept, written})
            if (!done)
                return done;
        return shown;
    }

private:
    Result<void> record(const std::string &line) {
        return record_ ? write_line(record_.get(), command_.plan.record, line) : Result<void>();
    }

    static constexpr std::size_t most_moments = 10;

    const WatchCommand &command_;
    File record_;
    Publication files_;
    TextStyle style_;
    std::optional<LiveView> live_;
    std::deque<WatchWindow> windows_;
    WatchTotals totals_;
    WatchMoments moments_{most_moments}; // these two for the page
    WatchHistory history_;
};

Result<File> open_record(const std::string &path) {
    if (path.empty())
        return File();
    File file(std::fopen(path.c_str(), "we"));
    if (!file)
        return fail_errno(path, errno);
    return file;
}

// Why it ended.
Result<std::string> run(Watcher &watcher, Outlet &outlet, const WatchPlan &plan, const std::atomic<bool> &stop) {
    Clock::time_point begun = Clock::now();
    Clock::time_point window_ends = begun + plan.interval;
    Clock::time_point refresh = begun + Watcher::between_refreshes;
    Result<void> shown;
    for (;;) {
        WatchControl control =
            outlet.wait_until(std::min({Clock::now() + Watcher::between_polls, window_ends, refresh}), stop);
        watcher.set_grouping(control.grouping);
        watcher.poll([&](const SlowPacket &packet) {
            if (shown)
                shown = outlet.show(packet);
        });
        bool over = plan.duration && Clock::now() >= begun + *plan.duration;
        bool ends = stop || control.quit || over;
        if (Clock::now() >= refresh && !ends) {
            refresh = Clock::now() + Watcher::between_refreshes;
            if (Result<void> refreshed = watcher.refresh(); !refreshed)
                return tl::unexpected(refreshed.error());
        }
        if (ends)
            watcher.detach(); // so that the last window's books are those of the end
        if (Clock::now() >= window_ends || ends) {
            // One that comes late is longer, and says so; it is not made up for.
            window_ends = std::max(window_ends + plan.interval, Clock::now());
            Result<WatchWindow> window = watcher.next_window();
            if (!window)
                return tl::unexpected(window.error());
            shown = shown.and_then([&] { return outlet.show(*window); });
        }
        if (!shown)
            return tl::unexpected(shown.error());
        if (watcher.gave_up())
            return *watcher.gave_up();
        if (ends)
            return over ? "--duration has passed" : control.quit ? "q was pressed" : "it was stopped";
    }
}

} // namespace

Result<void> watch(const WatchCommand &command) {
    if (Result<void> allowed = check_privileges(needs_of_watch()); !allowed)
        return allowed;
    Result<File> record = open_record(command.plan.record);
    if (!record)
        return tl::unexpected(record.error());
    Result<Publication> files = Publication::open(command.output);
    if (!files)
        return tl::unexpected(files.error());
    StopSignals stop;
    Result<std::unique_ptr<Watcher>> watcher = Watcher::open(command.plan.watch);
    if (!watcher)
        return tl::unexpected(watcher.error());
    lower_privileges({Purpose::tracing, Purpose::looking});
    Outlet outlet(command, std::move(*record), std::move(*files));
    Result<std::string> ended = run(**watcher, outlet, command.plan, stop.requested());
    Result<void> closed = outlet.close(ended ? *ended : ended.error().text());
    return ended ? closed : tl::unexpected(ended.error());
}

} // namespace vethtrace
