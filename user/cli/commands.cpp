// SPDX-License-Identifier: GPL-2.0-only
#include "cli/commands.hpp"

#include "cli/command_in_lab.hpp"
#include "cli/explain_command.hpp"
#include "cli/export_command.hpp"
#include "cli/publish.hpp"
#include "cli/report_command.hpp"
#include "cli/terminal.hpp"
#include "cli/watch_command.hpp"
#include "hooks/features.hpp"
#include "input/stored.hpp"
#include "lab/kept.hpp"
#include "lab/ownership.hpp"
#include "privileges/privileges.hpp"
#include "run/environment.hpp"

#include <cstdio>
#include <fmt/format.h>

namespace vethtrace {

namespace {

Exit failed(const Error &error) {
    print_error(error);
    return error.exit;
}

// Measures something, and shows it. `measure` is given what ends it early and the line of progress.
template<typename Measure>
Exit show_measured(const OutputOptions &output, Measure measure) {
    if (Result<void> allowed = check_privileges(needs_of_run()); !allowed)
        return failed(allowed.error());
    Result<Publication> to = Publication::open(output);
    if (!to)
        return failed(to.error());
    StopSignals stop;
    ProgressLine progress(output);
    auto result = measure(stop.requested(), progress);
    progress.clear();
    if (!result)
        return failed(result.error());
    if (Result<void> published = to->publish(shown(*result)); !published)
        return failed(published.error());
    return result->valid ? Exit::good : Exit::invalid;
}

Exit execute(const RunCommand &command) {
    RunOptions run = command.run;
    run.lower_privileges = true;
    return show_measured(command.output, [&](const std::atomic<bool> &stop, const ProgressLine &progress) {
        return run_lab(run, stop, [&](const std::string &step) { progress.show(step); });
    });
}

Exit execute(const InLabCommand &command) {
    Result<Exit> exit = run_command_in_lab(command);
    return exit ? *exit : failed(exit.error());
}

// How far a comparison is, as a bar with the time to go.
std::string progress_text(const CompareProgress &progress) {
    constexpr std::uint64_t width = 24;
    std::uint64_t done = (progress.round - 1) * width / progress.rounds;
    std::string left = progress.left ? fmt::format(", at most {} s to go", progress.left->count()) : "";
    return fmt::format("[{:#<{}}{:.<{}}] round {} of {}{}: {}", "", done, "", width - done, progress.round,
                       progress.rounds, left, progress.mode);
}

Exit execute(const CompareCommand &command) {
    return show_measured(command.output, [&](const std::atomic<bool> &stop, const ProgressLine &progress) {
        return compare_modes(command.compare, stop,
                             [&](const CompareProgress &now) { progress.show(progress_text(now)); });
    });
}

Exit execute(const ExplainCommand &command) {
    if (command.live)
        return show_measured(command.output, [&](const std::atomic<bool> &stop, const ProgressLine &progress) {
            return explain_modes(command, stop, [&](const std::string &step) { progress.show(step); });
        });
    Result<Publication> to = Publication::open(command.output);
    if (!to)
        return failed(to.error());
    StopSignals stop;
    Result<ExplainResult> result = explain_modes(command, stop.requested(), [](const std::string &) {});
    if (!result)
        return failed(result.error());
    if (Result<void> published = to->publish(shown(*result)); !published)
        return failed(published.error());
    return Exit::good;
}

Exit execute(const DiffCommand &command) {
    StoredResult before{command.before, {}};
    StoredResult after{command.after, {}};
    for (StoredResult *stored : {&before, &after}) {
        Result<Stored> read = read_stored(stored->name);
        if (!read)
            return failed(read.error());
        stored->result = std::move(*read);
    }
    Result<DiffResult> result = diff(before, after, command.diff);
    if (!result)
        return failed(result.error());
    Result<Publication> to = Publication::open(command.output);
    if (!to)
        return failed(to.error());
    if (Result<void> published = to->publish(shown(*result)); !published)
        return failed(published.error());
    return result->over.empty() ? Exit::good : Exit::regressed;
}

Exit execute(const RrServeCommand &command) {
    StopSignals stop;
    Result<void> served = serve_rr(command.server, stop.requested(), [](const std::string &where) {
        (void)print(fmt::format("serving TCP_RR at {}, until Ctrl-C\n", where));
    });
    return served ? Exit::good : failed(served.error());
}

Exit execute(const RrRunCommand &command) {
    Result<Publication> to = Publication::open(command.output);
    if (!to)
        return failed(to.error());
    StopSignals stop;
    ProgressLine progress(command.output);
    progress.show("asking");
    Result<RrResult> result = run_rr(command.rr, stop.requested());
    progress.clear();
    if (!result)
        return failed(result.error());
    result->environment = read_environment();
    if (Result<void> published = to->publish(shown(*result)); !published)
        return failed(published.error());
    return Exit::good;
}

Exit execute(const WatchCommand &command) {
    Result<void> watched = watch(command);
    return watched ? Exit::good : failed(watched.error());
}

Exit execute(const ExportCommand &command) {
    Result<void> exported = export_metrics(command);
    return exported ? Exit::good : failed(exported.error());
}

Exit execute(const FeaturesCommand &command) {
    if (Result<void> allowed = check_privileges(needs_of_features()); !allowed)
        return failed(allowed.error());
    Result<Publication> to = Publication::open(command.output);
    if (!to)
        return failed(to.error());
    Result<Features> features = Features::read();
    if (!features)
        return failed(features.error());
    std::vector<Choice> choices = features->choose_all(all_ladders(), command.denied);
    Environment environment = read_environment();
    if (Result<void> published = to->publish(shown(choices, environment)); !published)
        return failed(published.error());
    return Exit::good;
}

Exit execute(const ReportCommand &command) {
    Result<void> shown = report(command);
    return shown ? Exit::good : failed(shown.error());
}

Exit execute(const LabCommand &command) {
    if (Result<void> allowed = check_privileges(needs_of_lab()); !allowed)
        return failed(allowed.error());
    switch (command.action) {
    case LabCommand::Action::up: {
        Result<std::string> shown = keep_lab(command.mode);
        if (!shown)
            return failed(shown.error());
        if (Result<void> printed = print(*shown); !printed)
            return failed(printed.error());
        return Exit::good;
    }
    case LabCommand::Action::exec:
        // Comes back only if it could not be started.
        return failed(execute_in_kept_lab(command.part, command.command_line));
    case LabCommand::Action::down:
        if (Result<void> gone = remove_kept_lab(); !gone)
            return failed(gone.error());
        return Exit::good;
    case LabCommand::Action::gc: {
        Result<std::vector<std::string>> removed = collect_garbage();
        if (!removed)
            return failed(removed.error());
        std::string text;
        for (const std::string &lab : *removed)
            text += fmt::format("removed {}\n", lab);
        if (Result<void> printed = print(text); !printed)
            return failed(printed.error());
        return Exit::good;
    }
    }
    return Exit::failed;
}

Exit execute(const ShowText &command) {
    if (Result<void> printed = print(command.text); !printed)
        return failed(printed.error());
    return Exit::good;
}

} // namespace

Exit execute(const Command &command) {
    return std::visit([](const auto &which) { return execute(which); }, command);
}

void print_error(const Error &error) {
    // Not by fmt::print, which throws if nobody can be told.
    std::string text = fmt::format("vethtrace: {}\n", error.text());
    if (!error.hint.empty())
        text += fmt::format("  hint: {}\n", error.hint);
    (void)std::fputs(text.c_str(), stderr);
}

} // namespace vethtrace
