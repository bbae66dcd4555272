// SPDX-License-Identifier: GPL-2.0-only
//
// Stored results that are no measurement of a lab, read back.
#include "input/stored.hpp"
#include "report/json.hpp"
#include "support/schema.hpp"
#include "unit/sample.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson changes() {
    RunResult before = small_result();
    RunResult after = small_result();
    before.warnings.clear();
    after.warnings.clear();
    for (RunResult *run : {&before, &after}) {
        run->observer.untraced_rtt_mean_ns = run == &before ? 2500 : 2700;
        for (int i = 0; i < 5; ++i)
            run->slices.push_back({3000.0 + i, run->observer.untraced_rtt_mean_ns + i, 3000.0 + i});
    }
    Result<DiffResult> result = diff({"a.json", before}, {"b.json", after}, {.threshold = 0.01, .allowed = 0.05});
    EXPECT_TRUE(result) << result.error().text();
    return to_json(*result);
}

OrderedJson round_trips() {
    RrResult result;
    result.environment = small_result().environment;
    result.server = "10.0.0.1";
    result.load = small_result().load;
    return to_json(result);
}

OrderedJson hooks() {
    Choice used;
    used.ladder.name = "xmit (veth)";
    used.ladder.purpose = "transmit of veth devices";
    used.tried = {{{HookKind::fentry, "veth_xmit", ""}, "refused: EPERM"},
                  {{HookKind::tracepoint, "net_dev_start_xmit", ""}, "used"}};
    used.used = used.tried.back().rung;
    Choice none;
    none.ladder.name = "gro";
    none.tried = {{{HookKind::tracepoint, "napi_gro_receive_entry", ""}, "no such tracepoint"}};
    return to_json({used, none}, small_result().environment);
}

std::string written(const AnyResult &result) {
    if (const auto *features = std::get_if<StoredFeatures>(&result))
        return to_json(features->choices, features->environment).dump();
    if (const auto *delta = std::get_if<DiffResult>(&result))
        return to_json(*delta).dump();
    return to_json(std::get<RrResult>(result)).dump();
}

std::string reason(const OrderedJson &json) {
    Result<AnyResult> result = parse_any("x.json", json.dump());
    return result ? "" : result.error().text();
}

TEST(StoredOthers, AreReadAsTheyWereWritten) {
    const std::vector<std::pair<std::string, OrderedJson>> all = {
        {"diff-1", changes()}, {"rr-1", round_trips()}, {"features-1", hooks()}};
    for (const auto &[schema, json] : all) {
        EXPECT_EQ(test::schema_errors(schema, json), "");
        Result<AnyResult> result = parse_any("x.json", json.dump());
        ASSERT_TRUE(result) << result.error().text();
        EXPECT_EQ(written(*result), json.dump());
    }
}

TEST(StoredOthers, AreRefusedWhereARunOrAComparisonIsNeeded) {
    for (const OrderedJson &json : {changes(), round_trips(), hooks()}) {
        Result<Stored> result = parse_stored("x.json", json.dump());
        ASSERT_FALSE(result);
        EXPECT_NE(result.error().text().find("one of vethtrace.run/1, vethtrace.compare/1 was expected"),
                  std::string::npos)
            << result.error().text();
    }
}

TEST(StoredOthers, ThatCannotBeAreRefusedWithTheirPlace) {
    auto with = [](OrderedJson json, const std::string &pointer, const OrderedJson &value) {
        json[OrderedJson::json_pointer(pointer)] = value;
        return json;
    };
    const std::vector<std::pair<OrderedJson, std::string>> wrong = {
        {with(changes(), "/schema", "vethtrace.diff/2"), "this vethtrace reads vethtrace.diff/1"},
        {with(changes(), "/deltas/0/verdict", "better"), "deltas[0].verdict is not slower, faster"},
        {with(changes(), "/deltas/0/rtt/ci95", {1, 2}), "deltas[0].rtt.ci95 does not lie around"},
        {with(changes(), "/deltas/0/rtt/ci95", {1}), "is no interval"},
        {with(changes(), "/deltas/0/rtt/p", 1.5), "is no probability"},
        {with(changes(), "/deltas/0/stages/0/stage", "nowhere"), "is not a stage"},
        {with(changes(), "/over", "veth"), "over is string, and an array was expected"},
        {with(round_trips(), "/load/transactions", 7), "is not the number of round trips"},
        {with(round_trips(), "/load/kind", "UDP_RR"), "is not TCP_RR"},
        {with(round_trips(), "/server", 7), "server is number"},
        {with(hooks(), "/ladders/0/hook", "veth_xmit kprobe"), "was not tried"},
        {with(hooks(), "/ladders/0/tried/0/kind", "uprobe"), "is not a kind of hook"},
        {with(hooks(), "/schema", "vethtrace.explain/1"), "is of schema vethtrace.explain/1"},
        {with(hooks(), "/schema", "vethtrace.else/1"), "one of vethtrace.run/1, vethtrace.compare/1"},
    };
    for (const auto &[json, part] : wrong)
        EXPECT_NE(reason(json).find(part), std::string::npos) << "wanted: " << part << "\ngot: " << reason(json);
}

} // namespace
} // namespace vethtrace
