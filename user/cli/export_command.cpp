// SPDX-License-Identifier: GPL-2.0-only
#include "cli/export_command.hpp"

#include "cli/live.hpp"
#include "cli/terminal.hpp"
#include "export/http_server.hpp"
#include "export/metrics_text.hpp"
#include "export/pages.hpp"
#include "export/textfile.hpp"
#include "privileges/privileges.hpp"
#include "run/environment.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace vethtrace {

namespace {

using Clock = std::chrono::steady_clock;

// So late may a window be before the exporter calls itself ill.
constexpr int missed_windows = 3;
constexpr std::chrono::seconds at_least_fresh_for(10);

// From windows to metrics, and to where they are shown.
class Exporter {
public:
    Exporter(const ExportPlan &plan, Watcher &watcher, HttpServer *server)
        : watcher_(watcher), server_(server), exposition_(plan.series), textfile_(plan.textfile),
          has_textfile_(!plan.textfile.empty()),
          pages_(std::max<std::chrono::nanoseconds>(missed_windows * plan.watch.interval, at_least_fresh_for)) {
        Environment environment = read_environment();
        state_.version = environment.tool;
        state_.libbpf = environment.libbpf;
        state_.kernel = environment.kernel;
        state_.max_overhead = plan.watch.watch.max_overhead;
    }

    [[nodiscard]] const ExportPages &pages() const { return pages_; }

    // What fails here may well go right in a second, so it is counted, and told once.
    void refresh() {
        Result<void> refreshed = watcher_.refresh();
        if (refreshed)
            return;
        if (state_.failed_looks++ == 0)
            (void)std::fputs(fmt::format("vethtrace: looking for containers: {}\n", refreshed.error().text()).c_str(),
                             stderr);
    }

    Result<void> next_window() {
        Result<WatchWindow> window = watcher_.next_window();
        if (!window)
            return tl::unexpected(window.error());
        exposition_.add(*window);
        state_.watching = !watcher_.gave_up();
        state_.missed = watcher_.missed();
        if (server_ != nullptr) {
            HttpCounts counts = server_->counts();
            state_.answers = std::move(counts.answers);
            state_.cut_connections = counts.cut;
        }
        state_.resident_bytes = resident_bytes();
        state_.cost = read_own_cost();
        std::string text = metrics_text(exposition_, state_);
        if (has_textfile_)
            write(text);
        pages_.publish(std::move(text), watcher_.gave_up());
        return {};
    }

    // Before there is anything to tell: a file that cannot be written is the user's mistake now, and later on a full
    // disk.
    Result<void> try_textfile() { return has_textfile_ ? textfile_.try_to_write() : Result<void>(); }

private:
    // A disk that is full now may have room in a second, so that is counted, and told once. Meanwhile the file stays as
    // it was, and its age shows that it is old.
    void write(const std::string &text) {
        Result<void> written = textfile_.write(text);
        if (written)
            return;
        if (state_.failed_textfile_writes++ == 0)
            (void)std::fputs(fmt::format("vethtrace: writing metrics: {}\n", written.error().text()).c_str(), stderr);
    }

    Watcher &watcher_;
    HttpServer *server_; // null: nobody asks
    Exposition exposition_;
    ExporterState state_;
    Textfile textfile_;
    bool has_textfile_;
    ExportPages pages_;
};

// Until it is stopped, or something goes wrong for good.
Result<void> run(Exporter &exporter, Watcher &watcher, const WatchPlan &plan, const std::atomic<bool> &stop) {
    Clock::time_point begun = Clock::now();
    Clock::time_point window_ends = begun + plan.interval;
    Clock::time_point refresh = begun + Watcher::between_refreshes;
    bool told = false;
    for (;;) {
        sleep_until(std::min({Clock::now() + Watcher::between_polls, window_ends, refresh}), stop);
        watcher.poll([](const SlowPacket &) {});
        if (stop || (plan.duration && Clock::now() >= begun + *plan.duration))
            return {};
        if (Clock::now() >= refresh) {
            refresh = Clock::now() + Watcher::between_refreshes;
            exporter.refresh();
        }
        if (Clock::now() < window_ends)
            continue;
        window_ends = std::max(window_ends + plan.interval, Clock::now());
        if (Result<void> shown = exporter.next_window(); !shown)
            return shown;
        if (watcher.gave_up() && !std::exchange(told, true))
            (void)std::fputs(fmt::format("vethtrace: nothing is followed any more: {}\n", *watcher.gave_up()).c_str(),
                             stderr);
    }
}

} // namespace

Result<void> export_metrics(const ExportCommand &command) {
    const ExportPlan &plan = command.plan;
    if (Result<void> allowed = check_privileges(needs_of_watch()); !allowed)
        return allowed;
    std::unique_ptr<HttpServer> server;
    if (plan.listen) { // first: a port that is taken is told before anything is loaded
        Result<std::unique_ptr<HttpServer>> listening = HttpServer::listen(*plan.listen);
        if (!listening)
            return tl::unexpected(listening.error());
        server = std::move(*listening);
    }
    StopSignals stop;
    Result<std::unique_ptr<Watcher>> watcher = Watcher::open(plan.watch.watch);
    if (!watcher)
        return tl::unexpected(watcher.error());
    lower_privileges({Purpose::tracing, Purpose::looking});
    Exporter exporter(plan, **watcher, server.get());
    // So that there is something to show from the start.
    Result<void> ready = exporter.try_textfile().and_then([&] { return exporter.next_window(); }).and_then([&] {
        return server ? server->serve([&](const std::string &path) { return exporter.pages().page(path); })
                      : Result<void>();
    });
    if (!ready)
        return ready;
    if (server && command.output.verbosity >= 0) {
        (void)std::fputs(fmt::format("http://{}/metrics\n", text_of(server->address())).c_str(), stdout);
        (void)std::fflush(stdout);
    }
    Result<void> ended = run(exporter, **watcher, plan.watch, stop.requested());
    server.reset(); // before what it shows
    return ended;
}

} // namespace vethtrace
