// SPDX-License-Identifier: GPL-2.0-only
//
// Everything that is read from outside, fed with whatever libFuzzer can think of. VETHTRACE_FUZZ says which kind: one
// program for all, so that what they share is compiled once.
#include "input/filter.hpp"
#include "input/recording.hpp"
#include "input/stored.hpp"
#include "input/target.hpp"
#include "page/page.hpp"
#include "report/csv.hpp"
#include "report/folded.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "report/watch_json.hpp"
#include "report/watch_report.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

using namespace vethtrace;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

bool is_plain(std::string_view text) {
    return text.find('\033') == std::string_view::npos && text.find('\0') == std::string_view::npos;
}

// Whatever stands in a result, its page has as many scripts and styles as the program gives it, and nothing else runs.
void require_inert(const std::string &page) {
    auto count = [&](std::string_view part) {
        std::size_t found = 0;
        for (std::size_t at = page.find(part); at != std::string::npos; at = page.find(part, at + 1))
            ++found;
        return found;
    };
    std::size_t scripts = count("<script");
    require((scripts == 5 || scripts == 2) && count("</script>") == scripts);
    require(count("<style") == 1 && count("<!--") == 0 && is_plain(page));
}

// Each line of a table has as many cells; text that is quoted may hold anything.
void require_even(const std::string &csv) {
    std::size_t columns = 0;
    std::size_t cells = 1;
    bool quoted = false;
    for (char letter : csv) {
        quoted = quoted != (letter == '"');
        cells += !quoted && letter == ',' ? 1 : 0;
        if (quoted || letter != '\n')
            continue;
        require(columns == 0 || cells == columns);
        columns = cells;
        cells = 1;
    }
}

// What was accepted can be shown, and comes back from the file that it would be written to as it is.
void measured(const Stored &result) {
    TextStyle wide;
    wide.width = 200;
    wide.verbosity = 1;
    auto json = [](const auto &which) { return to_text(to_json(which), false); };
    std::string once = std::visit(json, result);
    Result<Stored> again = parse_stored("fuzz", once);
    require(again.has_value());
    std::visit([](const auto &which) { require(to_folded(which).find('\0') == std::string::npos); }, result);
    Result<DiffResult> nothing = diff({"before", result}, {"after", *again}, {.threshold = 0.01, .allowed = 0.05});
    require(nothing.has_value() && is_plain(to_text(*nothing, wide)));
    require_inert(to_page(*nothing));
    Result<AnyResult> read = parse_any("fuzz", to_text(to_json(*nothing), false));
    require(read.has_value() && std::holds_alternative<DiffResult>(*read));
    require(std::visit(json, *again) == once);
}

void stored(std::string_view text) {
    Result<AnyResult> result = parse_any("fuzz", text);
    if (!result) {
        require(is_plain(result.error().text()));
        return;
    }
    TextStyle wide;
    wide.width = 200;
    wide.verbosity = 1;
    auto show = [&](const auto &...which) {
        require(is_plain(to_text(which..., wide)));
        require_inert(to_page(which...));
        require_even(to_csv(which...));
        require(parse_any("fuzz", to_text(to_json(which...), false)).has_value());
    };
    if (const auto *features = std::get_if<StoredFeatures>(&*result))
        return show(features->choices, features->environment);
    if (const auto *changes = std::get_if<DiffResult>(&*result))
        return show(*changes);
    if (const auto *between = std::get_if<RrResult>(&*result))
        return show(*between);
    if (const auto *run = std::get_if<RunResult>(&*result)) {
        show(*run);
        measured(*run);
    } else if (const auto *comparison = std::get_if<CompareResult>(&*result)) {
        show(*comparison);
        measured(*comparison);
    }
}

// The same of a recording: each window can be shown, and is written as it was read.
void recording(std::string_view text) {
    TextStyle narrow;
    narrow.width = 60;
    WatchMoments moments(3);
    WatchHistory history(4);
    std::string csv = watch_csv_heading();
    std::string once;
    std::vector<WatchWindow> windows;
    auto take = [&](const WatchWindow &window) {
        std::vector<Advice> advice = advise(window);
        once += to_json(window, advice).dump() + "\n";
        windows.push_back(window);
        for (const std::string &line : watch_frame(windows, advice, window.slowest, {}, narrow, 20))
            require(is_plain(line));
        require(is_plain(watch_lines(windows, advice, "", narrow)));
        moments.add(window);
        history.add(window, advice);
        csv += to_csv(window);
    };
    Result<WatchRecording> read =
        WatchRecording::read("fuzz", std::make_unique<std::istringstream>(std::string(text)), take);
    if (!read)
        return require(is_plain(read.error().text()));
    WatchReport report{read->totals(),    read->ended(),   read->environment(),
                       moments.moments(), read->remarks(), read->lab()};
    require(is_plain(to_text(report, narrow)) && !to_json(report).dump().empty());
    require_inert(to_page(report, history));
    require_even(csv + to_csv(read->totals()));
    require(history.points().size() <= 4 && to_folded(read->totals()).find('\0') == std::string::npos);
    if (windows.empty())
        return; // nothing but the line that sums up
    std::string twice;
    Result<WatchRecording> again =
        WatchRecording::read("fuzz", std::make_unique<std::istringstream>(once), [&](const WatchWindow &window) {
            twice += to_json(window, advise(window)).dump() + "\n";
        });
    require(again.has_value() && twice == once);
}

void filter(std::string_view text) {
    if (Result<Prefix> prefix = parse_prefix(text); prefix)
        require(prefix->bits <= (prefix->family == 4 ? 32U : 128U));
    else
        require(is_plain(prefix.error().text()));
    if (Result<std::chrono::nanoseconds> duration = parse_duration(text); duration)
        require(duration->count() > 0 && *duration <= std::chrono::hours(1));
    else
        require(is_plain(duration.error().text()));
}

void netns(std::string_view text) {
    Result<NetnsTarget> target = parse_netns(text);
    if (!target)
        return require(is_plain(target.error().text()));
    if (const auto *name = std::get_if<NetnsName>(&*target))
        require(name->name.find('/') == std::string::npos && name->name != "." && name->name != "..");
}

void container(std::string_view text) {
    Result<std::string> name = parse_container(text);
    require(name ? *name == text && is_plain(*name) : is_plain(name.error().text()));
}

void ports(std::string_view text) {
    Result<std::vector<PortRange>> ranges = parse_ports(text);
    if (!ranges)
        return require(is_plain(ranges.error().text()));
    for (const PortRange &range : *ranges)
        require(range.first >= 1 && range.first <= range.last);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    static const std::string_view kind = std::getenv("VETHTRACE_FUZZ") == nullptr ? "" : std::getenv("VETHTRACE_FUZZ");
    std::string_view text(reinterpret_cast<const char *>(data), size);
    if (kind == "stored")
        stored(text);
    else if (kind == "recording")
        recording(text);
    else if (kind == "filter")
        filter(text);
    else if (kind == "netns")
        netns(text);
    else if (kind == "container")
        container(text);
    else if (kind == "ports")
        ports(text);
    else
        std::abort();
    (void)printable(text);
    return 0;
}
