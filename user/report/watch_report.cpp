// SPDX-License-Identifier: GPL-2.0-only
#include "report/watch_report.hpp"

#include "report/columns.hpp"
#include "report/watch_json.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

// A drop weighs as much as a millisecond of waiting in each second: TCP waits for longer until it sends again.
double weight(const WatchMoment &moment) {
    constexpr double drop_ns = 1e6;
    return (moment.worst ? moment.worst->growth : 0) + static_cast<double>(moment.dropped) * drop_ns;
}

bool is_worse(const WatchMoment &a, const WatchMoment &b) {
    return weight(a) > weight(b);
}

std::string line(const WatchMoment &moment, const TextStyle &style) {
    std::string text = fmt::format(" {} {}", right(std::to_string(moment.number), 6), clock_text(moment.begun));
    if (moment.worst) {
        const WatchRow &row = *moment.worst;
        text += fmt::format("  {} {} of {}: mean {}", name_of(row.flow), name_of(row.stage), row.group,
                            duration_text(row.time.mean().value_or(0)));
        if (row.before)
            text += fmt::format(", {} before", duration_text(*row.before));
        if (std::optional<double> p99 = row.time.percentile(0.99))
            text += fmt::format(", p99 {}", duration_text(*p99));
    }
    if (moment.dropped != 0)
        text += painted(fmt::format("  {} dropped", count_text(moment.dropped)), Tone::bad, style);
    return fitted(text, static_cast<std::size_t>(style.width));
}

} // namespace

void WatchMoments::add(const WatchWindow &window) {
    last_.push_back(window);
    if (last_.size() > 2)
        last_.erase(last_.begin());
    WatchMoment moment{window.number, window.begun, std::nullopt, 0};
    for (const WatchDrop &drop : window.drops)
        moment.dropped += drop.count;
    // Against nothing everything has grown.
    if (last_.size() == 2)
        if (std::vector<WatchRow> rows = watch_rows(last_, Grouping::container, WatchSort::growth); !rows.empty())
            if (rows.front().growth > 0)
                moment.worst = std::move(rows.front());
    if (weight(moment) <= 0)
        return;
    worst_.insert(std::upper_bound(worst_.begin(), worst_.end(), moment, is_worse), std::move(moment));
    if (worst_.size() > most_)
        worst_.pop_back();
}

std::vector<WatchMoment> WatchMoments::moments() const {
    std::vector<WatchMoment> moments = worst_;
    std::sort(moments.begin(), moments.end(),
              [](const WatchMoment &a, const WatchMoment &b) { return a.number < b.number; });
    return moments;
}

std::string room_option(const WatchReport &report) {
    return report.lab ? "" : "--max-series";
}

std::string to_text(const WatchReport &report, const TextStyle &style) {
    std::string text;
    if (report.lab)
        text +=
            painted(fmt::format("vethtrace {}  {}, {} topology  --cmd '{}'  kernel {}", report.environment.tool,
                                report.lab->mode, report.lab->topology, report.lab->command, report.environment.kernel),
                    Tone::strong, style) +
            "\n no ledger: nothing measures the round trips of this load\n";
    text += watch_summary(report.totals, report.ended, report.advice, room_option(report), style) + "\n";
    if (!report.moments.empty())
        text += painted(" window  what grew most in it, where most grew", Tone::dim, style) + "\n";
    for (const WatchMoment &moment : report.moments)
        text += line(moment, style) + "\n";
    for (const std::string &remark : report.remarks)
        text += fmt::format(" note: {}\n", remark);
    return text;
}

nlohmann::ordered_json to_json(const WatchReport &report) {
    nlohmann::ordered_json json = final_json(report.totals, report.advice, report.ended, report.environment);
    if (report.lab)
        json["lab"] = {{"mode", report.lab->mode},
                       {"topology", report.lab->topology},
                       {"cmd", report.lab->command},
                       {"peer_cmd", report.lab->peer_command}};
    return json;
}

} // namespace vethtrace
