// SPDX-License-Identifier: GPL-2.0-only
//
// What comes from outside is read whole or refused with its place and the reason; nothing else can happen.
#include "input/stored.hpp"
#include "input/target.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "support/schema.hpp"
#include "unit/sample.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace vethtrace {
namespace {

using Json = nlohmann::json;

// A result with everything in it that can be stored.
RunResult full_result() {
    RunResult result = small_result();
    result.port_mode = "l2";
    Environment &environment = result.environment;
    environment.cpu_model = "A CPU";
    environment.governor = "schedutil";
    environment.idle_states = {"POLL", "C1", "C6"};
    environment.deepest_idle_latency_us = 133;
    environment.mitigations.emplace().emplace("spectre_v2", "Mitigation: Retpolines");
    environment.smt = "on";
    environment.smt_active = true;
    environment.network = {"cubic", "3", {{"container", "noqueue", true, true, false}}};
    result.stations.front().tried = {{{HookKind::fentry, "veth_xmit", ""}, "refused: EPERM"},
                                     {{HookKind::tracepoint, "net_dev_start_xmit", ""}, "used"}};
    for (Histogram *histogram : {&result.net_rx.wait, &result.net_rx.run})
        for (Nanoseconds ns : {0, 63, 64, 1000, 123'456'789})
            histogram->add(ns);
    result.net_rx.wait.add(Nanoseconds{1} << 40); // in the overflow bucket
    result.conservation.entered = 40;
    result.conservation.completed = 38;
    result.conservation.dropped = {{"NETFILTER_DROP", 2}};
    result.conservation.not_followed = {{"warm_up", 7}};
    result.observer.added_ci95_ns = 12.5;
    result.budget = Budget{0.1, 0.05, 0.2, 16};
    result.timelines = {{3, {{at(layout::MOMENT_APP_SEND, layout::END_CLIENT), 0, 1, 77, "rr-client", "process"}}}};
    return result;
}

// What results of earlier versions do not have.
const std::set<std::string> newer = {"cpu_model",   "governor", "idle_states", "deepest_idle_latency_us",
                                     "mitigations", "smt",      "smt_active",  "network",
                                     "slices"};

Json full_document() {
    return Json::parse(to_text(to_json(full_result()), false));
}

// A run, and nothing else.
Result<RunResult> parse_run(const std::string &name, const std::string &text) {
    return parse_stored(name, text).map([](Stored stored) { return std::get<RunResult>(std::move(stored)); });
}

std::string refusal_of(const std::string &text) {
    Result<RunResult> result = parse_run("run.json", text);
    return result ? "" : result.error().text();
}

TEST(StoredRun, ComesBackAsItWas) {
    RunResult result = full_result();
    std::string stored = to_text(to_json(result), true);
    Result<RunResult> read = parse_run("run.json", stored);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(to_text(to_json(*read), true), stored);
    EXPECT_EQ(to_text(*read, TextStyle{}), to_text(result, TextStyle{}));
}

TEST(StoredRun, MayHoldMoreThanIsKnown) {
    Json json = full_document();
    json["new"] = {{"from", "a later version"}};
    json["hops"][0]["new"] = 1;
    EXPECT_EQ(refusal_of(json.dump()), "");
}

TEST(StoredRun, MayBeOfAVersionThatKnewLessOfTheMachine) {
    Json json = full_document();
    for (const std::string &name : newer)
        json["environment"].erase(name);
    Result<RunResult> read = parse_run("run.json", json.dump());
    ASSERT_TRUE(read) << read.error().text();
    Json again = Json::parse(to_text(to_json(*read), false));
    for (const std::string &name : newer)
        EXPECT_TRUE(again["environment"][name].is_null()) << name;
    EXPECT_EQ(test::schema_errors("run-1", again), "");
    EXPECT_EQ(test::schema_errors("run-1", full_document()), "");
}

TEST(StoredRun, CannotWriteToTheTerminalByItself) {
    Json json = full_document();
    json["warnings"] = {"\033[2J\x07gone\u009b31m"};
    Result<RunResult> read = parse_run("run.json", json.dump());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->warnings.front(), "\uFFFD[2J\uFFFDgone\uFFFD31m");
}

// ---- each member of the document, missing or of another kind

// What is written for others to read and follows from the rest, so nobody has to read it back.
const std::set<std::string> derived = {"mean_ns",  "p50_ns",      "p90_ns",     "p99_ns",
                                       "p999_ns",  "rate_per_s",  "context_by", "runs_per_transaction",
                                       "overflow", "rtt_mean_ns", "timelines",  "transactions",
                                       "min_ns",   "max_ns",      "unstable"};

bool is_read(const Json::json_pointer &place) {
    bool by_name = derived.count(place.back()) == 0;
    std::string parent = place.parent_pointer().to_string();
    if (place.back() == "rtt_mean_ns")
        return parent == "/ledger";
    if (place.back() == "transactions")
        return parent == "/load";
    if (place.back() == "min_ns" || place.back() == "max_ns") // where there is anything to have a minimum
        return full_document()[place.parent_pointer()]["count"] != 0;
    return by_name;
}

void collect(const Json &json, const Json::json_pointer &place, std::vector<Json::json_pointer> &places) {
    if (json.is_object())
        for (const auto &[key, value] : json.items()) {
            const std::set<std::string> with_free_names = {"/conservation/dropped", "/conservation/not_followed",
                                                           "/environment/mitigations"};
            bool names_are_free = with_free_names.count(place.to_string()) != 0;
            if (!names_are_free && is_read(place / key))
                places.push_back(place / key);
            collect(value, place / key, places);
        }
    else if (json.is_array() && !json.empty())
        collect(json[0], place / 0, places);
}

TEST(StoredRun, IsRefusedWithoutAnyOfItsMembersAndWithAnyOfAnotherKind) {
    Json document = full_document();
    std::vector<Json::json_pointer> places;
    collect(document, Json::json_pointer(), places);
    std::size_t cases = 0;
    for (const Json::json_pointer &place : places) {
        SCOPED_TRACE(place.to_string());
        Json without = document;
        without[place.parent_pointer()].erase(place.back());
        if (newer.count(place.back()) == 0) {
            EXPECT_NE(refusal_of(without.dump()).find(place.back()), std::string::npos) << refusal_of(without.dump());
        }
        ++cases;

        Json other = document;
        bool is_text = other[place].is_string() || other[place].is_null();
        other[place] = is_text ? Json(7) : Json("seven");
        EXPECT_NE(refusal_of(other.dump()), "");
        other[place] = Json::array({Json::object()});
        EXPECT_NE(refusal_of(other.dump()), "");
        cases += 2;
    }
    EXPECT_GE(cases, 200);
}

// ---- values of the right kind that cannot be

struct Spoiled {
    std::string place;
    Json value;
    std::string said;
};

TEST(StoredRun, IsRefusedWithValuesThatCannotBe) {
    const std::vector<Spoiled> spoiled = {
        {"/schema", "vethtrace.run/2", "this vethtrace reads vethtrace.run/1"},
        {"/schema", "vethtrace.watch/1", "one of vethtrace.run/1, vethtrace.compare/1 was expected"},
        {"/schema", 1, "no result of vethtrace"},
        {"/mode", "teleport", "mode is not a mode"},
        {"/mode", "", "mode is not a mode"},
        {"/topology", "ring", "topology is not wire or local"},
        {"/environment/cpus", -1, "environment.cpus is number"},
        {"/environment/cpus", 1e300, "environment.cpus is number"},
        {"/environment/cpus", 4294967296, "at most"},
        {"/environment/idle_states/0", 1, "environment.idle_states[0] is number"},
        {"/environment/deepest_idle_latency_us", 4294967296, "at most"},
        {"/environment/mitigations/spectre_v2", nullptr, "environment.mitigations.spectre_v2 is null"},
        {"/environment/network/devices/0/gro", 1, "environment.network.devices[0].gro is number"},
        {"/load/kind", "UDP_STREAM", "load.kind is not TCP_RR"},
        {"/load/transactions", 21, "load.transactions is not the number of round trips"},
        {"/load/transactions", -20, "load.transactions is number"},
        {"/load/transactions", 20.5, "load.transactions is number"},
        {"/load/flows", 4294967296, "at most 4294967295"},
        {"/load/duration_ns", std::numeric_limits<std::uint64_t>::max(), "at most"},
        {"/load/cpus", Json::array({1}), "load.cpus is not the CPUs"},
        {"/load/cpus", Json::array({1, 2, 3}), "load.cpus is not the CPUs"},
        {"/load/sample", 0, "load.sample is 0"},
        {"/load/rtt/count", 19, "holds 20 values"},
        {"/load/rtt/min_ns", 1, "not in the first bucket"},
        {"/load/rtt/max_ns", 100'000, "not in the last bucket"},
        {"/load/rtt/sum_ns", 1, "not between"},
        {"/load/rtt/histogram/0/0", 3001, "none of the buckets"},
        {"/load/rtt/histogram/0/1", 9'000, "none of the buckets"},
        {"/load/rtt/histogram/0/1", nullptr, "none of the buckets"},
        {"/load/rtt/histogram/0/2", 0, "empty bucket"},
        {"/load/rtt/histogram/0", Json::array({1, 2}), "no bucket"},
        {"/load/rtt/histogram", Json::array(), "holds 0 values"},
        {"/softirq/net_rx/wait/histogram/1", Json::array({0, 0, 1}), "not above the bucket before"},
        {"/stations/0/id", "xmit@moon", "stations[0].id is not the name of a station"},
        {"/stations/0/tried/0/kind", "uprobe", "not a kind of hook"},
        {"/hops/0/stage", "teleport", "hops[0].stage is not a stage"},
        {"/hops/0/direction", "sideways", "not request or response"},
        {"/hops/0/from", "nowhere", "hops[0].from is not the name of a station"},
        {"/hops/0/to", "xmit@", "hops[0].to is not the name of a station"},
        {"/hops/0/events", -3, "hops[0].events is number"},
        {"/ledger/rtt_mean_ns", 1e-300, "not the mean of the round trips"},
        {"/ledger/rtt_mean_ns", 1e17, "larger than anything"},
        {"/ledger/explained_ratio", 1e12, "no ratio"},
        {"/conservation/balanced", false, "does not agree"},
        {"/conservation/dropped/NETFILTER_DROP", -1, "dropped.NETFILTER_DROP is number"},
        {"/observer/budget/sample", "all", "observer.budget.sample is string"},
        {"/timelines/0/marks/0/cpu", 65536, "at most 65535"},
        {"/timelines/0/marks/0/station", "", "not the name of a station"},
        {"/valid", "yes", "valid is string"},
        {"/warnings", "none", "warnings is string"},
        {"/warnings/0", 5, "warnings[0] is number"},
    };
    for (const Spoiled &spoil : spoiled) {
        Json json = full_document();
        json[Json::json_pointer(spoil.place)] = spoil.value;
        EXPECT_NE(refusal_of(json.dump()).find(spoil.said), std::string::npos)
            << spoil.place << " = " << spoil.value << ": " << refusal_of(json.dump());
    }
}

TEST(StoredRun, IsRefusedWhenItIsNoProperText) {
    std::string text = full_document().dump();
    std::string deep(100, '[');
    struct Text {
        std::string text;
        std::string said;
    };
    const std::vector<Text> texts = {
        {"", "is empty"},
        {" \n\t", "is empty"},
        {"hello", "no JSON"},
        {"null", "no \"schema\""},
        {"[]", "no \"schema\""},
        {"{}", "no \"schema\""},
        {"7", "no \"schema\""},
        {text.substr(0, text.size() / 2), "no JSON"},
        {text.substr(0, text.size() - 1), "no JSON"},
        {text + text, "no JSON"},
        {text + "}", "no JSON"},
        {text.substr(1), "no JSON"},
        {deep, "nested more than 32 deep"},
        {std::string(1 << 20, '{'), "nested more than 32 deep"},
        {"{\"schema\": \"vethtrace.run/1\", \"schema\": \"vethtrace.run/1\"}", "\"schema\" twice"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": NaN}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": Infinity}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": 1e400}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": 'veth'}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\",}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", // comment\n}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": \"\xff\"}", "no JSON"},
        {"{\"schema\": \"vethtrace.run/1\", \"mode\": \"\x01\"}", "no JSON"},
        {"{\"schema\": \"\\ud800\"}", "no JSON"},
        {std::string("\0\0\0\0", 4), "no JSON"},
        {"\x1f\x8b\x08", "no JSON"},
    };
    for (const Text &bad : texts)
        EXPECT_NE(refusal_of(bad.text).find(bad.said), std::string::npos)
            << bad.text.substr(0, 80) << ": " << refusal_of(bad.text);
}

TEST(StoredRun, NamesAFileThatCannotBeRead) {
    for (const char *path : {"/nowhere/run.json", "/tmp", "/dev/null"}) {
        Result<Stored> read = read_stored(path);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().object, path);
        EXPECT_EQ(read.error().exit, Exit::failed);
    }
}

// ---- names

TEST(NetnsTarget, IsANameAProcessAPathOrAnInode) {
    EXPECT_EQ(std::get<NetnsName>(*parse_netns("blue")).name, "blue");
    EXPECT_EQ(std::get<NetnsName>(*parse_netns("4a")).name, "4a");
    EXPECT_EQ(std::get<NetnsOfProcess>(*parse_netns("4711")).pid, 4711);
    EXPECT_EQ(std::get<NetnsPath>(*parse_netns("/proc/1/ns/net")).path, "/proc/1/ns/net");
    EXPECT_EQ(std::get<NetnsPath>(*parse_netns("./here")).path, "./here");
    EXPECT_EQ(std::get<NetnsInode>(*parse_netns("inode:4026531840")).inode, 4026531840);
}

TEST(NetnsTarget, IsRefusedWhenItIsNone) {
    for (const std::string &text :
         {std::string(), std::string("."), std::string(".."), std::string("0"), std::string("4294967296"),
          std::string("99999999999999999999"), std::string("inode:"), std::string("inode:0"), std::string("inode:-1"),
          std::string("inode:4 "), std::string("inode:0x10"), std::string("inode:99999999999999999999"),
          std::string("a\0b", 3), std::string(256, 'n'), "/" + std::string(5000, 'p')}) {
        Result<NetnsTarget> target = parse_netns(text);
        ASSERT_FALSE(target) << text;
        EXPECT_EQ(target.error().exit, Exit::usage);
        EXPECT_NE(target.error().hint, "");
    }
}

TEST(ContainerName, IsWhatRuntimesAllow) {
    for (const char *name : {"web", "web-1", "my_app.2", "4f2a9c", "A"})
        EXPECT_EQ(*parse_container(name), name);
    for (const std::string &text :
         {std::string(), std::string("-web"), std::string(".web"), std::string("_"), std::string("../web"),
          std::string("web/1"), std::string("web 1"), std::string("web\n"), std::string("w\0b", 3),
          std::string("w\u00e9b"), std::string("\033[1m"), std::string(254, 'x'), std::string("web;rm"),
          std::string("$(web)"), std::string("web*")}) {
        Result<std::string> container = parse_container(text);
        ASSERT_FALSE(container) << text;
        EXPECT_EQ(container.error().exit, Exit::usage);
        EXPECT_EQ(container.error().text().find('\033'), std::string::npos);
    }
}

TEST(Ports, AreNumbersListsAndRanges) {
    std::vector<PortRange> ports = *parse_ports("80,443,8000-8080");
    ASSERT_EQ(ports.size(), 3);
    EXPECT_TRUE(ports[1].contains(443));
    EXPECT_FALSE(ports[1].contains(444));
    EXPECT_TRUE(ports[2].contains(8000) && ports[2].contains(8080) && !ports[2].contains(8081));
    std::string many;
    for (int i = 1; i <= 65; ++i)
        many += std::to_string(i) + (i < 65 ? "," : "");
    for (const std::string &text : {std::string(),          std::string("0"),
                                    std::string("65536"),   std::string("-1"),
                                    std::string("+80"),     std::string(" 80"),
                                    std::string("80 "),     std::string("80,"),
                                    std::string(",80"),     std::string("80,,443"),
                                    std::string("http"),    std::string("0x50"),
                                    std::string("80-"),     std::string("-80"),
                                    std::string("90-80"),   std::string("80-90-100"),
                                    std::string("8e1"),     std::string("99999999999999999999"),
                                    std::string("80\0", 3), many}) {
        Result<std::vector<PortRange>> refused = parse_ports(text);
        ASSERT_FALSE(refused) << text;
        EXPECT_EQ(refused.error().exit, Exit::usage);
    }
}

TEST(Printable, TextHasNoControlCharactersAndIsUtf8) {
    EXPECT_EQ(printable("plain \u00e9 \u4e2d \U0001F600"), "plain \u00e9 \u4e2d \U0001F600");
    EXPECT_EQ(printable("\n\x7f"), "\uFFFD\uFFFD");
    for (const char *broken : {"\x80", "\xc0\xaf", "\xc2", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
        EXPECT_EQ(printable(broken).substr(0, 3), "\uFFFD") << broken;
}

TEST(Printable, NothingPassesThatIsNotSeenItself) {
    // C1 controls, a soft hyphen, marks and overrides of direction, joiners and spaces of no width, separators of
    // lines, a variation selector, a byte order mark, annotations, and tags.
    for (const char *hidden :
         {"\u0080", "\u009B", "\u009F",     "\u00AD",     "\u034F",     "\u061C",     "\u180E",    "\u200B",
          "\u200D", "\u200E", "\u200F",     "\u2028",     "\u2029",     "\u202A",     "\u202D",    "\u202E",
          "\u2060", "\u2064", "\u2066",     "\u2069",     "\u206F",     "\u3164",     "\uFE0F",    "\uFEFF",
          "\uFFF9", "\uFFFB", "\U000110BD", "\U0001D173", "\U000E0001", "\U000E0041", "\U000E007F"})
        EXPECT_EQ(printable(std::string("web") + hidden + "gnp"), "web\uFFFDgnp") << hidden;
    // Their neighbours do: a space of some width, a dash, a hyphen, letters of other scripts.
    for (const char *seen :
         {"\u00A0", "\u00AC", "\u00AE", "\u0606", "\u061B", "\u200A", "\u2010", "\u2027", "\u202F", "\u205F", "\u2070",
          "\uFDFF", "\uFE10", "\uFFFC", "\uFFFD", "\u05D0", "\u0627", "\U0001D172", "\U000110BC"})
        EXPECT_EQ(printable(seen), seen);
}

} // namespace
} // namespace vethtrace
