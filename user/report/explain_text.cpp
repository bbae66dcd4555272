// SPDX-License-Identifier: GPL-2.0-only
#include "report/text.hpp"

#include "core/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

constexpr std::size_t below_title = 5;

std::string time_text(const StepTime &time) {
    return fmt::format("{:>8} {:>4.0f} %", duration_text(time.mean_ns), time.share * percent);
}

std::string step_text(std::size_t number, const ExplainedStep &step, const TextStyle &style) {
    constexpr int hop_width = 42;
    const Passage &passage = step.passage;
    std::string title = fmt::format(" {:>2}  {:<{}} {:<12}", number,
                                    fmt::format("{} -> {}", name_of(passage.hop.from), name_of(passage.hop.to)),
                                    hop_width, name_of(passage.hop.stage));
    std::string out = painted(title, Tone::strong, style) + (step.time ? " " + time_text(*step.time) : "") + "\n";
    std::string place =
        fmt::format("in {}{}; {}", passage.netns,
                    passage.device.empty() ? "" : fmt::format(", at device {}", passage.device), passage.context);
    out += painted(wrapped(place, below_title, style), Tone::dim, style);
    out += wrapped(passage.what, below_title, style);
    if (std::string functions = functions_text(step); !functions.empty())
        out += painted(wrapped(functions, below_title, style), Tone::bar, style);
    return out;
}

std::string closing_text(const Explanation &walk, const TextStyle &style) {
    std::string text = fmt::format("{}: {}", name_of(walk.mode), host_netfilter_text(walk));
    return "\n" + wrapped(text, 0, style) + (walk.netfilter ? wrapped(counted_text(*walk.netfilter), 0, style) : "");
}

std::string walk_text(const Explanation &walk, const TextStyle &style) {
    std::string out = painted(fmt::format("\n{}: {}, {} topology", name_of(walk.mode), row_of(walk.mode).summary,
                                          name_of(walk.topology)),
                              Tone::strong, style) +
                      "\n";
    if (walk.measured)
        out += wrapped(measured_text(*walk.measured), 1, style);
    std::optional<Direction> direction;
    for (std::size_t i = 0; i < walk.steps.size(); ++i) {
        const ExplainedStep &step = walk.steps[i];
        if (direction != step.passage.hop.direction) {
            direction = step.passage.hop.direction;
            out += painted(fmt::format(" {}", name_of(*direction)), Tone::strong, style) + "\n";
        }
        out += step_text(i + 1, step, style);
    }
    if (walk.timeline)
        out += timeline_text(*walk.timeline, style);
    return out;
}

// A mode's cell: where the step ends, and its time if that is known.
std::string cell(const Explanation &walk, const std::optional<std::size_t> &number) {
    if (!number)
        return "-";
    const ExplainedStep &step = walk.steps[*number];
    std::string text = fmt::format("{:>2} {}", *number + 1, name_of(step.passage.hop.to));
    return step.time ? fmt::format("{:<21} {:>7}", text, duration_text(step.time->mean_ns)) : text;
}

std::string side_by_side_text(const ExplainResult &result, const TextStyle &style) {
    constexpr int cell_width = 30;
    if (result.side_by_side.empty())
        return "";
    std::string out = fmt::format(" {:<9} {:<13}", "", "stage");
    for (const Explanation &walk : result.walks)
        out += fmt::format(" {:<{}}", name_of(walk.mode), cell_width);
    out = "\n" + painted(out, Tone::strong, style) + "\n";
    std::optional<bool> together;
    for (const AlignedRow &row : result.side_by_side) {
        auto taken = static_cast<std::size_t>(
            std::count_if(row.steps.begin(), row.steps.end(), [](const auto &step) { return step.has_value(); }));
        bool all = taken == row.steps.size();
        std::string mark;
        if (together && *together != all)
            mark = all ? "meet" : "part";
        together = all;
        std::string line;
        for (std::size_t i = 0; i < row.steps.size(); ++i) {
            if (row.steps[i] && line.empty())
                line =
                    fmt::format(" {:<9} {:<13}", mark, name_of(result.walks[i].steps[*row.steps[i]].passage.hop.stage));
        }
        for (std::size_t i = 0; i < row.steps.size(); ++i)
            line += fmt::format(" {:<{}}", cell(result.walks[i], row.steps[i]), cell_width);
        line.erase(line.find_last_not_of(' ') + 1);
        out += painted(line, all ? Tone::plain : Tone::bar, style) + "\n";
    }
    return out + wrapped("Each cell is the number of the step and where it ends. Where the ways part, a mode does "
                         "something that another does not do, or not there.",
                         1, style);
}

} // namespace

std::string functions_text(const ExplainedStep &step) {
    std::vector<std::string> parts;
    for (const NamedCall &call : step.calls) {
        if (call.symbol)
            parts.push_back(call.symbol->symbol);
        else
            parts.push_back(fmt::format("{} (inlined into {})", call.function, call.inlined_into));
    }
    std::string text = fmt::format("{}", fmt::join(parts, " > "));
    if (step.tracepoint)
        text += fmt::format("{}tracepoint {}", text.empty() ? "" : ", ", *step.tracepoint);
    return text;
}

std::string measured_text(const MeasuredWalk &run) {
    return fmt::format("Measured on kernel {}: {} transactions, round trip {}, of which tracing is {:.0f} %{}",
                       run.kernel, count_text(run.transactions), duration_text(run.rtt_mean_ns),
                       run.added_ratio / (1 + run.added_ratio) * percent,
                       run.valid ? "." : "; this result is not valid.");
}

std::string host_netfilter_text(const Explanation &walk) {
    std::vector<Passage> passages;
    for (const ExplainedStep &step : walk.steps)
        passages.push_back(step.passage);
    return netfilter_text(passages);
}

std::string counted_text(const NetfilterCount &count) {
    HookCount seen = count.seen_by_host();
    std::vector<std::string> hooks;
    for (const HookCount &hook : count.host)
        hooks.push_back(fmt::format("{} {}/{}", hook.hook, hook.requests, hook.responses));
    return fmt::format(
        "Counted by nft rules, over {} transactions: the host's netfilter saw {} of {} packets that the client sent, "
        "and {} of {} that it received. By hook (sent/received): {}.",
        count_text(count.transactions), seen.requests, count.sent, seen.responses, count.received,
        fmt::join(hooks, ", "));
}

std::string to_text(const ExplainResult &result, const TextStyle &style) {
    std::string out = painted(fmt::format("vethtrace {}  the way of a packet on kernel {}", result.environment.tool,
                                          result.environment.kernel),
                              Tone::strong, style) +
                      "\n";
    if (style.verbosity >= 0)
        for (const Explanation &walk : result.walks)
            out += walk_text(walk, style);
    out += side_by_side_text(result, style);
    for (const Explanation &walk : result.walks)
        out += closing_text(walk, style);
    for (const std::string &warning : result.warnings)
        out += painted("  ! ", Tone::bad, style) + warning + "\n";
    return out;
}

} // namespace vethtrace
