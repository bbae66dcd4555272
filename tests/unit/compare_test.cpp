// SPDX-License-Identifier: GPL-2.0-only
#include "core/compare.hpp"
#include "core/diff.hpp"
#include "input/stored.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "support/schema.hpp"
#include "unit/rounds.hpp"
#include "unit/sample.hpp"

#include <array>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace vethtrace {
namespace {

using testing::Test;

// ---- differences

TEST(PairedDifference, IsThatOfStudent) {
    std::array<double, 3> a = {2, 4, 6};
    std::array<double, 3> b = {1, 2, 3};
    Difference difference = paired_difference(a, b);
    EXPECT_DOUBLE_EQ(difference.mean, 2);
    EXPECT_NEAR(*difference.half_width, 4.30265 / std::sqrt(3), 1e-4); // t(2) at 97.5 %
    EXPECT_NEAR(*difference.p_value, 0.0742, 1e-4);
    EXPECT_FALSE(difference.excludes_zero());
    EXPECT_NEAR(*difference.detectable, (4.30265 + 1.06066) / std::sqrt(3), 1e-4); // and t(2) at 80 %
}

TEST(PairedDifference, OfOnePairHasNoInterval) {
    std::array<double, 1> a = {2};
    std::array<double, 1> b = {1};
    Difference difference = paired_difference(a, b);
    EXPECT_DOUBLE_EQ(difference.mean, 1);
    EXPECT_FALSE(difference.half_width);
    EXPECT_FALSE(difference.p_value);
    EXPECT_FALSE(difference.excludes_zero());
}

TEST(PairedDifference, OfSamplesThatDoNotVaryLeavesNoDoubt) {
    std::array<double, 3> a = {2, 3, 4};
    std::array<double, 3> b = {1, 2, 3};
    EXPECT_TRUE(paired_difference(a, b).excludes_zero());
    EXPECT_EQ(paired_difference(a, b).p_value, 0);
    EXPECT_FALSE(paired_difference(a, a).excludes_zero());
    EXPECT_EQ(paired_difference(a, a).p_value, 1);
}

// The expected p value comes from integrating the density of t = -2.714 at 27.9 degrees of freedom.
TEST(IndependentDifference, IsThatOfWelch) {
    std::array<double, 15> a = {27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1,
                                21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4};
    std::array<double, 15> b = {27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0,
                                24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 22.4};
    Difference difference = independent_difference(a, b);
    EXPECT_NEAR(difference.mean, 20.82 - 23.52, 0.001);
    EXPECT_NEAR(*difference.p_value, 0.01127, 0.00001);
    EXPECT_TRUE(difference.excludes_zero());
}

TEST(Holm, AdjustsForTheNumberAndKeepsTheOrder) {
    std::vector<double> adjusted = adjust_for_number({0.01, 0.04, 0.03, 0.9});
    EXPECT_DOUBLE_EQ(adjusted[0], 0.04);
    EXPECT_DOUBLE_EQ(adjusted[2], 0.09);
    EXPECT_DOUBLE_EQ(adjusted[1], 0.09); // 2 times 0.04 would be below the one before
    EXPECT_DOUBLE_EQ(adjusted[3], 0.9);
    EXPECT_TRUE(adjust_for_number({}).empty());
}

// ---- looks

TEST(Looks, SpendNoMoreErrorsThanNinetyFivePercentAllow) {
    EXPECT_EQ(looks_of(5).size(), 1);
    EXPECT_EQ(looks_of(5).front().level, 0.95);
    std::vector<Look> looks = looks_of(20);
    ASSERT_EQ(looks.size(), 2);
    EXPECT_EQ(looks[0].rounds, 10);
    EXPECT_EQ(looks[1].rounds, 20);
    EXPECT_NEAR((1 - looks[0].level) + (1 - looks[1].level), 0.05, 1e-9);
}

// ---- comparisons of made-up rounds

Round round_with(double rtt, double backlog, double forward) {
    Round round{rtt, rtt + 500, backlog + forward + 900, {}};
    round.stages = {{Stage::backlog, backlog}, {Stage::wakeup, 900}};
    if (forward != 0)
        round.stages[Stage::host_forward] = forward;
    return round;
}

// Two modes whose rounds differ by as much as is said, with some noise in common and some of their own.
CompareResult comparison(double backlog, double forward, std::size_t rounds = 20) {
    CompareResult result;
    result.environment = small_result().environment;
    result.rounds = rounds;
    result.sides = {{"host", small_result(), {}}, {"veth", small_result(), {}}};
    result.sides[0].run.mode = Mode::host;
    std::mt19937 random(1);
    std::normal_distribution<double> drift(0, 200);
    std::normal_distribution<double> noise(0, 10);
    for (std::size_t i = 0; i < rounds; ++i) {
        double common = drift(random);
        result.sides[0].rounds.push_back(round_with(1000 + common + noise(random), 100 + noise(random), 0));
        result.sides[1].rounds.push_back(
            round_with(1000 + backlog + forward + common + noise(random), 100 + backlog + noise(random), forward));
    }
    conclude(result);
    return result;
}

const StageDelta &stage(const Delta &delta, Stage stage) {
    return *std::find_if(delta.stages.begin(), delta.stages.end(),
                         [stage](const StageDelta &one) { return one.stage == stage; });
}

TEST(Comparison, FindsADifferenceAndItsStages) {
    CompareResult result = comparison(200, 100);
    ASSERT_EQ(result.deltas.size(), 1);
    const Delta &delta = result.deltas.front();
    EXPECT_EQ(delta.verdict, Verdict::slower);
    EXPECT_NEAR(delta.rtt.mean, 300, 15); // although the rounds drift by 200
    EXPECT_TRUE(stage(delta, Stage::backlog).matters);
    EXPECT_TRUE(stage(delta, Stage::host_forward).matters);
    EXPECT_FALSE(stage(delta, Stage::wakeup).matters);
    EXPECT_NEAR(*delta.explained_ratio, 1, 0.05);
    EXPECT_GT(*delta.minimum_detectable_ns, 0);
}

TEST(Comparison, AddsUp) {
    Delta delta = comparison(200, 100).deltas.front();
    double sum = delta.unexplained.mean;
    for (const StageDelta &stage : delta.stages)
        sum += stage.delta.mean;
    EXPECT_NEAR(sum, delta.rtt.mean, 1e-6);
}

TEST(Comparison, TellsAStageThatIsNotThereFromOneThatTakesNoTime) {
    CompareResult result = comparison(200, 100);
    // The sample has a hop of every stage of veth; host has no host_forward.
    result.sides[0].run.hops.erase(std::remove_if(result.sides[0].run.hops.begin(), result.sides[0].run.hops.end(),
                                                  [](const Hop &hop) { return hop.name.stage == Stage::host_forward; }),
                                   result.sides[0].run.hops.end());
    conclude(result);
    const StageDelta &forward = stage(result.deltas.front(), Stage::host_forward);
    EXPECT_FALSE(forward.against_ns);
    EXPECT_EQ(forward.against_hops, 0);
    EXPECT_NEAR(*forward.mode_ns, 100, 15);
    EXPECT_EQ(forward.mode_hops, 2);
    nlohmann::ordered_json json = to_json(result);
    for (const auto &one : json["deltas"][0]["stages"])
        if (one["stage"] == "host_forward") {
            EXPECT_TRUE(one["against_ns"].is_null());
        }
}

TEST(Comparison, CallsAMinuteDifferenceIndistinguishableHoweverCertainItIs) {
    CompareResult result = comparison(5, 0, 2000);
    const Delta &delta = result.deltas.front();
    EXPECT_TRUE(delta.rtt.excludes_zero());
    EXPECT_EQ(delta.verdict, Verdict::indistinguishable);
    EXPECT_GE(*delta.minimum_detectable_ns, 0.01 * delta.against_rtt_ns);
}

TEST(Comparison, IsPreciseWhenItsIntervalsAreNarrow) {
    EXPECT_TRUE(comparison(200, 0, 20).precise == false); // +-6 ns of 1,000 is wider than 1 %
    EXPECT_TRUE(comparison(200, 0, 60).precise);
}

std::string all_of(const std::vector<std::string> &texts) {
    return std::accumulate(texts.begin(), texts.end(), std::string(),
                           [](const std::string &sum, const std::string &text) { return sum + text + "\n"; });
}

TEST(Comparison, WarnsOfTooFewRounds) {
    EXPECT_NE(all_of(comparison(200, 0, 2).warnings).find("no interval is possible under 3"), std::string::npos);
    EXPECT_NE(all_of(comparison(200, 0, 4).warnings).find("fewer than 5"), std::string::npos);
    EXPECT_NE(all_of(comparison(200, 0, 20).warnings).find("PRECISION WAS NOT REACHED"), std::string::npos);
}

TEST(Comparison, SaysWhenTracingWouldMoveTheVerdict) {
    CompareResult result = comparison(200, 0);
    for (Round &round : result.sides[1].rounds)
        round.traced_rtt_ns -= 200;
    conclude(result);
    EXPECT_NE(all_of(result.warnings).find("tracing itself would move the verdict"), std::string::npos);
}

TEST(Comparison, GivesTheSameModeTwoLabels) {
    std::array<Mode, 3> modes = {Mode::veth, Mode::host, Mode::veth};
    EXPECT_EQ(labels_of(modes), (std::vector<std::string>{"veth", "host", "veth#2"}));
}

TEST(Rounds, AddUpToOneResult) {
    Side side{"veth", {}, {}};
    RunResult one = small_result();
    one.slices = {{3100, 3000, 3100}, {3120, 3000, 3120}};
    one.conservation.entered = one.conservation.completed = 40;
    one.notes = {{2, "things"}};
    add_round(side, one);
    add_round(side, one);
    EXPECT_EQ(side.rounds.size(), 2);
    EXPECT_EQ(side.run.load.transactions, 40);
    EXPECT_EQ(side.run.hops.size(), one.hops.size());
    EXPECT_EQ(side.run.hops.front().time.count(), 40);
    EXPECT_EQ(side.run.conservation.entered, 80);
    EXPECT_EQ(side.run.slices.size(), 4);
    EXPECT_EQ(side.run.notes.front().count, 4);
    EXPECT_DOUBLE_EQ(side.run.observer.untraced_rtt_mean_ns, 3000);
}

// ---- are the intervals what they say?

// Blocks of two veth modes that were measured (unit/rounds.hpp), drawn anew and their sides exchanged by chance: there
// is no difference, so an interval of 95 % should exclude zero once in twenty times.
TEST(Intervals, ExcludeZeroOnceInTwentyTimesWhereThereIsNoDifference) {
    constexpr int repetitions = 4000;
    constexpr std::size_t rounds = 20;
    std::mt19937 random(20251123);
    std::uniform_int_distribution<std::size_t> block(0, same_mode_rounds.size() - 1);
    std::bernoulli_distribution swapped(0.5);
    int excluded = 0;
    int excluded_with_looks = 0;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        std::vector<double> a;
        std::vector<double> b;
        bool at_any_look = false;
        for (std::size_t i = 0; i < rounds; ++i) {
            auto [one, other] = same_mode_rounds.at(block(random));
            bool swap = swapped(random);
            a.push_back(swap ? other : one);
            b.push_back(swap ? one : other);
            for (const Look &look : looks_of(rounds))
                at_any_look =
                    at_any_look || (a.size() == look.rounds && paired_difference(a, b, look.level).excludes_zero());
        }
        excluded += paired_difference(a, b).excludes_zero() ? 1 : 0;
        excluded_with_looks += at_any_look ? 1 : 0;
    }
    double share = static_cast<double>(excluded) / repetitions;
    double share_with_looks = static_cast<double>(excluded_with_looks) / repetitions;
    std::cout << "excluded " << share * 100 << " %, with looks " << share_with_looks * 100 << " %\n";
    EXPECT_NEAR(share, 0.05, 0.015);
    EXPECT_LE(share_with_looks, 0.065);
}

// ---- stored and shown

TEST(Comparison, FollowsItsSchemaAndComesBackFromAFile) {
    CompareResult result = comparison(200, 100);
    nlohmann::ordered_json json = to_json(result);
    EXPECT_EQ(test::schema_errors("compare-1", nlohmann::json::parse(json.dump())), "");
    Result<Stored> read = parse_stored("compare.json", json.dump());
    ASSERT_TRUE(read) << read.error().text();
    // Means are stored with three decimals; once read, it is what it is.
    nlohmann::ordered_json once = to_json(std::get<CompareResult>(*read));
    nlohmann::ordered_json twice = to_json(std::get<CompareResult>(*parse_stored("compare.json", once.dump())));
    EXPECT_TRUE(twice == once) << nlohmann::json::diff(once, twice);
    EXPECT_EQ(once["samples"], json["samples"]);
    EXPECT_EQ(once["deltas"][0]["verdict"], "slower");
}

TEST(Comparison, IsRefusedWhereItsPartsDoNotFit) {
    struct Spoiled {
        const char *place;
        nlohmann::json value;
        const char *said;
    };
    const std::vector<Spoiled> cases = {
        {"/rounds", 19, "has not as many rounds"},
        {"/level", 1, "is not between 0.5 and 0.9999"},
        {"/level", 0.9999999999999999, "is not between 0.5 and 0.9999"},
        {"/samples/1/label", "macvlan", "is not the mode of its run"},
        {"/samples/1/rounds/0/stages", {{"teleport", 1}}, "is of no stage"},
        {"/samples/0/rounds/0/untraced_rtt_mean_ns", "fast", "untraced_rtt_mean_ns is string"},
        {"/runs", nlohmann::json::array(), "are not as many as the runs"},
        {"/schema", "vethtrace.compare/2", "this vethtrace reads vethtrace.compare/1"},
    };
    for (const Spoiled &spoiled : cases) {
        nlohmann::json json = nlohmann::json::parse(to_json(comparison(200, 100)).dump());
        json[nlohmann::json::json_pointer(spoiled.place)] = spoiled.value;
        Result<Stored> read = parse_stored("compare.json", json.dump());
        ASSERT_FALSE(read) << spoiled.place;
        EXPECT_NE(read.error().text().find(spoiled.said), std::string::npos) << read.error().text();
    }
}

TEST(Comparison, IsShownWithItsVerdictAndItsStages) {
    std::string text = to_text(comparison(200, 100), TextStyle{});
    EXPECT_NE(text.find("veth is slower than host by "), std::string::npos) << text;
    EXPECT_NE(text.find("in backlog ("), std::string::npos) << text;
    EXPECT_NE(text.find("the packet waits in a CPU's backlog"), std::string::npos);
    EXPECT_EQ(text.find("in wakeup ("), std::string::npos) << "its interval does not exclude zero";
    EXPECT_NE(to_text(comparison(0, 0), TextStyle{}).find("are indistinguishable"), std::string::npos);
}

// ---- two stored results

StoredResult stored(const std::string &name, CompareResult result) {
    return {name, std::move(result)};
}

TEST(Diff, FindsWhatGrew) {
    DiffOptions options{.threshold = 0.01, .allowed = 0.05, .anyway = false};
    // The rounds of two comparisons do not belong together, so the drift stays in: 200 of 1,000.
    Result<DiffResult> same = diff(stored("a", comparison(0, 0)), stored("b", comparison(0, 0)), options);
    ASSERT_TRUE(same);
    EXPECT_TRUE(same->over.empty());
    Result<DiffResult> grown = diff(stored("a", comparison(0, 0)), stored("b", comparison(800, 0)), options);
    ASSERT_TRUE(grown);
    EXPECT_EQ(grown->over, std::vector<std::string>{"veth"});
    EXPECT_EQ(grown->deltas.size(), 2);
    EXPECT_EQ(grown->deltas[1].verdict, Verdict::slower);
    EXPECT_TRUE(stage(grown->deltas[1], Stage::backlog).matters);
    EXPECT_EQ(test::schema_errors("diff-1", nlohmann::json::parse(to_json(*grown).dump())), "");
    EXPECT_NE(to_text(*grown, TextStyle{}).find("MORE THAN ALLOWED: the round trip of veth grew"), std::string::npos);
    Result<DiffResult> shrunk = diff(stored("a", comparison(800, 0)), stored("b", comparison(0, 0)), options);
    EXPECT_TRUE(shrunk->over.empty());
}

TEST(Diff, RefusesWhatWasMeasuredUnderOtherConditions) {
    CompareResult other = comparison(0, 0);
    for (Side &side : other.sides)
        side.run.load.request_bytes = 100;
    DiffOptions options;
    Result<DiffResult> refused = diff(stored("a", comparison(0, 0)), stored("b", other), options);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("request bytes: 0 and 100"), std::string::npos) << refused.error().text();
    options.anyway = true;
    Result<DiffResult> anyway = diff(stored("a", comparison(0, 0)), stored("b", other), options);
    ASSERT_TRUE(anyway);
    EXPECT_NE(all_of(anyway->warnings).find("different conditions"), std::string::npos);
}

TEST(Diff, OfRunsTakesTheirSlicesAndSaysWhatThatIsWorth) {
    RunResult run = small_result();
    run.slices = {{3100, 3000, 3100}, {3120, 3010, 3120}, {3120, 2990, 3120}};
    run.observer.untraced_rtt_mean_ns = 3000;
    RunResult slower = run;
    for (SlicePair &slice : slower.slices)
        slice.untraced_ns += 300;
    slower.observer.untraced_rtt_mean_ns += 300;
    DiffOptions options{.threshold = 0.01, .allowed = 0.05, .anyway = false};
    Result<DiffResult> result = diff({"a", run}, {"b", slower}, options);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->over, std::vector<std::string>{"veth"});
    EXPECT_TRUE(result->deltas.front().rtt.half_width);
    EXPECT_FALSE(result->deltas.front().stages.front().delta.half_width);
    EXPECT_NE(all_of(result->warnings).find("a single run knows nothing"), std::string::npos);
}

TEST(Diff, NeedsAModeInCommon) {
    RunResult host = small_result();
    host.mode = Mode::host;
    Result<DiffResult> result = diff({"a", small_result()}, {"b", host}, {});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().text().find("no mode in common"), std::string::npos);
}

} // namespace
} // namespace vethtrace
