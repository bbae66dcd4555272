// SPDX-License-Identifier: GPL-2.0-only
#include "cli/report_command.hpp"
#include "core/advice.hpp"

#include "cli/publish.hpp"
#include "cli/replay.hpp"
#include "core/watch_history.hpp"
#include "input/recording.hpp"
#include "input/stored.hpp"
#include "report/csv.hpp"
#include "report/folded.hpp"
#include "report/watch_report.hpp"

#include <fmt/format.h>

namespace vethtrace {

namespace {

// ---- folded stacks, of those that have stages with times

template<typename... Subject>
constexpr const char *no_stacks = nullptr;
template<>
constexpr const char *no_stacks<DiffResult> = "a diff has changes, and some of them are negative; "
                                              "`vethtrace report --folded` of both of its results can be compared";
template<>
constexpr const char *no_stacks<RrResult> = "TCP_RR between two machines knows nothing of stages; "
                                            "`vethtrace watch` sees them on the way";
template<>
constexpr const char *no_stacks<std::vector<Choice>, Environment> = "it tells of hooks, and has no times";

template<typename... Subject>
Result<std::string> folded(const ReportCommand &command, const Subject &...subject) {
    if constexpr (no_stacks<Subject...> != nullptr)
        return tl::unexpected(
            Error{"--folded", fmt::format("is nothing for {}", command.file), no_stacks<Subject...>, Exit::usage});
    else
        return to_folded(subject...);
}

// ---- the forms

// A form that replaces what is printed.
bool has_other_form(const ReportCommand &command) {
    return !command.output.html.empty() || !command.csv.empty() || !command.folded.empty();
}

// Opened before the result is read: see ResultFile.
struct Forms {
    Publication publication;
    ResultFile csv;
    ResultFile folded;

    static Result<Forms> open(const ReportCommand &command) {
        Result<Publication> publication = Publication::open(command.output);
        if (!publication)
            return tl::unexpected(publication.error());
        Result<ResultFile> csv = ResultFile::open(command.csv, "--csv");
        if (!csv)
            return tl::unexpected(csv.error());
        return ResultFile::open(command.folded, "--folded").map([&](ResultFile stacks) {
            return Forms{std::move(*publication), std::move(*csv), std::move(stacks)};
        });
    }
};

template<typename... Subject>
Result<void> show(const ReportCommand &command, const Subject &...subject) {
    Result<std::string> stacks;
    if (!command.folded.empty())
        stacks = folded(command, subject...);
    if (!stacks)
        return tl::unexpected(stacks.error());
    Result<Forms> forms = Forms::open(command);
    if (!forms)
        return tl::unexpected(forms.error());
    Shown all = shown(subject...);
    if (!has_other_form(command))
        return forms->publication.publish(all);
    return forms->publication.write(all)
        .and_then([&] { return forms->csv.is_wanted() ? forms->csv.write(to_csv(subject...)) : Result<void>(); })
        .and_then([&] { return forms->folded.write(*stacks); });
}

Result<void> show(const ReportCommand &command, const StoredFeatures &features) {
    return show(command, features.choices, features.environment);
}

// ---- recordings

// Window by window, as it is read.
class RecordingReader {
public:
    RecordingReader(const ReportCommand &command, Forms &forms) : command_(command), forms_(forms) {}

    Result<WatchRecording> read() {
        Result<void> written = forms_.csv.is_wanted() ? forms_.csv.append(watch_csv_heading()) : Result<void>();
        Result<WatchRecording> recording = WatchRecording::open(command_.file, [&](const WatchWindow &window) {
            moments_.add(window);
            if (!command_.output.html.empty())
                history_.add(window, advise(window));
            if (forms_.csv.is_wanted() && written)
                written = forms_.csv.append(to_csv(window));
        });
        if (!written)
            return tl::unexpected(written.error());
        return recording;
    }

    [[nodiscard]] std::vector<WatchMoment> moments() const { return moments_.moments(); }
    [[nodiscard]] const WatchHistory &history() const { return history_; }

private:
    static constexpr std::size_t most_moments = 10;

    const ReportCommand &command_;
    Forms &forms_;
    WatchMoments moments_{most_moments};
    WatchHistory history_;
};

Result<void> report_recording(const ReportCommand &command) {
    Result<Forms> forms = Forms::open(command);
    if (!forms)
        return tl::unexpected(forms.error());
    RecordingReader reader(command, *forms);
    Result<WatchRecording> recording = reader.read();
    if (!recording)
        return tl::unexpected(recording.error());
    if (command.replay) {
        StopSignals stop;
        return replay(*recording, command, stop.requested());
    }
    const WatchTotals &totals = recording->totals();
    WatchReport whole{totals,           recording->ended(),   recording->environment(),
                      reader.moments(), recording->remarks(), recording->lab(),
                      advise(totals)};
    Shown all{[&] { return to_json(whole); }, [&](const TextStyle &style) { return to_text(whole, style); },
              [&] { return to_page(whole, reader.history()); }};
    if (!has_other_form(command))
        return forms->publication.publish(all);
    if (forms->csv.is_wanted() && recording->size() == 0) // nothing but the line that sums up
        if (Result<void> written = forms->csv.append(to_csv(totals)); !written)
            return written;
    return forms->publication.write(all).and_then([&] { return forms->csv.finish(); }).and_then([&] {
        return forms->folded.is_wanted() ? forms->folded.write(to_folded(totals)) : Result<void>();
    });
}

} // namespace

Result<void> report(const ReportCommand &command) {
    if (is_recording(command.file))
        return report_recording(command);
    if (command.replay)
        return tl::unexpected(Error{"--replay", "is for what `vethtrace watch --record FILE` has recorded",
                                    "without it, `vethtrace report` shows other results as well", Exit::usage});
    Result<AnyResult> result = read_any(command.file);
    if (!result)
        return tl::unexpected(result.error());
    return std::visit([&](const auto &which) { return show(command, which); }, *result);
}

} // namespace vethtrace
