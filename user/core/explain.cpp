// SPDX-License-Identifier: GPL-2.0-only
#include "core/explain.hpp"

#include <algorithm>

namespace vethtrace {

namespace {

using namespace layout;

std::optional<NamedCall> name_call(const Call &call, const KernelNames &names) {
    for (std::string_view name : call.names)
        if (auto found = names.symbols.find(name); found != names.symbols.end())
            return NamedCall{std::string(name), found->second, {}, names.in_btf.count(name) != 0};
    for (std::string_view caller : call.inlined_into)
        if (auto found = names.symbols.find(caller); found != names.symbols.end())
            return NamedCall{std::string(call.names.front()), std::nullopt, found->second.symbol, false};
    return std::nullopt;
}

std::optional<StepTime> time_of(const HopName &name, const RunResult *run) {
    if (run == nullptr)
        return std::nullopt;
    double all = run->ledger.rtt_mean_ns * static_cast<double>(run->load.followed());
    for (const Hop &hop : run->hops) {
        if (!(hop.name.from == name.from) || !(hop.name.to == name.to) || hop.name.direction != name.direction)
            continue;
        std::optional<double> mean = hop.time.mean();
        if (!mean || all <= 0)
            return std::nullopt;
        return StepTime{hop.time.count(), *mean, static_cast<double>(hop.time.sum()) / all};
    }
    return std::nullopt;
}

bool has_station(const RunResult &run, Station station) {
    return std::any_of(run.stations.begin(), run.stations.end(),
                       [&](const StationResult &seen) { return seen.station == station; });
}

// What makes two steps of different modes the same.
struct Kind {
    Direction direction;
    Stage stage;
    std::uint32_t point; // of the end; moments have numbers of their own

    friend bool operator==(const Kind &a, const Kind &b) {
        return a.direction == b.direction && a.stage == b.stage && a.point == b.point;
    }
};

Kind kind_of(const ExplainedStep &step) {
    const HopName &hop = step.passage.hop;
    std::uint32_t point = is_at_device(hop.to) ? static_cast<std::uint32_t>(point_of(hop.to)) : hop.to.id;
    return {hop.direction, hop.stage, point};
}

struct Row {
    Kind kind;
    AlignedRow row;
};

// The longest sequence that the rows so far and the steps of one more walk have in common; lengths[i][j] is that of
// rows i... and steps j...
std::vector<std::vector<std::size_t>> common_lengths(const std::vector<Row> &rows, const std::vector<Kind> &kinds) {
    std::vector<std::vector<std::size_t>> lengths(rows.size() + 1, std::vector<std::size_t>(kinds.size() + 1, 0));
    for (std::size_t i = rows.size(); i-- > 0;)
        for (std::size_t j = kinds.size(); j-- > 0;)
            lengths[i][j] =
                rows[i].kind == kinds[j] ? lengths[i + 1][j + 1] + 1 : std::max(lengths[i + 1][j], lengths[i][j + 1]);
    return lengths;
}

std::vector<Row> merged(std::vector<Row> rows, const Explanation &walk, std::size_t number, std::size_t walks) {
    std::vector<Kind> kinds;
    for (const ExplainedStep &step : walk.steps)
        kinds.push_back(kind_of(step));
    std::vector<std::vector<std::size_t>> lengths = common_lengths(rows, kinds);
    std::vector<Row> out;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < rows.size() || j < kinds.size()) {
        bool both = i < rows.size() && j < kinds.size();
        if (both && rows[i].kind == kinds[j]) {
            out.push_back(std::move(rows[i++]));
            out.back().row.steps[number] = j++;
        } else if (j == kinds.size() || (both && lengths[i + 1][j] >= lengths[i][j + 1])) {
            out.push_back(std::move(rows[i++]));
        } else {
            out.push_back({kinds[j], {std::vector<std::optional<std::size_t>>(walks)}});
            out.back().row.steps[number] = j++;
        }
    }
    return out;
}

} // namespace

HookCount NetfilterCount::seen_by_host() const {
    HookCount most{"", 0, 0};
    for (const HookCount &count : host) {
        most.requests = std::max(most.requests, count.requests);
        most.responses = std::max(most.responses, count.responses);
    }
    return most;
}

Explanation explain(Way way, const KernelNames &names, const RunResult *run) {
    for (end end : {END_CLIENT, END_SERVER})
        if (run != nullptr && has_station(*run, at(MOMENT_TCP_RCV, end)))
            way.replace(at(MOMENT_DATA_READY, end), at(MOMENT_TCP_RCV, end));
    Explanation explanation;
    explanation.mode = way.mode();
    explanation.topology = way.topology();
    for (const WalkModule &module : modules_of(way))
        if (names.symbols.find(module.function) == names.symbols.end())
            explanation.missing_modules.emplace_back(module.name);
    for (Passage &passage : walk_of(way)) {
        ExplainedStep step;
        for (const Call &call : passage.calls)
            if (std::optional<NamedCall> named = name_call(call, names))
                step.calls.push_back(std::move(*named));
        for (std::string_view tracepoint : passage.tracepoints)
            if (!step.tracepoint && names.tracepoints.count(tracepoint) != 0)
                step.tracepoint = tracepoint;
        step.time = time_of(passage.hop, run);
        step.passage = std::move(passage);
        explanation.steps.push_back(std::move(step));
    }
    if (run != nullptr) {
        explanation.measured = {run->environment.kernel, run->load.transactions, run->ledger.rtt_mean_ns,
                                run->observer.added_ratio, run->valid};
        if (!run->timelines.empty())
            explanation.timeline = run->timelines.front();
    }
    return explanation;
}

std::vector<AlignedRow> side_by_side(std::span<const Explanation> walks) {
    std::vector<Row> rows;
    if (walks.size() > 1)
        for (std::size_t i = 0; i < walks.size(); ++i)
            rows = merged(std::move(rows), walks[i], i, walks.size());
    std::vector<AlignedRow> aligned;
    aligned.reserve(rows.size());
    for (Row &row : rows)
        aligned.push_back(std::move(row.row));
    return aligned;
}

} // namespace vethtrace
