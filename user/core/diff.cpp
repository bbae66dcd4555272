// SPDX-License-Identifier: GPL-2.0-only
#include "core/diff.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>

namespace vethtrace {

namespace {

// A run is a comparison's side with a single round.
std::vector<Side> sides_of(const Stored &stored) {
    if (const auto *comparison = std::get_if<CompareResult>(&stored))
        return comparison->sides;
    const auto &run = std::get<RunResult>(stored);
    return {Side{std::string(name_of(run.mode)), run, {round_of(run)}}};
}

bool is_valid(const Stored &stored) {
    return std::visit([](const auto &result) { return result.valid; }, stored);
}

const Environment &environment_of(const Stored &stored) {
    return std::visit([](const auto &result) -> const Environment & { return result.environment; }, stored);
}

// Names the settings in which two results differ.
class Conditions {
public:
    template<typename T>
    void compare(const std::string &what, const T &before, const T &after) {
        if (!(before == after))
            differences_.push_back(fmt::format("{}: {} and {}", what, before, after));
    }
    void compare_optional(const std::string &what, const std::optional<std::string> &before,
                          const std::optional<std::string> &after) {
        // What one of them does not tell need not be different.
        if (before && after)
            compare(what, *before, *after);
    }

    [[nodiscard]] const std::vector<std::string> &differences() const { return differences_; }

private:
    std::vector<std::string> differences_;
};

void compare_loads(Conditions &conditions, const LoadResult &before, const LoadResult &after) {
    conditions.compare("request bytes", before.request_bytes, after.request_bytes);
    conditions.compare("response bytes", before.response_bytes, after.response_bytes);
    conditions.compare("flows", before.flows, after.flows);
    conditions.compare("client on the server's CPU", before.client_cpu == before.server_cpu,
                       after.client_cpu == after.server_cpu);
    conditions.compare("one transaction followed in", before.sample, after.sample);
}

std::string hooks_of(const RunResult &run) {
    std::vector<std::string> hooks;
    for (const StationResult &station : run.stations)
        if (std::find(hooks.begin(), hooks.end(), station.hook) == hooks.end())
            hooks.push_back(station.hook);
    return fmt::format("{}", fmt::join(hooks, ", "));
}

void compare_environments(Conditions &conditions, const Environment &before, const Environment &after) {
    conditions.compare("architecture", before.arch, after.arch);
    conditions.compare("CPUs", before.cpus, after.cpus);
    conditions.compare("clocksource", before.clocksource, after.clocksource);
    conditions.compare_optional("virtualization", before.virtualization, after.virtualization);
    conditions.compare_optional("lockdown", before.lockdown, after.lockdown);
    conditions.compare_optional("CPU model", before.cpu_model, after.cpu_model);
    conditions.compare_optional("governor", before.governor, after.governor);
    conditions.compare_optional("SMT", before.smt, after.smt);
}

std::string text_of(const DeviceSettings &device) {
    auto flag = [](const std::optional<bool> &value) { return !value ? "?" : *value ? "on" : "off"; };
    return fmt::format("{}: qdisc {}, GRO {}, GSO {}, TSO {}", device.name, device.qdisc.value_or("?"),
                       flag(device.gro), flag(device.gso), flag(device.tso));
}

std::string text_of(const std::vector<DeviceSettings> &devices) {
    std::vector<std::string> texts(devices.size());
    std::transform(devices.begin(), devices.end(), texts.begin(),
                   [](const DeviceSettings &device) { return text_of(device); });
    return fmt::format("{}", fmt::join(texts, "; "));
}

void compare_networks(Conditions &conditions, const RunResult &before, const RunResult &after) {
    const std::optional<NetworkSettings> &a = before.environment.network;
    const std::optional<NetworkSettings> &b = after.environment.network;
    if (!a || !b)
        return;
    conditions.compare_optional("congestion control", a->congestion_control, b->congestion_control);
    conditions.compare_optional("RPS mask", a->rps_default_mask, b->rps_default_mask);
    conditions.compare("devices", text_of(a->devices), text_of(b->devices));
}

std::vector<std::string> conditions_of(const StoredResult &before, const StoredResult &after) {
    Conditions conditions;
    compare_environments(conditions, environment_of(before.result), environment_of(after.result));
    for (const Side &a : sides_of(before.result))
        for (const Side &b : sides_of(after.result)) {
            if (a.label != b.label)
                continue;
            conditions.compare("topology", name_of(a.run.topology), name_of(b.run.topology));
            compare_loads(conditions, a.run.load, b.run.load);
            compare_networks(conditions, a.run, b.run);
            conditions.compare("hooks", hooks_of(a.run), hooks_of(b.run));
        }
    std::vector<std::string> all = conditions.differences();
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

// Slices of a run lie next to one another in time, so they know nothing of what differs from run to run; but they know
// more than a single mean does.
Difference difference_of_slices(const RunResult &after, const RunResult &before, double SlicePair::*value) {
    auto values = [value](const RunResult &run) {
        std::vector<double> all;
        for (const SlicePair &slice : run.slices)
            all.push_back(slice.*value);
        return all;
    };
    return independent_difference(values(after), values(before));
}

Delta delta_of(const Side &after, const Side &before, const DiffOptions &options) {
    Delta delta = difference_of(after, before, Pairing::none, usual_level, options.threshold);
    if (after.rounds.size() > 1 && before.rounds.size() > 1)
        return delta;
    if (after.run.slices.size() > 1 && before.run.slices.size() > 1) {
        delta.rtt = difference_of_slices(after.run, before.run, &SlicePair::untraced_ns);
        delta.traced = difference_of_slices(after.run, before.run, &SlicePair::traced_ns);
    }
    judge(delta, options.threshold);
    return delta;
}

bool is_over(const Delta &delta, double allowed) {
    bool certain = !delta.rtt.half_width || delta.rtt.excludes_zero();
    return certain && delta.rtt.mean > allowed * delta.against_rtt_ns;
}

} // namespace

Result<DiffResult> diff(const StoredResult &before, const StoredResult &after, const DiffOptions &options) {
    DiffResult result;
    result.before = before.name;
    result.after = after.name;
    result.environment = environment_of(after.result);
    result.allowed = options.allowed;
    result.conditions = conditions_of(before, after);
    if (!result.conditions.empty() && !options.anyway)
        return fail(fmt::format("{} and {}", before.name, after.name),
                    fmt::format("were not measured under the same conditions ({})", fmt::join(result.conditions, "; ")),
                    "--anyway compares them all the same");

    bool single = false;
    for (const Side &old_side : sides_of(before.result))
        for (const Side &new_side : sides_of(after.result)) {
            if (old_side.label != new_side.label)
                continue;
            single = single || old_side.rounds.size() == 1 || new_side.rounds.size() == 1;
            Delta delta = delta_of(new_side, old_side, options);
            if (options.allowed && is_over(delta, *options.allowed))
                result.over.push_back(delta.mode);
            delta.mode = fmt::format("{} in {}", new_side.label, after.name);
            delta.against = fmt::format("{} in {}", old_side.label, before.name);
            result.deltas.push_back(std::move(delta));
        }
    if (result.deltas.empty())
        return fail(fmt::format("{} and {}", before.name, after.name), "have no mode in common");

    for (const std::string &condition : result.conditions)
        result.warnings.push_back("different conditions: " + condition);
    const std::string &old_kernel = environment_of(before.result).kernel;
    if (old_kernel != result.environment.kernel)
        result.warnings.push_back(fmt::format("kernel {} before and {} after", old_kernel, result.environment.kernel));
    for (const StoredResult *stored : {&before, &after})
        if (!is_valid(stored->result))
            result.warnings.push_back(stored->name + " is not a valid result");
    if (single)
        result.warnings.emplace_back("a single run knows nothing of what differs from run to run; `vethtrace compare` "
                                     "makes results of many rounds");
    return result;
}

} // namespace vethtrace
