// SPDX-License-Identifier: GPL-2.0-only
#include "cli/commands.hpp"

#include "cli/command_in_lab.hpp"
#include "cli/explain_command.hpp"
#include "cli/export_command.hpp"
#include "cli/replay.hpp"
#include "cli/result_file.hpp"
#include "cli/terminal.hpp"
#include "cli/watch_command.hpp"
#include "hooks/features.hpp"
#include "input/stored.hpp"
#include "lab/kept.hpp"
#include "lab/ownership.hpp"
#include "privileges/privileges.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "report/watch_report.hpp"
#include "run/environment.hpp"

#include <cerrno>
#include <cstdio>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

Exit failed(const Error &error) {
    print_error(error);
    return error.exit;
}

Result<void> print(const std::string &text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        return fail_errno("standard output", errno, "with -o FILE the result goes to a file as well");
    return {};
}

// JSON or the table to stdout, JSON to the file.
template<typename... Subject>
Result<void> publish(const OutputOptions &output, ResultFile &file, const Subject &...subject) {
    std::string json = to_text(to_json(subject...), output.pretty);
    std::string shown = output.json ? json + "\n" : to_text(subject..., style_of_stdout(output));
    // Whatever becomes of one, the other is not lost.
    Result<void> written = file.write(json + "\n");
    Result<void> printed = print(shown);
    return written ? printed : written;
}

// Measures something, and shows it. `measure` is given what ends it early and the line of progress.
template<typename Measure>
Exit show_measured(const OutputOptions &output, Measure measure) {
    if (Result<void> allowed = check_privileges(needs_of_run()); !allowed)
        return failed(allowed.error());
    Result<ResultFile> file = ResultFile::open(output.file);
    if (!file)
        return failed(file.error());
    StopSignals stop;
    ProgressLine progress(output);
    auto result = measure(stop.requested(), progress);
    progress.clear();
    if (!result)
        return failed(result.error());
    if (Result<void> published = publish(output, *file, *result); !published)
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
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    StopSignals stop;
    Result<ExplainResult> result = explain_modes(command, stop.requested(), [](const std::string &) {});
    if (!result)
        return failed(result.error());
    Result<void> published = publish(command.output, *file, *result);
    return published ? Exit::good : failed(published.error());
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
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    if (Result<void> published = publish(command.output, *file, *result); !published)
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
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    StopSignals stop;
    ProgressLine progress(command.output);
    progress.show("asking");
    Result<RrResult> result = run_rr(command.rr, stop.requested());
    progress.clear();
    if (!result)
        return failed(result.error());
    result->environment = read_environment();
    if (Result<void> published = publish(command.output, *file, *result); !published)
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
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    Result<Features> features = Features::read();
    if (!features)
        return failed(features.error());
    std::vector<Choice> choices = features->choose_all(all_ladders(), command.denied);
    if (Result<void> published = publish(command.output, *file, choices, read_environment()); !published)
        return failed(published.error());
    return Exit::good;
}

Exit report_recording(const ReportCommand &command) {
    constexpr std::size_t most_moments = 10;
    WatchMoments moments(most_moments);
    Result<WatchRecording> recording =
        WatchRecording::open(command.file, [&](const WatchWindow &window) { moments.add(window); });
    if (!recording)
        return failed(recording.error());
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    if (command.replay) {
        StopSignals stop;
        Result<void> played = replay(*recording, command, stop.requested());
        return played ? Exit::good : failed(played.error());
    }
    WatchReport report{recording->totals(), recording->ended(), recording->environment(), moments.moments(),
                       recording->remarks()};
    Result<void> published = publish(command.output, *file, report);
    return published ? Exit::good : failed(published.error());
}

Exit execute(const ReportCommand &command) {
    if (is_recording(command.file))
        return report_recording(command);
    if (command.replay)
        return failed({"--replay", "is for what `vethtrace watch --record FILE` has recorded",
                       "without it, `vethtrace report` shows other results as well", Exit::usage});
    Result<Stored> result = read_stored(command.file);
    if (!result)
        return failed(result.error());
    Result<ResultFile> file = ResultFile::open(command.output.file);
    if (!file)
        return failed(file.error());
    auto show = [&](const auto &which) { return publish(command.output, *file, which); };
    if (Result<void> published = std::visit(show, *result); !published)
        return failed(published.error());
    return Exit::good;
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
