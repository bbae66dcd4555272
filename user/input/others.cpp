// SPDX-License-Identifier: GPL-2.0-only
#include "input/others.hpp"

#include "input/parts.hpp"

#include <cmath>

namespace vethtrace {

namespace {

std::optional<double> read_probability(const Node &node) {
    std::optional<double> value = read_optional_number(node);
    if (value && !(*value >= 0 && *value <= 1))
        node.refuse("is no probability");
    return value;
}

// The interval lies around the difference, as every one does that was written.
Difference read_difference(const Node &from) {
    Difference difference;
    difference.mean = from["delta_ns"].number();
    difference.p_value = read_probability(from["p"]);
    Node interval = from["ci95"];
    if (interval.is_null())
        return difference;
    std::vector<Node> ends = interval.items();
    if (ends.size() != 2) {
        interval.refuse("is no interval: [low, high]");
        return difference;
    }
    double low = ends[0].number();
    double high = ends[1].number();
    constexpr double rounding = 0.002;
    constexpr double arithmetic = 1e-9; // a part of the value
    double middle = (low + high) / 2;
    if (low > high || std::abs(middle - difference.mean) > rounding + arithmetic * std::abs(middle))
        interval.refuse("does not lie around delta_ns");
    difference.half_width = (high - low) / 2;
    return difference;
}

StageDelta read_stage_delta(const Node &from) {
    StageDelta stage;
    stage.stage = from["stage"].one_of([](const std::string &name) { return stage_named(name); }, "a stage");
    stage.mode_ns = read_optional_number(from["mode_ns"]);
    stage.against_ns = read_optional_number(from["against_ns"]);
    stage.mode_hops = from["mode_hops"].count();
    stage.against_hops = from["against_hops"].count();
    stage.delta = read_difference(from);
    stage.adjusted_p = read_probability(from["adjusted_p"]);
    stage.matters = from["matters"].flag();
    return stage;
}

Verdict read_verdict(const Node &node) {
    return node.one_of([](const std::string &name) { return verdict_named(name); },
                       "slower, faster or indistinguishable");
}

Delta read_delta(const Node &from) {
    Delta delta;
    delta.mode = from["mode"].text();
    delta.against = from["against"].text();
    delta.against_rtt_ns = from["against_rtt_mean_ns"].number();
    delta.rtt = read_difference(from["rtt"]);
    delta.traced = read_difference(from["traced_rtt"]);
    delta.corrected = read_difference(from["corrected"]);
    for (const Node &stage : from["stages"].items())
        delta.stages.push_back(read_stage_delta(stage));
    delta.unexplained = read_difference(from["unexplained"]);
    delta.explained_ratio = read_optional_number(from["explained_ratio"]);
    delta.verdict = read_verdict(from["verdict"]);
    delta.traced_verdict = read_verdict(from["traced_verdict"]);
    delta.minimum_detectable_ns = read_optional_number(from["minimum_detectable_ns"]);
    return delta;
}

} // namespace

DiffResult read_diff(const Node &document) {
    DiffResult result;
    result.environment.tool = document["tool"]["version"].text();
    result.environment.libbpf = document["tool"]["libbpf"].text();
    result.before = document["before"].text();
    result.after = document["after"].text();
    if (!document["allowed_ratio"].is_null())
        result.allowed = document["allowed_ratio"].ratio();
    for (const Node &delta : document["deltas"].items())
        result.deltas.push_back(read_delta(delta));
    result.over = read_texts(document["over"]);
    result.conditions = read_texts(document["conditions"]);
    result.warnings = read_texts(document["warnings"]);
    return result;
}

RrResult read_rr(const Node &document) {
    RrResult result;
    result.environment = read_environment(document);
    result.server = document["server"].text();
    result.load = read_traffic(document["load"]);
    result.interrupted = document["interrupted"].flag();
    return result;
}

StoredFeatures read_features(const Node &document) {
    StoredFeatures features;
    features.environment = read_environment(document);
    for (const Node &from : document["ladders"].items()) {
        Choice choice;
        choice.ladder.name = from["name"].text();
        choice.ladder.purpose = from["purpose"].text();
        choice.tried = read_tried(from["tried"]);
        if (!from["hook"].is_null()) {
            std::string hook = from["hook"].text();
            for (const Attempt &attempt : choice.tried)
                if (attempt.rung.text() == hook)
                    choice.used = attempt.rung;
            if (!choice.used)
                from["hook"].refuse("was not tried");
        }
        features.choices.push_back(std::move(choice));
    }
    return features;
}

} // namespace vethtrace
