// SPDX-License-Identifier: GPL-2.0-only
#include "input/stored.hpp"

#include "core/printable.hpp"
#include "input/document.hpp"
#include "input/others.hpp"
#include "input/parts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

namespace vethtrace {

namespace {

using Json = nlohmann::json;

// ---- its parts

LoadResult read_load(const Node &from) {
    constexpr std::uint64_t most_cpus = 1 << 20;
    LoadResult load = read_traffic(from);
    std::vector<Node> cpus = from["cpus"].items();
    if (cpus.size() != 2) {
        from["cpus"].refuse("is not the CPUs of client and server");
        return load;
    }
    load.client_cpu = static_cast<int>(cpus[0].count(most_cpus));
    load.server_cpu = static_cast<int>(cpus[1].count(most_cpus));
    load.sample = read_count32(from["sample"]);
    load.followed_rtt = read_histogram(from["followed"]["rtt"]);
    if (load.followed() > load.transactions)
        from["followed"].refuse("are more transactions than there were");
    if (load.sample == 0)
        from["sample"].refuse("is 0");
    return load;
}

std::vector<StationResult> read_stations(const Node &document) {
    std::vector<StationResult> stations;
    for (const Node &from : document["stations"].items()) {
        StationResult station{read_station(from["id"]), from["hook"].text(), read_tried(from["tried"])};
        station.hits = from["hits"].count();
        station.ended = from["ended"].count();
        station.missed = from["missed"].count();
        stations.push_back(std::move(station));
    }
    return stations;
}

std::vector<Hop> read_hops(const Node &document) {
    std::vector<Hop> hops;
    for (const Node &from : document["hops"].items()) {
        Hop hop;
        hop.name.direction = from["direction"].one_of([](const std::string &name) { return direction_named(name); },
                                                      "request or response");
        hop.name.from = read_station(from["from"]);
        hop.name.to = read_station(from["to"]);
        hop.name.stage = from["stage"].one_of([](const std::string &name) { return stage_named(name); }, "a stage");
        hop.name.every_message = hop.name.stage != Stage::segments && hop.name.stage != Stage::unforeseen;
        hop.time = read_histogram(from);
        hop.events = from["events"].count();
        hop.other_cpu = from["other_cpu"].count();
        hop.observer_ns = read_optional_number(from["observer_ns"]).value_or(0);
        hop.corrected_mean_ns = read_optional_number(from["corrected_mean_ns"]).value_or(0);
        hops.push_back(std::move(hop));
    }
    return hops;
}

NetRx read_net_rx(const Node &from) {
    NetRx net_rx;
    net_rx.raised = from["raised"].count();
    net_rx.runs = from["runs"].count();
    net_rx.wait = read_histogram(from["wait"]);
    net_rx.run = read_histogram(from["run"]);
    Node context = from["context"];
    net_rx.inline_ = context["inline"].count();
    net_rx.irq_exit = context["irq_exit"].count();
    net_rx.ksoftirqd = context["ksoftirqd"].count();
    net_rx.other_cpu = context["other_cpu"].count();
    net_rx.other = context["other"].count();
    return net_rx;
}

Ledger read_ledger(const Node &from, const LoadResult &load) {
    Ledger ledger;
    ledger.rtt_mean_ns = from["rtt_mean_ns"].number();
    ledger.explained_mean_ns = from["explained_mean_ns"].number();
    ledger.unexplained_mean_ns = from["unexplained_mean_ns"].number();
    ledger.explained_ratio = from["explained_ratio"].ratio();
    ledger.corrected_sum_ns = from["corrected_sum_ns"].number();
    ledger.corrected_residual_ns = from["corrected_residual_ns"].number();
    double rtt = load.followed_rtt.mean().value_or(0);
    constexpr double rounding = 0.001;
    if (std::abs(ledger.rtt_mean_ns - rtt) > rounding + rtt * rounding)
        from["rtt_mean_ns"].refuse("is not the mean of the round trips that were followed");
    return ledger;
}

std::map<std::string, std::uint64_t> read_counts(const Node &from) {
    std::map<std::string, std::uint64_t> counts;
    for (const auto &[name, node] : from.members())
        counts.emplace(name, node.count());
    return counts;
}

Conservation read_conservation(const Node &from) {
    Conservation conservation;
    conservation.entered = from["entered"].count();
    conservation.cloned = from["cloned"].count();
    conservation.segmented = from["segmented"].count();
    conservation.completed = from["completed"].count();
    conservation.dropped = read_counts(from["dropped"]);
    conservation.evicted = from["evicted"].count();
    conservation.merged = from["merged"].count();
    conservation.in_flight = from["in_flight"].count();
    conservation.missed = from["missed"].count();
    conservation.not_followed = read_counts(from["not_followed"]);
    if (from["balanced"].flag() != conservation.balanced())
        from["balanced"].refuse("does not agree with the counts beside it");
    return conservation;
}

Observer read_observer(const Node &from) {
    Observer observer;
    observer.untraced_rtt_mean_ns = from["untraced_rtt_mean_ns"].number();
    observer.traced_rtt_mean_ns = from["traced_rtt_mean_ns"].number();
    observer.added_ns = from["added_ns"].number();
    observer.added_ratio = from["added_ratio"].ratio();
    observer.added_ci95_ns = read_optional_number(from["added_ci95_ns"]);
    observer.event_ns = from["event_ns"].number();
    observer.kprobe_extra_ns = from["kprobe_extra_ns"].number();
    observer.stamp_ns = from["stamp_ns"].number();
    observer.events_per_transaction = from["events_per_transaction"].number();
    return observer;
}

std::optional<Budget> read_budget(const Node &from) {
    if (from.is_null())
        return std::nullopt;
    return Budget{from["limit_ratio"].ratio(), from["none_followed_ratio"].ratio(), from["all_followed_ratio"].ratio(),
                  static_cast<std::uint32_t>(from["sample"].count(UINT32_MAX))};
}

std::vector<SlicePair> read_slices(const Node &from) {
    std::vector<SlicePair> slices;
    if (!from.has("slices"))
        return slices;
    for (const Node &slice : from["slices"].items())
        slices.push_back({slice["traced_rtt_mean_ns"].number(), slice["untraced_rtt_mean_ns"].number(),
                          slice["followed_rtt_mean_ns"].number()});
    return slices;
}

std::vector<Timeline> read_timelines(const Node &document) {
    std::vector<Timeline> timelines;
    if (!document.has("timelines"))
        return timelines;
    for (const Node &from : document["timelines"].items()) {
        Timeline timeline{from["transaction"].count(), {}};
        for (const Node &mark : from["marks"].items())
            timeline.marks.push_back({read_station(mark["station"]), mark["since_send_ns"].count(),
                                      static_cast<int>(mark["cpu"].count(UINT16_MAX)),
                                      static_cast<std::uint32_t>(mark["pid"].count(UINT32_MAX)), mark["comm"].text(),
                                      mark["context"].text()});
        timelines.push_back(std::move(timeline));
    }
    return timelines;
}

RunResult read_run(const Node &document) {
    RunResult result;
    result.environment = read_environment(document);
    result.mode = document["mode"].one_of([](const std::string &name) { return mode_named(name); }, "a mode");
    result.topology =
        document["topology"].one_of([](const std::string &name) { return topology_named(name); }, "wire or local");
    result.port_mode = read_optional_text(document["port_mode"]);
    result.load = read_load(document["load"]);
    result.stations = read_stations(document);
    result.hops = read_hops(document);
    result.net_rx = read_net_rx(document["softirq"]["net_rx"]);
    result.ledger = read_ledger(document["ledger"], result.load);
    result.conservation = read_conservation(document["conservation"]);
    result.budget = read_budget(document["observer"]["budget"]);
    result.slices = read_slices(document["observer"]);
    result.observer = read_observer(document["observer"]);
    result.timelines = read_timelines(document);
    result.interrupted = document["interrupted"].flag();
    result.valid = document["valid"].flag();
    for (const Node &warning : document["warnings"].items())
        result.warnings.push_back(warning.text());
    return result;
}

// ---- comparisons

// "veth" and "veth#2" are both of the mode of their run.
Side read_side(const Node &run, const Node &samples) {
    Side side{samples["label"].text(), read_run(run), {}};
    std::string mode(name_of(side.run.mode));
    if (side.label != mode && side.label.rfind(mode + "#", 0) != 0)
        samples["label"].refuse("is not the mode of its run");
    for (const Node &from : samples["rounds"].items()) {
        Round round{from["untraced_rtt_mean_ns"].number(),
                    from["traced_rtt_mean_ns"].number(),
                    from["corrected_sum_ns"].number(),
                    {}};
        for (const auto &[name, mean] : from["stages"].members()) {
            if (std::optional<Stage> stage = stage_named(name))
                round.stages[*stage] = mean.number();
            else
                mean.refuse("is of no stage");
        }
        side.rounds.push_back(std::move(round));
    }
    return side;
}

CompareResult read_comparison(const Node &document) {
    CompareResult result;
    result.environment = read_environment(document);
    result.topology =
        document["topology"].one_of([](const std::string &name) { return topology_named(name); }, "wire or local");
    result.rounds = document["rounds"].count();
    Node plan = document["plan"];
    result.plan = {plan["rounds"].count(), plan["seed"].count(), plan["precision"].ratio(), plan["threshold"].ratio()};
    result.level = document["level"].ratio();
    constexpr double least_level = 0.5;
    constexpr double most_level = 0.9999; // any nearer to 1 a quantile can overflow
    if (!(result.level >= least_level && result.level <= most_level))
        document["level"].refuse("is not between 0.5 and 0.9999");
    std::vector<Node> runs = document["runs"].items();
    std::vector<Node> samples = document["samples"].items();
    if (runs.size() != samples.size() || runs.size() < 2) {
        document["samples"].refuse("are not as many as the runs, or fewer than two");
        return result;
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        result.sides.push_back(read_side(runs[i], samples[i]));
        if (result.sides.back().rounds.size() != result.rounds)
            samples[i].refuse("has not as many rounds as there were blocks");
    }
    result.interrupted = document["interrupted"].flag();
    if (document.failed())
        return result;
    conclude(result); // what follows from the rounds is reckoned, not believed
    result.valid = document["valid"].flag();
    result.warnings.clear();
    for (const Node &warning : document["warnings"].items())
        result.warnings.push_back(warning.text());
    return result;
}

// ---- which kind of result it is

constexpr std::array<std::string_view, 5> any_schemas = {"vethtrace.run/1", "vethtrace.compare/1", "vethtrace.diff/1",
                                                         "vethtrace.rr/1", "vethtrace.features/1"};
constexpr std::span<const std::string_view> measured_schemas = std::span(any_schemas).first(2);

// The schema of a document; a newer one deserves a word of its own.
Result<std::string_view> schema_of(const std::string &name, const Json &json,
                                   std::span<const std::string_view> expected) {
    auto member = json.is_object() ? json.find("schema") : json.end();
    if (!json.is_object() || member == json.end() || !member->is_string())
        return fail(name, "has no \"schema\", so it is no result of vethtrace", rewrite_hint);
    std::string found = printable(member->get<std::string>());
    for (std::string_view known : expected) {
        if (found == known)
            return known;
        if (found.starts_with(known.substr(0, known.find('/') + 1)))
            return fail(name, fmt::format("is of schema {}, and this vethtrace reads {}", found, known),
                        "a vethtrace of the same version as the one that wrote it can read it");
    }
    std::string reason = fmt::format("is of schema {}, and one of {} was expected", found, fmt::join(expected, ", "));
    if (found.starts_with("vethtrace.explain/"))
        return fail(name, reason,
                    "it follows from the kernel alone: `vethtrace explain` makes it anew, with --html too");
    if (found.starts_with("vethtrace.packet/"))
        return fail(name, reason, "packets on their own belong to a recording: `vethtrace watch --record FILE`");
    return fail(name, reason, rewrite_hint);
}

Result<AnyResult> parse_one_of(const std::string &name, std::string_view text,
                               std::span<const std::string_view> expected) {
    Result<Json> json = parse_json(name, text);
    if (!json)
        return tl::unexpected(json.error());
    Result<std::string_view> schema = schema_of(name, *json, expected);
    if (!schema)
        return tl::unexpected(schema.error());
    std::optional<Error> wrong;
    Node document(&*json, "", &wrong, name);
    AnyResult result = [&]() -> AnyResult {
        if (*schema == any_schemas[0])
            return read_run(document);
        if (*schema == any_schemas[1])
            return read_comparison(document);
        if (*schema == any_schemas[2])
            return read_diff(document);
        if (*schema == any_schemas[3])
            return read_rr(document);
        return read_features(document);
    }();
    if (wrong)
        return tl::unexpected(*wrong);
    return result;
}

Result<std::string> read_file(const std::string &path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return fail(path, "is a directory", rewrite_hint);
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail_errno(path, errno, rewrite_hint);
    std::string text(most_document_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad())
        return fail(path, "cannot be read", rewrite_hint);
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

} // namespace

Result<AnyResult> parse_any(const std::string &name, std::string_view text) {
    return parse_one_of(name, text, any_schemas);
}

Result<AnyResult> read_any(const std::string &path) {
    return read_file(path).and_then([&](const std::string &text) { return parse_any(path, text); });
}

Result<Stored> parse_stored(const std::string &name, std::string_view text) {
    return parse_one_of(name, text, measured_schemas).map([](AnyResult result) {
        if (auto *run = std::get_if<RunResult>(&result))
            return Stored(std::move(*run));
        return Stored(std::get<CompareResult>(std::move(result)));
    });
}

Result<Stored> read_stored(const std::string &path) {
    return read_file(path).and_then([&](const std::string &text) { return parse_stored(path, text); });
}

} // namespace vethtrace
