// SPDX-License-Identifier: GPL-2.0-only
#include "cli/explain_command.hpp"

#include "hooks/symbols.hpp"
#include "input/stored.hpp"
#include "run/environment.hpp"
#include "run/netfilter.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

// What was measured on one way; by its place among the command's modes.
using Runs = std::vector<std::optional<RunResult>>;

Result<RunResult> stored_run(const std::string &file, const Stored &stored, Mode mode, Topology topology) {
    std::vector<const RunResult *> runs;
    if (const auto *run = std::get_if<RunResult>(&stored))
        runs.push_back(run);
    if (const auto *compared = std::get_if<CompareResult>(&stored))
        for (const Side &side : compared->sides)
            runs.push_back(&side.run);
    for (const RunResult *run : runs)
        if (run->mode == mode && run->topology == topology)
            return *run;
    std::vector<std::string> there;
    there.reserve(runs.size());
    for (const RunResult *run : runs)
        there.push_back(fmt::format("{} ({})", name_of(run->mode), name_of(run->topology)));
    return fail(fmt::format("--from {}", file),
                fmt::format("has no run of {} in topology {}, but of {}", name_of(mode), name_of(topology),
                            fmt::join(there, ", ")),
                "explain the mode and --topology that were measured");
}

Result<Runs> stored_runs(const ExplainCommand &command) {
    Result<Stored> stored = read_stored(command.from);
    if (!stored)
        return tl::unexpected(stored.error());
    Runs runs;
    for (Mode mode : command.modes) {
        Result<RunResult> run = stored_run(command.from, *stored, mode, command.topology);
        if (!run)
            return tl::unexpected(run.error());
        runs.emplace_back(std::move(*run));
    }
    return runs;
}

Result<RunResult> live_run(const ExplainCommand &command, Mode mode, const std::atomic<bool> &stop,
                           const Progress &progress) {
    RunOptions run;
    run.mode = mode;
    run.topology = command.topology;
    run.load = command.load;
    run.count = command.live_transactions;
    run.timelines = 1;
    return run_lab(run, stop, [&](const std::string &step) { progress(fmt::format("{}: {}", name_of(mode), step)); });
}

Result<KernelNames> look_up_walks(const std::vector<Way> &ways) {
    std::vector<std::string_view> functions;
    std::vector<std::string_view> tracepoints = {"tcp_probe"}; // the last rung for data_ready
    for (const Way &way : ways) {
        std::vector<Passage> walk = walk_of(way);
        std::vector<std::string_view> named = functions_of(walk);
        functions.insert(functions.end(), named.begin(), named.end());
        for (const WalkModule &module : modules_of(way))
            functions.push_back(module.function);
        for (const Passage &passage : walk)
            tracepoints.insert(tracepoints.end(), passage.tracepoints.begin(), passage.tracepoints.end());
    }
    return look_up(functions, tracepoints);
}

// What the reader should know of a walk besides it.
void warn(ExplainResult &result, const Explanation &walk) {
    if (!walk.missing_modules.empty())
        result.warnings.push_back(fmt::format("{}: the kernel has no {} now, so functions of it are not named; --live "
                                              "loads what is a module",
                                              name_of(walk.mode), fmt::join(walk.missing_modules, ", ")));
    if (walk.measured && walk.measured->kernel != result.environment.kernel)
        result.warnings.push_back(fmt::format("{}: the times are of kernel {}, the functions of this one",
                                              name_of(walk.mode), walk.measured->kernel));
    if (walk.measured && !walk.measured->valid)
        result.warnings.push_back(fmt::format("{}: the times are of a run that is not valid", name_of(walk.mode)));
}

} // namespace

Result<ExplainResult> explain_modes(const ExplainCommand &command, const std::atomic<bool> &stop,
                                    const Progress &progress) {
    std::vector<Way> ways;
    for (Mode mode : command.modes) {
        Result<Way> way = Way::of(mode, command.topology);
        if (!way)
            return tl::unexpected(way.error());
        ways.push_back(std::move(*way));
    }
    ExplainResult result;
    Runs runs(command.modes.size());
    std::vector<std::optional<NetfilterCount>> counts(command.modes.size());
    if (!command.from.empty()) {
        Result<Runs> stored = stored_runs(command);
        if (!stored)
            return tl::unexpected(stored.error());
        runs = std::move(*stored);
    }
    // Before the functions are looked up: it loads the modules that they are in.
    for (std::size_t i = 0; command.live && i < command.modes.size() && !stop; ++i) {
        Result<RunResult> run = live_run(command, command.modes[i], stop, progress);
        if (!run)
            return tl::unexpected(run.error());
        runs[i] = std::move(*run);
        if (stop)
            break;
        progress(fmt::format("{}: counting in netfilter", name_of(command.modes[i])));
        Result<NetfilterCount> count =
            count_netfilter(command.modes[i], command.topology, command.load, command.counted_transactions, stop);
        if (count)
            counts[i] = std::move(*count);
        else // a kernel without nftables still has the rest
            result.warnings.push_back(fmt::format("{}: what netfilter sees was not counted: {}",
                                                  name_of(command.modes[i]), count.error().text()));
    }
    Result<KernelNames> names = look_up_walks(ways);
    if (!names)
        return tl::unexpected(names.error());
    result.environment = read_environment();
    for (std::size_t i = 0; i < ways.size(); ++i) {
        Explanation walk = explain(std::move(ways[i]), *names, runs[i] ? &*runs[i] : nullptr);
        walk.netfilter = std::move(counts[i]);
        warn(result, walk);
        result.valid = result.valid && (!walk.measured || walk.measured->valid);
        result.walks.push_back(std::move(walk));
    }
    result.side_by_side = side_by_side(result.walks);
    return result;
}

} // namespace vethtrace
