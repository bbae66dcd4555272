// SPDX-License-Identifier: GPL-2.0-only
#include "report/folded.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <string_view>

namespace vethtrace {

namespace {

// A frame must not end itself.
std::string frame(std::string_view name) {
    std::string text(name.empty() ? "-" : name);
    std::replace_if(
        text.begin(), text.end(), [](char letter) { return letter == ';' || letter == '\n' || letter == '\r'; }, ':');
    return text;
}

std::string stretch(Station from, Station to) {
    return fmt::format("{} - {}", name_of(from), name_of(to));
}

std::string folded_run(const std::string &label, const RunResult &run) {
    auto transactions = static_cast<double>(std::max<std::uint64_t>(run.load.followed(), 1));
    std::string out;
    double left = std::round(run.ledger.rtt_mean_ns);
    for (const Hop &hop : run.hops) {
        double mean = std::round(static_cast<double>(hop.time.sum()) / transactions);
        left -= mean;
        if (mean > 0)
            out += fmt::format("vethtrace;{};{};{};{} {:.0f}\n", frame(label), name_of(hop.name.direction),
                               name_of(hop.name.stage), stretch(hop.name.from, hop.name.to), mean);
    }
    if (left > 0)
        out += fmt::format("vethtrace;{};unexplained {:.0f}\n", frame(label), left);
    return out;
}

} // namespace

std::string to_folded(const RunResult &result) {
    return folded_run(std::string(name_of(result.mode)), result);
}

std::string to_folded(const CompareResult &result) {
    std::string out;
    for (const Side &side : result.sides)
        out += folded_run(side.label, side.run);
    return out;
}

// With sampling more packets spent time there than were followed, and on average as much.
std::string to_folded(const WatchTotals &totals) {
    std::string out;
    for (const auto &[key, total] : totals.series()) {
        const auto &[target, flow, from, to] = key;
        double all = std::round(total.time.mean().value_or(0) * static_cast<double>(total.packets));
        if (all > 0)
            out += fmt::format("vethtrace;{};{};{};{} {:.0f}\n", frame(target), name_of(flow), name_of(total.stage),
                               stretch(from, to), all);
    }
    return out;
}

} // namespace vethtrace
