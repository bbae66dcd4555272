// SPDX-License-Identifier: GPL-2.0-only
#include "input/recording.hpp"
#include "report/watch_json.hpp"
#include "unit/watch_sample.hpp"

#include "support/schema.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace vethtrace {
namespace {

using namespace test;

std::string line_of(const WatchWindow &window) {
    return to_json(window, advise(window)).dump() + "\n";
}

std::string end_of(std::uint64_t windows) {
    WatchTotals totals;
    for (std::uint64_t i = 1; i <= windows; ++i)
        totals.add(window_of(i));
    Environment environment;
    environment.tool = "0.1";
    environment.kernel = "6.12";
    return final_json(totals, {}, "it was stopped", environment).dump() + "\n";
}

Result<WatchRecording> read(const std::string &text) {
    return WatchRecording::read("rec", std::make_unique<std::istringstream>(text), [](const WatchWindow &) {});
}

std::string reason(const std::string &text) {
    Result<WatchRecording> recording = read(text);
    return recording ? "" : recording.error().text();
}

TEST(Recording, IsReadAsItWasWritten) {
    std::string text = line_of(window_of(1)) + line_of(window_of(2)) + line_of(window_of(4)) + end_of(3);
    std::string again;
    Result<WatchRecording> recording =
        WatchRecording::read("rec", std::make_unique<std::istringstream>(text),
                             [&](const WatchWindow &window) { again += line_of(window); });
    ASSERT_TRUE(recording) << recording.error().text();
    EXPECT_EQ(again + end_of(3), text);
    EXPECT_EQ(recording->size(), 3);
    EXPECT_EQ(recording->ended(), "it was stopped");
    EXPECT_EQ(recording->environment().kernel, "6.12");
    EXPECT_TRUE(recording->remarks().empty());
    EXPECT_EQ(recording->totals().windows(), 3);
    // In any order, as often as one likes.
    for (std::size_t i : {2U, 0U, 1U, 2U}) {
        Result<WatchWindow> window = recording->window(i);
        ASSERT_TRUE(window) << window.error().text();
        EXPECT_EQ(line_of(*window), line_of(window_of(i == 2 ? 4 : i + 1)));
    }
    EXPECT_EQ(recording->index_of(1), 0);
    EXPECT_EQ(recording->index_of(3), 2);
    EXPECT_EQ(recording->index_of(5), 3);
}

TEST(Recording, TellsWhatWasNotSeenAndWhatWaited) {
    std::string text = line_of(troubled_window_of(1)) + line_of(troubled_window_of(2));
    WatchTotals totals;
    totals.add(troubled_window_of(1));
    totals.add(troubled_window_of(2));
    std::string end = final_json(totals, {}, "it was stopped", {}).dump() + "\n";
    std::string again;
    Result<WatchRecording> recording =
        WatchRecording::read("rec", std::make_unique<std::istringstream>(text + end),
                             [&](const WatchWindow &window) { again += line_of(window); });
    ASSERT_TRUE(recording) << recording.error().text();
    EXPECT_EQ(again, text);
    EXPECT_EQ(recording->totals().unseen().at({"db", Flow::in, Stage::backlog}).promised, 2408);
    recording = read(end);
    ASSERT_TRUE(recording) << recording.error().text();
    EXPECT_EQ(final_json(recording->totals(), {}, "it was stopped", {}).dump() + "\n", end);
}

// Written by vethtrace 0.1.0 while a client asked a server in a namespace, before there was a second version.
TEST(Recording, OfTheFirstVersionIsStillRead) {
    std::ifstream file(VETHTRACE_RECORDINGS "/watch-1.jsonl");
    std::string text(std::istreambuf_iterator<char>(file), {});
    std::istringstream lines(text);
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line); ++number)
        EXPECT_EQ(test::schema_errors("watch-1", nlohmann::json::parse(line)), "") << number;
    ASSERT_EQ(number, 3);
    std::string now;
    Result<WatchRecording> recording = WatchRecording::read("rec", std::make_unique<std::istringstream>(text),
                                                            [&](const WatchWindow &window) { now += line_of(window); });
    ASSERT_TRUE(recording) << recording.error().text();
    EXPECT_EQ(recording->size(), 2);
    ASSERT_EQ(recording->remarks().size(), 1);
    EXPECT_EQ(recording->remarks().front(), "rec is of vethtrace.watch/1, which does not tell what was not seen");
    EXPECT_EQ(recording->totals().conservation().entered, 171);
    EXPECT_EQ(recording->totals().conservation().completed, 153);
    EXPECT_TRUE(recording->totals().unseen().empty());
    // The server's socket was the client's then.
    EXPECT_NE(text.find("data_ready@client"), std::string::npos);
    EXPECT_EQ(now.find("@client"), std::string::npos);
    EXPECT_NE(now.find("\"from\":\"data_ready@container\",\"to\":\"app_recv@container\",\"stage\":\"wakeup\""),
              std::string::npos);
    // Its last line alone says the same.
    Result<WatchRecording> end = read(text.substr(text.rfind('\n', text.size() - 2) + 1));
    ASSERT_TRUE(end) << end.error().text();
    EXPECT_EQ(final_json(end->totals(), {}, "", {})["series"], final_json(recording->totals(), {}, "", {})["series"]);
}

TEST(Recording, WithoutAnEndIsReadAsFarAsItGoes) {
    std::string two = line_of(window_of(1)) + line_of(window_of(2));
    Result<WatchRecording> recording = read(two);
    ASSERT_TRUE(recording);
    EXPECT_EQ(recording->remarks().size(), 1);
    EXPECT_NE(recording->ended().find("killed"), std::string::npos);
    for (std::size_t cut : {1U, 100U, 700U}) {
        recording = read(two + line_of(window_of(3)).substr(0, cut));
        ASSERT_TRUE(recording) << cut;
        EXPECT_EQ(recording->size(), 2);
        EXPECT_NE(recording->remarks().front().find("rec:3 was cut off"), std::string::npos);
    }
    recording = read(line_of(window_of(1)) + end_of(2));
    ASSERT_TRUE(recording);
    EXPECT_NE(recording->remarks().front().find("had 2 windows, and 1 of them"), std::string::npos);
}

TEST(Recording, MayBeNothingButTheLineThatSumsUp) {
    nlohmann::ordered_json end = nlohmann::ordered_json::parse(end_of(2));
    end["lab"] = {{"mode", "veth"}, {"topology", "wire"}, {"cmd", "iperf3 -c x"}, {"peer_cmd", ""}};
    Result<WatchRecording> recording = read(end.dump() + "\n");
    ASSERT_TRUE(recording) << recording.error().text();
    EXPECT_EQ(recording->size(), 0);
    ASSERT_TRUE(recording->lab());
    EXPECT_EQ(recording->lab()->command, "iperf3 -c x");
    // It says what it said.
    nlohmann::ordered_json again = final_json(recording->totals(), {}, recording->ended(), recording->environment());
    again["lab"] = end["lab"];
    EXPECT_EQ(again, end);
    EXPECT_NE(reason(end.dump() + "\n" + line_of(window_of(1))).find("comes after"), std::string::npos);
}

TEST(Recording, ThatIsNotWhatItShouldBeIsRefusedWithItsLine) {
    auto with = [](const std::string &pointer, const nlohmann::ordered_json &value) {
        nlohmann::ordered_json json = to_json(window_of(2), {});
        json[nlohmann::ordered_json::json_pointer(pointer)] = value;
        return line_of(window_of(1)) + json.dump() + "\n";
    };
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "has no window"},
        {"\n", "rec:1: is empty"},
        {line_of(window_of(1)).substr(0, 50), "rec:1"},
        {line_of(window_of(1)) + "{\n" + line_of(window_of(2)), "rec:2"},
        {line_of(window_of(2)) + line_of(window_of(1)), "number is not above"},
        {line_of(window_of(1)) + end_of(1) + line_of(window_of(2)), "rec:3: comes after"},
        {with("/schema", "vethtrace.watch/3"), "rec:2: schema is vethtrace.watch/3, which this version does not know"},
        {with("/schema", "vethtrace.run/1"), "rec:2: schema is not vethtrace.watch/2"},
        {with("/unseen", nlohmann::ordered_json::object()), "rec:2: unseen is object"},
        {with("/unseen/0", {{"target", "web"}, {"direction", "in"}, {"stage", "nowhere"}}), "unseen[0].stage"},
        {with("/sockets/0", {{"target", "web"}, {"delivered", -1}}), "sockets[0].delivered"},
        {with("/conservation/left", 7000), "completed is less than its parts"},
        {with("/sample_ratio", -1), "sample_ratio is less than 1"},
        {with("/begun", "yesterday"), "is no time in UTC"},
        {with("/sample", 0), "sample is 0"},
        {with("/overhead_ratio", -1), "overhead_ratio"},
        {with("/grouping", "pod"), "grouping"},
        {with("/series/0/stage", "nowhere"), "stage"},
        {with("/series/0/direction", "up"), "direction"},
        {with("/series/0/count", 1), "histogram"},
        {with("/series/0/max_ns", 1), "max_ns"},
        {with("/drops/0/last", "moon"), "last"},
        {with("/slowest/0/marks/0/since_first_ns", 100'000), "order of time"},
        {with("/conservation/balanced", false), "balanced"},
        {with("/targets", -1), "targets"},
        {with("/notes", "none"), "notes"},
    };
    for (const auto &[text, part] : wrong)
        EXPECT_NE(reason(text).find(part), std::string::npos) << "wanted: " << part << "\ngot: " << reason(text);
}

} // namespace
} // namespace vethtrace
