// SPDX-License-Identifier: GPL-2.0-only
//
// Everything that is read from outside, fed with whatever libFuzzer can think of. VETHTRACE_FUZZ says which kind: one
// program for all, so that what they share is compiled once.
#include "input/filter.hpp"
#include "input/recording.hpp"
#include "input/stored.hpp"
#include "input/target.hpp"
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

// What was accepted can be shown, and comes back from the file that it would be written to as it is.
void stored(std::string_view text) {
    Result<Stored> result = parse_stored("fuzz", text);
    if (!result) {
        require(is_plain(result.error().text()));
        return;
    }
    TextStyle wide;
    wide.width = 200;
    wide.verbosity = 1;
    std::string once = std::visit(
        [&](const auto &which) {
            require(is_plain(to_text(which, wide)));
            return to_text(to_json(which), false);
        },
        *result);
    Result<Stored> again = parse_stored("fuzz", once);
    require(again.has_value());
    Result<DiffResult> nothing = diff({"before", *result}, {"after", *again}, {.threshold = 0.01, .allowed = 0.05});
    require(nothing.has_value() && is_plain(to_text(*nothing, wide)) && !to_text(to_json(*nothing), false).empty());
    require(std::visit([](const auto &which) { return to_text(to_json(which), false); }, *again) == once);
}

// The same of a recording: each window can be shown, and is written as it was read.
void recording(std::string_view text) {
    TextStyle narrow;
    narrow.width = 60;
    WatchMoments moments(3);
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
    };
    Result<WatchRecording> read =
        WatchRecording::read("fuzz", std::make_unique<std::istringstream>(std::string(text)), take);
    if (!read)
        return require(is_plain(read.error().text()));
    WatchReport report{read->totals(), read->ended(), read->environment(), moments.moments(), read->remarks()};
    require(is_plain(to_text(report, narrow)) && !to_json(report).dump().empty());
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
