// SPDX-License-Identifier: GPL-2.0-only
#include "input/parts.hpp"

#include "input/document.hpp"

#include <map>
#include <span>

namespace vethtrace {

namespace {

std::optional<bool> read_optional_flag(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.flag());
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

// "veth_xmit fentry", and its kind once more.
Rung read_rung(const Node &attempt) {
    HookKind kind =
        attempt["kind"].one_of([](const std::string &name) { return hook_kind_named(name); }, "a kind of hook");
    std::string text = attempt["hook"].text();
    return {kind, text.substr(0, text.find(' ')), ""};
}

} // namespace

std::uint32_t read_count32(const Node &node) {
    return static_cast<std::uint32_t>(node.count(UINT32_MAX));
}

std::string read_text(const Node &node) {
    return node.text();
}

std::vector<std::string> read_texts(const Node &from) {
    std::vector<std::string> texts;
    for (const Node &node : from.items())
        texts.push_back(node.text());
    return texts;
}

std::optional<std::string> read_optional_text(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.text());
}

std::optional<double> read_optional_number(const Node &node) {
    return node.is_null() ? std::nullopt : std::optional(node.number());
}

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

LoadResult read_traffic(const Node &from) {
    LoadResult load;
    if (from["kind"].text() != "TCP_RR")
        from["kind"].refuse("is not TCP_RR");
    load.transactions = from["transactions"].count();
    load.duration_ns = from["duration_ns"].count();
    load.request_bytes = read_count32(from["request_bytes"]);
    load.response_bytes = read_count32(from["response_bytes"]);
    load.flows = read_count32(from["flows"]);
    load.rtt = read_histogram(from["rtt"]);
    if (load.rtt.count() != load.transactions)
        from["transactions"].refuse("is not the number of round trips");
    return load;
}

std::vector<Attempt> read_tried(const Node &from) {
    std::vector<Attempt> tried;
    for (const Node &attempt : from.items())
        tried.push_back({read_rung(attempt), attempt["result"].text()});
    return tried;
}

} // namespace vethtrace
