// SPDX-License-Identifier: GPL-2.0-only
#include "input/stored.hpp"

#include "input/document.hpp"
#include "input/target.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace vethtrace {

namespace {

using Json = nlohmann::json;

constexpr std::string_view schema = "vethtrace.run/1";

// ---- its parts

Histogram read_histogram(const Node &distribution) {
    Histogram histogram;
    Buckets read = read_buckets(distribution);
    if (read.buckets.empty())
        return histogram;
    std::vector<__u64> all(layout::BUCKETS);
    for (const SparseHistogram::Bucket &each : read.buckets)
        all[each.bucket] = each.count;
    histogram.merge(read.totals, std::span<const __u64, layout::BUCKETS>(all));
    return histogram;
}

std::optional<std::string> read_optional_text(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.text());
}

std::optional<double> read_optional_number(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.number());
}

// A member that older files do not have; absent is null.
template<typename Read>
auto read_newer(const Node &parent, const char *key, Read read) -> std::optional<decltype(read(parent))> {
    if (!parent.has(key))
        return std::nullopt;
    Node node = parent[key];
    return node.is_null() ? std::nullopt : std::optional(read(node));
}

std::string read_text(const Node &node) {
    return node.text();
}

std::optional<bool> read_optional_flag(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.flag());
}

std::vector<std::string> read_texts(const Node &from) {
    std::vector<std::string> texts;
    for (const Node &node : from.items())
        texts.push_back(node.text());
    return texts;
}

NetworkSettings read_network(const Node &from) {
    NetworkSettings network;
    network.congestion_control = read_optional_text(from["congestion_control"]);
    network.rps_default_mask = read_optional_text(from["rps_default_mask"]);
    for (const Node &device : from["devices"].items())
        network.devices.push_back({.name = device["name"].text(),
                                   .qdisc = read_optional_text(device["qdisc"]),
                                   .gro = read_optional_flag(device["gro"]),
                                   .gso = read_optional_flag(device["gso"]),
                                   .tso = read_optional_flag(device["tso"])});
    return network;
}

// What "unstable" says follows from the rest.
void read_newer_environment(const Node &from, Environment &environment) {
    environment.cpu_model = read_newer(from, "cpu_model", read_text);
    environment.governor = read_newer(from, "governor", read_text);
    environment.idle_states = read_newer(from, "idle_states", read_texts);
    environment.deepest_idle_latency_us = read_newer(from, "deepest_idle_latency_us", [](const Node &node) {
        return static_cast<std::uint32_t>(node.count(UINT32_MAX));
    });
    environment.mitigations = read_newer(from, "mitigations", [](const Node &node) {
        std::map<std::string, std::string> mitigations;
        for (const auto &[name, text] : node.members())
            mitigations.emplace(name, text.text());
        return mitigations;
    });
    environment.smt = read_newer(from, "smt", read_text);
    environment.smt_active = read_newer(from, "smt_active", [](const Node &node) { return node.flag(); });
    environment.network = read_newer(from, "network", read_network);
}

Environment read_environment(const Node &document) {
    constexpr std::uint64_t most_cpus = 1 << 20;
    Node from = document["environment"];
    Environment environment;
    environment.tool = document["tool"]["version"].text();
    environment.libbpf = document["tool"]["libbpf"].text();
    environment.kernel = from["kernel"].text();
    environment.arch = from["arch"].text();
    environment.cpus = static_cast<int>(from["cpus"].count(most_cpus));
    environment.clocksource = from["clocksource"].text();
    environment.lockdown = read_optional_text(from["lockdown"]);
    environment.virtualization = read_optional_text(from["virtualization"]);
    read_newer_environment(from, environment);
    return environment;
}

LoadResult read_load(const Node &from) {
    constexpr std::uint64_t most_cpus = 1 << 20;
    auto count32 = [](const Node &node) { return static_cast<std::uint32_t>(node.count(UINT32_MAX)); };
    LoadResult load;
    if (from["kind"].text() != "TCP_RR")
        from["kind"].refuse("is not TCP_RR");
    load.transactions = from["transactions"].count();
    load.duration_ns = from["duration_ns"].count();
    load.request_bytes = count32(from["request_bytes"]);
    load.response_bytes = count32(from["response_bytes"]);
    load.flows = count32(from["flows"]);
    std::vector<Node> cpus = from["cpus"].items();
    if (cpus.size() != 2) {
        from["cpus"].refuse("is not the CPUs of client and server");
        return load;
    }
    load.client_cpu = static_cast<int>(cpus[0].count(most_cpus));
    load.server_cpu = static_cast<int>(cpus[1].count(most_cpus));
    load.rtt = read_histogram(from["rtt"]);
    load.sample = count32(from["sample"]);
    load.followed_rtt = read_histogram(from["followed"]["rtt"]);
    if (load.rtt.count() != load.transactions)
        from["transactions"].refuse("is not the number of round trips");
    if (load.followed() > load.transactions)
        from["followed"].refuse("are more transactions than there were");
    if (load.sample == 0)
        from["sample"].refuse("is 0");
    return load;
}

// "veth_xmit fentry", and its kind once more.
Rung read_rung(const Node &attempt) {
    HookKind kind =
        attempt["kind"].one_of([](const std::string &name) { return hook_kind_named(name); }, "a kind of hook");
    std::string text = attempt["hook"].text();
    return {kind, text.substr(0, text.find(' ')), ""};
}

std::vector<StationResult> read_stations(const Node &document) {
    std::vector<StationResult> stations;
    for (const Node &from : document["stations"].items()) {
        StationResult station{read_station(from["id"]), from["hook"].text(), {}};
        for (const Node &attempt : from["tried"].items())
            station.tried.push_back({read_rung(attempt), attempt["result"].text()});
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

RunResult read_document(const Node &document) {
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
    Side side{samples["label"].text(), read_document(run), {}};
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

constexpr std::string_view compare_schema = "vethtrace.compare/1";

// The schema of a document; a newer one, or another kind of result, deserves a word of its own.
Result<std::string> schema_of(const std::string &name, const Json &json) {
    auto member = json.is_object() ? json.find("schema") : json.end();
    if (!json.is_object() || member == json.end() || !member->is_string())
        return fail(name, "has no \"schema\", so it is no result of vethtrace", rewrite_hint);
    std::string found = printable(member->get<std::string>());
    for (std::string_view known : {schema, compare_schema}) {
        if (found == known)
            return found;
        std::string_view kind = known.substr(0, known.find('/') + 1);
        if (found.rfind(kind, 0) == 0)
            return fail(name, fmt::format("is of schema {}, and this vethtrace reads {}", found, known),
                        "a vethtrace of the same version as the one that wrote it can read it");
    }
    return fail(
        name,
        fmt::format("is of schema {}, and a run ({}) or a comparison ({}) was expected", found, schema, compare_schema),
        rewrite_hint);
}

} // namespace

Result<Stored> parse_stored(const std::string &name, std::string_view text) {
    Result<Json> json = parse_json(name, text);
    if (!json)
        return tl::unexpected(json.error());
    Result<std::string> found = schema_of(name, *json);
    if (!found)
        return tl::unexpected(found.error());
    std::optional<Error> wrong;
    Node document(&*json, "", &wrong, name);
    Stored stored;
    if (*found == schema)
        stored = read_document(document);
    else
        stored = read_comparison(document);
    if (wrong)
        return tl::unexpected(*wrong);
    return stored;
}

Result<Stored> read_stored(const std::string &path) {
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
    return parse_stored(path, text);
}

} // namespace vethtrace
