// SPDX-License-Identifier: GPL-2.0-only
#include "report/json.hpp"

#include "core/footprint.hpp"
#include "core/units.hpp"
#include "report/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace vethtrace {

namespace {

using Json = nlohmann::ordered_json;

Json budget_json(const Budget &budget) {
    return {{"limit_ratio", budget.limit},
            {"none_followed_ratio", budget.none_followed},
            {"all_followed_ratio", budget.all_followed},
            {"sample", budget.sample}};
}

// A probability, whose smallness is what it is about.
Json exact(const std::optional<double> &value) {
    return value ? Json(*value) : Json(nullptr);
}
template<typename T>
Json plain_or_null(const std::optional<T> &value) {
    return value ? Json(*value) : Json(nullptr);
}

Json network_json(const NetworkSettings &network) {
    Json devices = Json::array();
    for (const DeviceSettings &device : network.devices)
        devices.push_back({{"name", device.name},
                           {"qdisc", nullable(device.qdisc)},
                           {"gro", plain_or_null(device.gro)},
                           {"gso", plain_or_null(device.gso)},
                           {"tso", plain_or_null(device.tso)}});
    return {{"congestion_control", nullable(network.congestion_control)},
            {"rps_default_mask", nullable(network.rps_default_mask)},
            {"devices", std::move(devices)}};
}

Json environment_json(const Environment &environment) {
    return {{"kernel", environment.kernel},
            {"arch", environment.arch},
            {"cpus", environment.cpus},
            {"clocksource", environment.clocksource},
            {"lockdown", nullable(environment.lockdown)},
            {"virtualization", nullable(environment.virtualization)},
            {"cpu_model", nullable(environment.cpu_model)},
            {"governor", nullable(environment.governor)},
            {"idle_states", plain_or_null(environment.idle_states)},
            {"deepest_idle_latency_us", plain_or_null(environment.deepest_idle_latency_us)},
            {"mitigations", plain_or_null(environment.mitigations)},
            {"smt", nullable(environment.smt)},
            {"smt_active", plain_or_null(environment.smt_active)},
            {"network", environment.network ? network_json(*environment.network) : Json(nullptr)},
            {"unstable", unstable_settings(environment)}};
}

Json tool_json(const Environment &environment) {
    return {{"version", environment.tool}, {"libbpf", environment.libbpf}};
}

Json load_json(const LoadResult &load) {
    double rate = per_second(static_cast<double>(load.transactions), load.duration_ns).value_or(0);
    return {{"kind", "TCP_RR"},
            {"transactions", load.transactions},
            {"duration_ns", load.duration_ns},
            {"request_bytes", load.request_bytes},
            {"response_bytes", load.response_bytes},
            {"flows", load.flows},
            {"cpus", {load.client_cpu, load.server_cpu}},
            {"rate_per_s", rounded(rate)},
            {"rtt", distribution_json(load.rtt)},
            {"sample", load.sample},
            {"followed",
             {{"transactions", load.followed()},
              {"rtt_mean_ns", nullable(load.followed_rtt.mean())},
              {"rtt", distribution_json(load.followed_rtt)}}}};
}

Json tried_json(const std::vector<Attempt> &tried) {
    Json json = Json::array();
    for (const Attempt &attempt : tried)
        json.push_back(
            {{"hook", attempt.rung.text()}, {"kind", name_of(attempt.rung.kind)}, {"result", attempt.result}});
    return json;
}

Json hop_json(const Hop &hop) {
    Json json = {
        {"direction", name_of(hop.name.direction)}, {"from", name_of(hop.name.from)}, {"to", name_of(hop.name.to)},
        {"stage", name_of(hop.name.stage)},         {"count", hop.time.count()},      {"sum_ns", hop.time.sum()}};
    add_distribution(json, hop.time);
    bool any = hop.time.count() != 0;
    json["overflow"] = hop.time.overflow();
    json["events"] = hop.events;
    json["other_cpu"] = hop.other_cpu;
    json["observer_ns"] = any ? Json(rounded(hop.observer_ns)) : Json(nullptr);
    json["corrected_mean_ns"] = any ? Json(rounded(hop.corrected_mean_ns)) : Json(nullptr);
    return json;
}

Json net_rx_json(const NetRx &net_rx, std::uint64_t transactions) {
    double per_transaction =
        transactions == 0 ? 0 : static_cast<double>(net_rx.runs) / static_cast<double>(transactions);
    return {{"raised", net_rx.raised},
            {"runs", net_rx.runs},
            {"runs_per_transaction", rounded(per_transaction)},
            {"wait", distribution_json(net_rx.wait)},
            {"run", distribution_json(net_rx.run)},
            {"context",
             {{"inline", net_rx.inline_},
              {"irq_exit", net_rx.irq_exit},
              {"ksoftirqd", net_rx.ksoftirqd},
              {"other_cpu", net_rx.other_cpu},
              {"other", net_rx.other}}},
            {"context_by", "inline: raised by a packet of the load on this CPU and run before another task was; "
                           "ksoftirqd: by the name of the running task; other_cpu: its first packet came from there; "
                           "other: cannot be told"}};
}

Json conservation_json(const Conservation &conservation) {
    return {{"entered", conservation.entered},     {"cloned", conservation.cloned},
            {"segmented", conservation.segmented}, {"completed", conservation.completed},
            {"dropped", conservation.dropped},     {"evicted", conservation.evicted},
            {"merged", conservation.merged},       {"in_flight", conservation.in_flight},
            {"missed", conservation.missed},       {"not_followed", conservation.not_followed},
            {"balanced", conservation.balanced()}};
}

Json slices_json(const std::vector<SlicePair> &slices) {
    Json json = Json::array();
    for (const SlicePair &slice : slices)
        json.push_back({{"untraced_rtt_mean_ns", rounded(slice.untraced_ns)},
                        {"traced_rtt_mean_ns", rounded(slice.traced_ns)},
                        {"followed_rtt_mean_ns", rounded(slice.followed_ns)}});
    return json;
}

Json timelines_json(const std::vector<Timeline> &timelines) {
    Json json = Json::array();
    for (const Timeline &timeline : timelines) {
        Json marks = Json::array();
        for (const TimelineMark &mark : timeline.marks)
            marks.push_back({{"station", name_of(mark.station)},
                             {"since_send_ns", mark.since_send},
                             {"cpu", mark.cpu},
                             {"pid", mark.pid},
                             {"comm", mark.comm},
                             {"context", mark.context}});
        json.push_back({{"transaction", timeline.transaction}, {"marks", std::move(marks)}});
    }
    return json;
}

// Intervals are those of the level of the comparison.
Json difference_json(const Difference &difference) {
    Json interval = nullptr;
    if (difference.half_width)
        interval = {rounded(difference.low()), rounded(difference.high())};
    return {{"delta_ns", rounded(difference.mean)}, {"ci95", interval}, {"p", exact(difference.p_value)}};
}

Json stage_delta_json(const StageDelta &stage) {
    Json json = {{"stage", name_of(stage.stage)},
                 {"mode_ns", nullable(stage.mode_ns)},
                 {"against_ns", nullable(stage.against_ns)},
                 {"mode_hops", stage.mode_hops},
                 {"against_hops", stage.against_hops}};
    json.update(difference_json(stage.delta));
    json["adjusted_p"] = exact(stage.adjusted_p);
    json["matters"] = stage.matters;
    return json;
}

Json delta_json(const Delta &delta) {
    Json stages = Json::array();
    for (const StageDelta &stage : delta.stages)
        stages.push_back(stage_delta_json(stage));
    return {{"mode", delta.mode},
            {"against", delta.against},
            {"against_rtt_mean_ns", rounded(delta.against_rtt_ns)},
            {"rtt", difference_json(delta.rtt)},
            {"traced_rtt", difference_json(delta.traced)},
            {"corrected", difference_json(delta.corrected)},
            {"stages", std::move(stages)},
            {"unexplained", difference_json(delta.unexplained)},
            {"explained_ratio", nullable(delta.explained_ratio)},
            {"verdict", name_of(delta.verdict)},
            {"traced_verdict", name_of(delta.traced_verdict)},
            {"minimum_detectable_ns", nullable(delta.minimum_detectable_ns)}};
}

Json rounds_json(const Side &side) {
    Json rounds = Json::array();
    for (const Round &round : side.rounds) {
        Json stages = Json::object();
        for (const auto &[stage, mean] : round.stages)
            stages[std::string(name_of(stage))] = rounded(mean);
        rounds.push_back({{"untraced_rtt_mean_ns", rounded(round.untraced_rtt_ns)},
                          {"traced_rtt_mean_ns", rounded(round.traced_rtt_ns)},
                          {"corrected_sum_ns", rounded(round.corrected_sum_ns)},
                          {"stages", std::move(stages)}});
    }
    return {{"label", side.label}, {"rounds", std::move(rounds)}};
}

Json call_json(const NamedCall &call) {
    return {{"function", call.function},
            {"symbol", call.symbol ? Json(call.symbol->symbol) : Json(nullptr)},
            {"module", call.symbol && !call.symbol->module.empty() ? Json(call.symbol->module) : Json(nullptr)},
            {"inlined_into", call.symbol ? Json(nullptr) : Json(call.inlined_into)},
            {"in_btf", call.in_btf}};
}

Json step_json(std::size_t number, const ExplainedStep &step) {
    const Passage &passage = step.passage;
    Json calls = Json::array();
    for (const NamedCall &call : step.calls)
        calls.push_back(call_json(call));
    Json time = nullptr;
    if (step.time)
        time = {{"count", step.time->count},
                {"mean_ns", rounded(step.time->mean_ns)},
                {"share", rounded(step.time->share)}};
    return {{"number", number},
            {"direction", name_of(passage.hop.direction)},
            {"from", name_of(passage.hop.from)},
            {"to", name_of(passage.hop.to)},
            {"stage", name_of(passage.hop.stage)},
            {"netns", passage.netns},
            {"device", passage.device.empty() ? Json(nullptr) : Json(passage.device)},
            {"context", passage.context},
            {"what", passage.what},
            {"calls", std::move(calls)},
            {"tracepoint", nullable(step.tracepoint)},
            {"netfilter", passage.netfilter},
            {"measured", std::move(time)}};
}

Json hook_count_json(const HookCount &count) {
    return {{"hook", count.hook}, {"requests", count.requests}, {"responses", count.responses}};
}

Json netfilter_json(const NetfilterCount &count) {
    Json hooks = Json::array();
    for (const HookCount &hook : count.host)
        hooks.push_back(hook_count_json(hook));
    HookCount seen = count.seen_by_host();
    return {{"transactions", count.transactions},
            {"client", {{"sent", count.sent}, {"received", count.received}}},
            {"seen_by_host", {{"sent", seen.requests}, {"received", seen.responses}}},
            {"hooks_of_host", std::move(hooks)}};
}

Json walk_json(const Explanation &walk) {
    Json steps = Json::array();
    for (std::size_t i = 0; i < walk.steps.size(); ++i)
        steps.push_back(step_json(i + 1, walk.steps[i]));
    Json measured = nullptr;
    if (const std::optional<MeasuredWalk> &run = walk.measured)
        measured = {{"kernel", run->kernel},
                    {"transactions", run->transactions},
                    {"rtt_mean_ns", rounded(run->rtt_mean_ns)},
                    {"added_ratio", rounded(run->added_ratio)},
                    {"valid", run->valid}};
    return {{"mode", name_of(walk.mode)},
            {"topology", name_of(walk.topology)},
            {"summary", row_of(walk.mode).summary},
            {"missing_modules", walk.missing_modules},
            {"steps", std::move(steps)},
            {"measured", std::move(measured)},
            {"netfilter", walk.netfilter ? netfilter_json(*walk.netfilter) : Json(nullptr)},
            {"timeline", walk.timeline ? timelines_json({*walk.timeline}).front() : Json(nullptr)}};
}

} // namespace

Json to_json(const RunResult &result) {
    Json stations = Json::array();
    for (const StationResult &station : result.stations)
        stations.push_back({{"id", name_of(station.station)},
                            {"hook", station.hook},
                            {"tried", tried_json(station.tried)},
                            {"hits", station.hits},
                            {"ended", station.ended},
                            {"missed", station.missed}});
    Json hops = Json::array();
    for (const Hop &hop : result.hops)
        hops.push_back(hop_json(hop));

    const Ledger &ledger = result.ledger;
    const Observer &observer = result.observer;
    Json json = {
        {"schema", "vethtrace.run/1"},
        {"tool", tool_json(result.environment)},
        {"environment", environment_json(result.environment)},
        {"mode", name_of(result.mode)},
        {"topology", name_of(result.topology)},
        {"port_mode", nullable(result.port_mode)},
        {"load", load_json(result.load)},
        {"stations", std::move(stations)},
        {"hops", std::move(hops)},
        {"softirq", {{"net_rx", net_rx_json(result.net_rx, result.load.followed())}}},
        {"ledger",
         {{"rtt_mean_ns", rounded(ledger.rtt_mean_ns)},
          {"explained_mean_ns", rounded(ledger.explained_mean_ns)},
          {"unexplained_mean_ns", rounded(ledger.unexplained_mean_ns)},
          {"explained_ratio", rounded(ledger.explained_ratio)},
          {"corrected_sum_ns", rounded(ledger.corrected_sum_ns)},
          {"corrected_residual_ns", rounded(ledger.corrected_residual_ns)}}},
        {"conservation", conservation_json(result.conservation)},
        {"observer",
         {{"untraced_rtt_mean_ns", rounded(observer.untraced_rtt_mean_ns)},
          {"traced_rtt_mean_ns", rounded(observer.traced_rtt_mean_ns)},
          {"added_ns", rounded(observer.added_ns)},
          {"added_ratio", rounded(observer.added_ratio)},
          {"added_ci95_ns", nullable(observer.added_ci95_ns)},
          {"event_ns", rounded(observer.event_ns)},
          {"kprobe_extra_ns", rounded(observer.kprobe_extra_ns)},
          {"budget", result.budget ? budget_json(*result.budget) : Json(nullptr)},
          {"stamp_ns", rounded(observer.stamp_ns)},
          {"events_per_transaction", rounded(observer.events_per_transaction)},
          {"slices", slices_json(result.slices)}}},
    };
    if (!result.timelines.empty())
        json["timelines"] = timelines_json(result.timelines);
    json["interrupted"] = result.interrupted;
    json["valid"] = result.valid;
    json["warnings"] = result.warnings;
    return json;
}

Json to_json(const CompareResult &result) {
    Json runs = Json::array();
    Json samples = Json::array();
    for (const Side &side : result.sides) {
        runs.push_back(to_json(side.run));
        samples.push_back(rounds_json(side));
    }
    Json deltas = Json::array();
    for (const Delta &delta : result.deltas)
        deltas.push_back(delta_json(delta));
    return {{"schema", "vethtrace.compare/1"},
            {"tool", tool_json(result.environment)},
            {"environment", environment_json(result.environment)},
            {"topology", name_of(result.topology)},
            {"baseline", result.sides.front().label},
            {"rounds", result.rounds},
            {"plan",
             {{"rounds", result.plan.rounds},
              {"seed", result.plan.seed},
              {"precision", result.plan.precision},
              {"threshold", result.plan.threshold}}},
            {"level", result.level},
            {"precise", result.precise},
            {"runs", std::move(runs)},
            {"samples", std::move(samples)},
            {"deltas", std::move(deltas)},
            {"interrupted", result.interrupted},
            {"valid", result.valid},
            {"warnings", result.warnings}};
}

Json to_json(const DiffResult &result) {
    Json deltas = Json::array();
    for (const Delta &delta : result.deltas)
        deltas.push_back(delta_json(delta));
    return {{"schema", "vethtrace.diff/1"},
            {"tool", tool_json(result.environment)},
            {"before", result.before},
            {"after", result.after},
            {"allowed_ratio", result.allowed ? Json(*result.allowed) : Json(nullptr)},
            {"over", result.over},
            {"deltas", std::move(deltas)},
            {"conditions", result.conditions},
            {"warnings", result.warnings}};
}

Json to_json(const RrResult &result) {
    Json load = load_json(result.load);
    for (const char *of_a_lab : {"cpus", "sample", "followed"})
        load.erase(of_a_lab);
    return {{"schema", "vethtrace.rr/1"},
            {"tool", tool_json(result.environment)},
            {"environment", environment_json(result.environment)},
            {"server", result.server},
            {"load", std::move(load)},
            {"interrupted", result.interrupted}};
}

Json to_json(const ExplainResult &result) {
    Json walks = Json::array();
    for (const Explanation &walk : result.walks)
        walks.push_back(walk_json(walk));
    Json rows = Json::array();
    for (const AlignedRow &row : result.side_by_side) {
        Json steps = Json::array();
        for (const std::optional<std::size_t> &step : row.steps)
            steps.push_back(step ? Json(*step + 1) : Json(nullptr));
        rows.push_back(std::move(steps));
    }
    return {{"schema", "vethtrace.explain/1"},
            {"tool", tool_json(result.environment)},
            {"environment", environment_json(result.environment)},
            {"walks", std::move(walks)},
            {"side_by_side", std::move(rows)},
            {"valid", result.valid},
            {"warnings", result.warnings}};
}

Json to_json(const std::vector<Choice> &choices, const Environment &environment) {
    Json ladders = Json::array();
    for (const Choice &choice : choices) {
        ladders.push_back({{"name", choice.ladder.name},
                           {"purpose", choice.ladder.purpose},
                           {"hook", choice.used ? Json(choice.used->text()) : Json(nullptr)},
                           {"tried", tried_json(choice.tried)}});
    }
    return {{"schema", "vethtrace.features/1"},
            {"tool", tool_json(environment)},
            {"environment", environment_json(environment)},
            {"ladders", std::move(ladders)},
            {"memory",
             {{"bytes_of_each_cpu", map_bytes_of_each_cpu}, {"bytes_shared_with_one_flow", map_bytes_shared(1, 0)}}}};
}

std::string to_text(const Json &json, bool pretty) {
    constexpr int indentation = 2;
    // Names from outside need not be UTF-8; what is not becomes U+FFFD instead of an exception.
    return json.dump(pretty ? indentation : -1, ' ', false, Json::error_handler_t::replace);
}

} // namespace vethtrace
