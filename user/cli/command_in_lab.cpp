// SPDX-License-Identifier: GPL-2.0-only
#include "cli/command_in_lab.hpp"

#include "cli/live.hpp"
#include "cli/publish.hpp"
#include "cli/terminal.hpp"
#include "core/advice.hpp"
#include "core/watch_history.hpp"
#include "lab/lab.hpp"
#include "lab/ownership.hpp"
#include "lab/setup.hpp"
#include "lab/shell.hpp"
#include "privileges/privileges.hpp"
#include "report/watch_report.hpp"
#include "run/environment.hpp"
#include "watch/watcher.hpp"

#include "lab_layout.h"

#include <cerrno>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

namespace vethtrace {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds between_looks(50);
constexpr std::chrono::seconds window_length(1);

// Whether any of its network namespace's sockets waits for clients.
bool is_serving(pid_t pid) {
    for (std::string_view table : {"tcp", "tcp6", "udp", "udp6"}) {
        constexpr std::string_view listening = " 0A ";
        std::ifstream file(fmt::format("/proc/{}/net/{}", pid, table));
        std::string line;
        std::getline(file, line); // the heading
        while (std::getline(file, line))
            if (table.starts_with("udp") || line.find(listening) != std::string::npos)
                return true;
    }
    return false;
}

class InLab {
public:
    InLab(const InLabCommand &command, const std::atomic<bool> &stop) : command_(command), stop_(stop) {}

    // Why it is over; what was seen until then is in totals().
    Result<std::string> run() {
        return build().and_then([&] { return watch(); }).and_then([&] { return run_commands(); });
    }

    [[nodiscard]] const WatchTotals &totals() const { return totals_; }
    [[nodiscard]] const WatchHistory &history() const { return history_; } // for --html
    [[nodiscard]] bool failed() const { return failed_; }

private:
    Result<void> build() {
        if (Result<std::vector<std::string>> collected = collect_garbage(); !collected)
            return tl::unexpected(collected.error());
        Result<std::unique_ptr<Lab>> lab = Lab::build(command_.mode, command_.topology);
        if (!lab)
            return tl::unexpected(lab.error());
        lab_ = std::move(*lab);
        return command_.setup.empty() ? Result<void>() : run_setup(lab_->host().fd(), lab_->name(), command_.setup);
    }

    // From the lab's host, which is what a node is elsewhere.
    Result<void> watch() {
        Result<InNamespace> host = InNamespace::enter(lab_->host().fd());
        if (!host)
            return tl::unexpected(host.error());
        host->stay();
        WatchOptions options;
        for (const Netns *end : containers())
            options.selection.netns.emplace_back(NetnsName{end->name()});
        options.selection.uplinks = {int{layout::LAB_IFINDEX} + layout::ROLE_UPLINK};
        options.sample = command_.sample;
        options.max_overhead = command_.max_overhead;
        options.denied = command_.denied;
        Result<std::unique_ptr<Watcher>> watcher = Watcher::open(options);
        if (!watcher)
            return tl::unexpected(watcher.error());
        watcher_ = std::move(*watcher);
        return {};
    }

    // The server of a wire is another machine. Where the client is the host itself, that machine has to do: seen from
    // its uplink it is like a container.
    [[nodiscard]] std::vector<const Netns *> containers() const {
        if (command_.topology == Topology::local)
            return {&lab_->client(), &lab_->server()};
        return {&lab_->client() == &lab_->host() ? &lab_->server() : &lab_->client()};
    }

    Result<ShellCommand> start(const Netns &where, const std::string &command, const char *option) {
        return ShellCommand::start(
            where.fd(), command,
            {.object = fmt::format("{} '{}'", option, command),
             .variables = {"VETHTRACE_PEER=" + lab_->server_address(), "VETHTRACE_LAB=" + lab_->name()},
             .own_group = true});
    }

    Result<std::string> run_commands() {
        std::optional<ShellCommand> server;
        if (!command_.peer_command.empty()) {
            Result<ShellCommand> started = start(lab_->server(), command_.peer_command, "--peer-cmd");
            if (!started)
                return tl::unexpected(started.error());
            server.emplace(std::move(*started));
            if (Result<void> ready = wait_for(*server); !ready)
                return tl::unexpected(ready.error());
        }
        Result<ShellCommand> client = start(lab_->client(), command_.command, "--cmd");
        if (!client)
            return tl::unexpected(client.error());
        lower_privileges({Purpose::tracing, Purpose::looking, Purpose::removing});
        Result<std::string> ended = follow(*client);
        client->end();
        if (server)
            server->end();
        watcher_->detach();
        Result<void> last = take_window();
        return last ? ended : tl::unexpected(last.error());
    }

    // Until the server has a socket: what comes sooner would be refused.
    Result<void> wait_for(ShellCommand &server) const {
        constexpr std::chrono::seconds patience(5);
        for (Clock::time_point until = Clock::now() + patience; Clock::now() < until && !stop_;) {
            if (is_serving(server.pid()))
                return {};
            if (std::optional<Result<void>> ended = server.ended()) {
                Error error{"--peer-cmd", "ended before it had a socket", "it is to serve until --cmd has ended"};
                return tl::unexpected(*ended ? error : ended->error());
            }
            sleep_until(Clock::now() + between_looks, stop_);
        }
        return {};
    }

    Result<std::string> follow(ShellCommand &client) {
        Clock::time_point begun = Clock::now();
        Clock::time_point window_ends = begun + window_length;
        Clock::time_point refresh = begun;
        for (;;) {
            sleep_until(Clock::now() + between_looks, stop_);
            watcher_->poll([](const SlowPacket &) {});
            if (std::optional<Result<void>> ended = client.ended()) {
                failed_ = !*ended;
                return *ended ? "--cmd has ended" : (*ended).error().text();
            }
            if (stop_)
                return "it was stopped";
            if (command_.duration && Clock::now() >= begun + *command_.duration)
                return "--duration has passed";
            if (Clock::now() >= refresh) { // processes come into the lab's namespaces
                refresh = Clock::now() + Watcher::between_refreshes;
                if (Result<void> refreshed = watcher_->refresh(); !refreshed)
                    return tl::unexpected(refreshed.error());
            }
            if (Clock::now() < window_ends)
                continue;
            window_ends = Clock::now() + window_length;
            if (Result<void> taken = take_window(); !taken)
                return tl::unexpected(taken.error());
            if (watcher_->gave_up())
                return *watcher_->gave_up();
        }
    }

    Result<void> take_window() {
        Result<WatchWindow> window = watcher_->next_window();
        if (!window)
            return tl::unexpected(window.error());
        totals_.add(*window);
        if (!command_.output.html.empty())
            history_.add(*window, advise(*window, totals_));
        return {};
    }

    const InLabCommand &command_;
    const std::atomic<bool> &stop_;
    std::unique_ptr<Lab> lab_;
    std::unique_ptr<Watcher> watcher_;
    WatchTotals totals_;
    WatchHistory history_;
    bool failed_ = false;
};

CommandInLab watched(const InLabCommand &command) {
    return {std::string(name_of(command.mode)), std::string(name_of(command.topology)), command.command,
            command.peer_command};
}

} // namespace

Result<Exit> run_command_in_lab(const InLabCommand &command) {
    for (std::span<const Need> needs : {needs_of_run(), needs_of_watch()})
        if (Result<void> allowed = check_privileges(needs); !allowed)
            return tl::unexpected(allowed.error());
    Result<Publication> to = Publication::open(command.output);
    if (!to)
        return tl::unexpected(to.error());
    StopSignals stop;
    InLab lab(command, stop.requested());
    Result<std::string> ended = lab.run();
    if (!ended)
        return tl::unexpected(ended.error());

    Environment environment = read_environment();
    WatchReport report{lab.totals(), *ended, environment, {}, {}, watched(command), advise(lab.totals())};
    Result<void> published =
        to->publish({[&] { return to_json(report); }, [&](const TextStyle &style) { return to_text(report, style); },
                     [&] { return to_page(report, lab.history()); }});
    if (!published)
        return tl::unexpected(published.error());
    return lab.failed() || !lab.totals().conservation().balanced() ? Exit::invalid : Exit::good;
}

} // namespace vethtrace
