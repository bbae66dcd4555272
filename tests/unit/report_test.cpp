// SPDX-License-Identifier: GPL-2.0-only
#include "report/json.hpp"
#include "report/text.hpp"
#include "support/schema.hpp"
#include "unit/sample.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

TEST(RunAsJson, FollowsItsSchema) {
    EXPECT_EQ(test::schema_errors("run-1", to_json(small_result())), "");
}

TEST(RunAsJson, OfEveryModeFollowsItsSchema) {
    RunResult run = small_result();
    for (const ModeRow &row : all_modes()) {
        run.mode = row.mode;
        EXPECT_EQ(test::schema_errors("run-1", to_json(run)), "") << row.name;
    }
}

TEST(RunAsJson, OfNothingAtAllFollowsItsSchemaToo) {
    RunResult empty;
    empty.environment.cpus = 1;
    Way way = *Way::of(Mode::host, Topology::wire);
    empty.stations.push_back({way.steps().front().station, "load", {}});
    empty.hops.push_back({way.hops().front(), {}});
    EXPECT_EQ(test::schema_errors("run-1", to_json(empty)), "");
}

TEST(RunAsJson, TheSchemaRefusesWhatIsWrong) {
    nlohmann::json json = to_json(small_result());
    json["hops"][0]["stage"] = "teleport";
    EXPECT_NE(test::schema_errors("run-1", json), "");
    json = to_json(small_result());
    json.erase("ledger");
    EXPECT_NE(test::schema_errors("run-1", json), "");
}

TEST(RunAsJson, GivesNullWhereThereAreTooFewValues) {
    nlohmann::json json = to_json(small_result());
    EXPECT_EQ(json["hops"][0]["p50_ns"], 50);
    EXPECT_TRUE(json["hops"][0]["p99_ns"].is_null());
    EXPECT_EQ(json["load"]["rate_per_s"], 333333.333);
}

TEST(RunAsText, ShowsEveryHopTheLedgerAndTheWarnings) {
    std::string text = to_text(small_result(), TextStyle{});
    for (const char *wanted : {"queue@container -> xmit@container", "wakeup", "1.00us", "explained", "! a warning",
                               "The largest stage is wakeup with 67 % of the round trip"})
        EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\n" << text;
    EXPECT_EQ(text.find("segments"), std::string::npos) << "no message had several";
    EXPECT_EQ(text.find('\033'), std::string::npos) << "colours were not asked for";
}

TEST(RunAsText, SaysLoudlyThatAResultIsNotValid) {
    RunResult result = small_result();
    EXPECT_EQ(to_text(result, TextStyle{}).find("not valid"), std::string::npos);
    result.valid = false;
    EXPECT_NE(to_text(result, TextStyle{}).find("This result is not valid"), std::string::npos);
}

TEST(RunAsText, FitsANarrowTerminal) {
    TextStyle narrow;
    narrow.width = 80;
    EXPECT_EQ(to_text(small_result(), narrow).find('#'), std::string::npos) << "no room for bars";
    TextStyle wide;
    wide.width = 200;
    EXPECT_NE(to_text(small_result(), wide).find('#'), std::string::npos);
}

TEST(Durations, HaveThreeDigits) {
    EXPECT_EQ(duration_text(0), "0ns");
    EXPECT_EQ(duration_text(999.4), "999ns");
    EXPECT_EQ(duration_text(999.6), "1.00us");
    EXPECT_EQ(duration_text(1420), "1.42us");
    EXPECT_EQ(duration_text(13'040), "13.0us");
    EXPECT_EQ(duration_text(913'000), "913us");
    EXPECT_EQ(duration_text(1.5e6), "1.50ms");
    EXPECT_EQ(duration_text(2.5e9), "2.50s");
}

TEST(Counts, AreGroupedByThousands) {
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1000), "1,000");
    EXPECT_EQ(count_text(1234567), "1,234,567");
}

} // namespace
} // namespace vethtrace
