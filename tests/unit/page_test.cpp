// SPDX-License-Identifier: GPL-2.0-only
#include "core/ledger.hpp"
#include "page/figures.hpp"
#include "page/page.hpp"
#include "page/timeline_picture.hpp"
#include "page/watch_data.hpp"
#include "page/way_picture.hpp"
#include "unit/sample.hpp"
#include "unit/watch_sample.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

using namespace test;

std::size_t count_of(std::string_view part, std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

RunResult result_of(Mode mode, Topology topology) {
    RunResult result = small_result();
    result.mode = mode;
    result.topology = topology;
    result.hops.clear();
    result.stations.clear();
    Nanoseconds next = 100;
    for (const HopName &name : Way::of(mode, topology)->hops()) {
        Hop hop{name, {}};
        for (int i = 0; name.every_message && i < 20; ++i)
            hop.time.add(next);
        next += 100;
        result.hops.push_back(hop);
    }
    result.ledger = make_ledger(result.hops, result.load.followed_rtt, result.observer);
    return result;
}

std::vector<std::pair<Mode, Topology>> all_ways() {
    std::vector<std::pair<Mode, Topology>> ways;
    for (const ModeRow &row : all_modes())
        for (Topology topology : {Topology::wire, Topology::local})
            if (Way::of(row.mode, topology))
                ways.emplace_back(row.mode, topology);
    return ways;
}

TEST(TimesInAPage, AreThoseOfTheTerminalInOtherLetters) {
    EXPECT_EQ(time_text(0), "0\u00A0ns");
    EXPECT_EQ(time_text(1970), "1.97\u00A0µs");
    EXPECT_EQ(time_text(-12), "\u221212\u00A0ns");
    EXPECT_EQ(time_text(-0.2), "0\u00A0ns") << "no minus before nothing";
    EXPECT_EQ(change_text(2.5e6), "+2.50\u00A0ms");
    EXPECT_EQ(change_text(-1500), "\u22121.50\u00A0µs");
    EXPECT_EQ(percent_text(0.9978), "99.8\u00A0%");
    EXPECT_EQ(px(12.34), "12.3");
    EXPECT_EQ(px(12), "12");
}

TEST(NumbersInAPage, AreThereExactlyAsWell) {
    Html html;
    time_figure(html, 1970.1234);
    EXPECT_EQ(html.take(), "<data value=\"1970.123\">1.97\u00A0µs</data>");
    Html none;
    time_figure(none, std::nullopt);
    EXPECT_EQ(none.take(), "\u2013");
}

// ---- the picture of a run

TEST(PictureOfTheWay, HasEveryModeAndTopology) {
    for (const auto &[mode, topology] : all_ways())
        for (PictureSize size : {PictureSize::wide, PictureSize::narrow}) {
            SCOPED_TRACE(std::string(name_of(mode)) + " " + std::string(name_of(topology)));
            RunResult result = result_of(mode, topology);
            std::optional<WayLayout> layout = lay_out_way(result, size);
            ASSERT_TRUE(layout);
            std::vector<Step> steps = Way::of(mode, topology)->steps();
            EXPECT_EQ(layout->stretches.size(), steps.size() - 1);
            EXPECT_EQ(layout->dots.size(), steps.size());
            EXPECT_EQ(layout->boxes.size(), mode == Mode::host ? 2 : layout->boxes.size());
            EXPECT_EQ(layout->bands.front().name, "client");
            EXPECT_EQ(layout->bands.back().name, "server");
        }
}

TEST(PictureOfTheWay, GoesDownAndUpWithoutAGap) {
    for (const auto &[mode, topology] : all_ways()) {
        SCOPED_TRACE(std::string(name_of(mode)) + " " + std::string(name_of(topology)));
        RunResult result = result_of(mode, topology);
        WayLayout layout = *lay_out_way(result, PictureSize::wide);
        double before = layout.stretches.front().from_y;
        for (const WayLayout::Stretch &stretch : layout.stretches) {
            EXPECT_EQ(stretch.from_y, before);
            if (stretch.turns) {
                EXPECT_EQ(stretch.to_y, before);
            } else if (stretch.hop->name.direction == Direction::request) {
                EXPECT_GE(stretch.to_y, before + 25) << "room for two lines of text";
            } else {
                EXPECT_LE(stretch.to_y, before - 25);
            }
            before = stretch.to_y;
        }
        EXPECT_EQ(before, layout.stretches.front().from_y) << "the answer comes to where the question left";
        EXPECT_EQ(
            std::count_if(layout.stretches.begin(), layout.stretches.end(), [](const auto &one) { return one.turns; }),
            1);
    }
}

TEST(PictureOfTheWay, KeepsEverythingInItsPlace) {
    for (const auto &[mode, topology] : all_ways()) {
        SCOPED_TRACE(std::string(name_of(mode)) + " " + std::string(name_of(topology)));
        RunResult result = result_of(mode, topology);
        WayLayout layout = *lay_out_way(result, PictureSize::narrow);
        for (std::size_t i = 1; i < layout.boxes.size(); ++i)
            EXPECT_GE(layout.boxes[i].y, layout.boxes[i - 1].y + layout.boxes[i - 1].height + 5);
        for (std::size_t i = 1; i < layout.bands.size(); ++i)
            EXPECT_GE(layout.bands[i].y, layout.bands[i - 1].y + layout.bands[i - 1].height + 20);
        for (const WayLayout::Band &band : layout.bands)
            EXPECT_TRUE(std::any_of(layout.boxes.begin(), layout.boxes.end(), [&](const WayLayout::Box &box) {
                return band.y > box.y && band.y + band.height < box.y + box.height;
            })) << band.name;
        for (const WayLayout::Dot &dot : layout.dots)
            EXPECT_TRUE(std::any_of(layout.bands.begin(), layout.bands.end(), [&](const WayLayout::Band &band) {
                return dot.y > band.y && dot.y < band.y + band.height;
            })) << dot.name;
        EXPECT_LE(layout.boxes.back().y + layout.boxes.back().height, layout.height);
    }
}

TEST(PictureOfTheWay, DrawsASlowHopThickest) {
    RunResult result = small_result(); // wakeup takes 1000 ns, all others 50
    WayLayout layout = *lay_out_way(result, PictureSize::wide);
    for (const WayLayout::Stretch &stretch : layout.stretches) {
        bool is_wakeup = stretch.hop->name.stage == Stage::wakeup;
        EXPECT_NEAR(stretch.thickness, is_wakeup ? 16 : 3 + 13 * 0.05, 1e-9);
        EXPECT_EQ(stretch.mean_ns, is_wakeup ? 1000 : 50);
    }
}

TEST(PictureOfTheWay, IsLeftOutWhereHopsAreNotThoseOfTheMode) {
    RunResult result = small_result();
    result.hops.erase(result.hops.begin() + 3);
    EXPECT_FALSE(lay_out_way(result, PictureSize::wide));
    EXPECT_NE(to_page(result).find("there is no picture of its way"), std::string::npos);
}

TEST(PictureOfTheWay, ShowsSegmentsWhereThereWereSome) {
    RunResult result = small_result();
    for (Hop &hop : result.hops)
        if (hop.name.stage == Stage::segments)
            hop.time.add(700);
    std::optional<WayLayout> layout = lay_out_way(result, PictureSize::wide);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->stretches.size(), 23) << "21 hops, and two that only messages of several segments have";
}

// ---- single packets

TEST(PictureOfAPacket, PutsEachStretchWhereItsTimeIs) {
    MomentLayout layout = lay_out_moments(moments_of(slow_packet(1000)));
    ASSERT_EQ(layout.pieces.size(), 2) << "between three moments";
    EXPECT_EQ(layout.rows.size(), 1) << "both ended on CPU 0, in the idle task";
    EXPECT_DOUBLE_EQ(layout.pieces[0].x, 0);
    EXPECT_DOUBLE_EQ(layout.pieces[0].width, 90);
    EXPECT_DOUBLE_EQ(layout.pieces[1].x, 90);
    EXPECT_DOUBLE_EQ(layout.pieces[1].width, 10);
}

TEST(PictureOfAPacket, ShowsWhatTookNoTimeToo) {
    SlowPacket packet = slow_packet(1000);
    packet.marks.back().since_first = packet.marks[1].since_first;
    MomentLayout layout = lay_out_moments(moments_of(packet));
    EXPECT_GT(layout.pieces[1].width, 0);
    EXPECT_LE(layout.pieces[1].x + layout.pieces[1].width, 100.001);
    EXPECT_TRUE(lay_out_moments({}).pieces.empty());
}

// ---- whole pages

constexpr const char *markup = "</script><script>boom()</script><img src=x onerror=boom()>\"'&\u2028";

// All that such a page has of these tags are its own.
void expect_inert(const std::string &page, std::size_t scripts) {
    EXPECT_EQ(count_of("<script", page), scripts);
    EXPECT_EQ(count_of("</script", page), scripts);
    EXPECT_EQ(count_of("<img", page), 0);
    EXPECT_EQ(count_of("boom()<", page), 0);
    EXPECT_GT(count_of("boom()", page), 0) << "the text itself is shown";
}

TEST(PageOfARun, LetsNoTextOfTheResultBecomeMarkup) {
    RunResult result = small_result();
    result.environment.kernel = result.environment.tool = markup;
    result.environment.cpu_model = markup;
    result.environment.mitigations.emplace().emplace(markup, markup);
    result.environment.network = NetworkSettings{markup, markup, {{markup, markup, true, true, true}}};
    result.warnings = {markup};
    result.conservation.dropped = {{markup, 3}};
    result.conservation.not_followed = {{markup, 3}};
    result.stations.front().hook = markup;
    result.stations.front().tried = {{{HookKind::kprobe, markup, ""}, markup}};
    result.timelines = {{7,
                         {{result.stations[0].station, 0, 0, 1, markup, markup},
                          {result.stations[1].station, 5, 0, 1, markup, markup}}}};
    expect_inert(to_page(result), 5);
    result.valid = false;
    expect_inert(to_page(result), 5);
}

TEST(PageOfARun, SaysFirstThatAResultIsNotValid) {
    RunResult result = small_result();
    result.valid = false;
    std::string page = to_page(result);
    std::size_t said = page.find("This result is not valid.");
    ASSERT_NE(said, std::string::npos);
    EXPECT_LT(said, page.find("a warning"));
    EXPECT_LT(said, page.find("The largest stage"));
    EXPECT_EQ(to_page(small_result()).find("This result is not valid."), std::string::npos);
}

TEST(PageOfARun, AllowsNoNetwork) {
    std::string page = to_page(small_result());
    std::size_t policy = page.find(
        "http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; script-src &#39;sha256-");
    EXPECT_NE(policy, std::string::npos);
    EXPECT_LT(policy, page.find("<style>")) << "before anything that it is about";
    EXPECT_EQ(count_of("unsafe", page.substr(0, page.find("<style>"))), 0);
    EXPECT_EQ(count_of(" src=", page.substr(page.find("<body"), page.find("<script") - page.find("<body"))), 0);
}

TEST(PageOfATimeOfWatching, LetsNoTextBecomeMarkup) {
    WatchWindow window = troubled_window_of(1);
    window.unseen.front().target = window.unseen.front().why = window.sockets.front().target = markup;
    window.slowest.front().translated_source = window.slowest.front().translated_destination = markup;
    window.series.front().target = window.drops.front().target = markup;
    window.drops.front().reason = markup;
    window.notes = {markup};
    window.modes = {{markup, 2}};
    SlowPacket &packet = window.slowest.front();
    packet.target = packet.source = packet.protocol = markup;
    for (PacketMark &mark : packet.marks)
        mark.comm = mark.context = markup;
    WatchHistory history;
    history.add(window, {{markup, markup, markup, markup, markup}});
    WatchTotals totals;
    totals.add(window);
    WatchMoments moments(3);
    moments.add(window);
    Environment environment;
    environment.kernel = markup;
    WatchReport report{
        totals, markup, environment, moments.moments(), {markup}, CommandInLab{"veth", "wire", markup, markup}};
    expect_inert(to_page(report, history, markup), 5);
}

TEST(PageOfATimeOfWatching, NamesWhatWasNotSeenAndWhatWaits) {
    Environment environment;
    std::string ended = "it was stopped";
    auto page_of = [&](const WatchWindow &window) {
        WatchHistory history;
        WatchTotals totals;
        history.add(window, {});
        totals.add(window);
        return to_page(WatchReport{totals, ended, environment, {}, {}}, history);
    };
    std::string troubled = page_of(troubled_window_of(1));
    for (const char *part :
         {"2 stages were not seen", "tap0 is fed by a user-mode network",
          "3 sockets have unread data, the oldest for 4.20s", "12 connections refused, a listen queue was full",
          "(to 10.9.0.2:12866)", "Balanced, as far as packets were seen", "more than --max-overhead allows",
          "of these: delivered to sockets"})
        EXPECT_NE(troubled.find(part), std::string::npos) << part;
    EXPECT_LT(troubled.find("2 stages were not seen"), troubled.find("Where packets of these targets spend their time"))
        << "before all figures";
    std::string calm = page_of(window_of(1));
    for (const char *part : {"not seen", "Sockets", "unread data"})
        EXPECT_EQ(calm.find(part), std::string::npos) << part;
}

TEST(PageOfATimeOfWatching, HoldsTheTotalsOfItsWindows) {
    WatchHistory history;
    WatchTotals totals;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        history.add(window_of(i), {});
        totals.add(window_of(i));
    }
    Environment environment;
    WatchReport report{totals, "it was stopped", environment, {}, {}};
    nlohmann::json data = watch_data(report, history);
    ASSERT_EQ(data["points"].size(), 3);
    EXPECT_EQ(data["points"][1]["drops"]["NETFILTER_DROP"], 3);
    // By hand: web's 2000 and nobody else's go out through the backlog in each window; db's 500 come in.
    for (const auto &stage : data["stages"]) {
        if (stage["direction"] == "out") {
            EXPECT_EQ(stage["packets"], 6000);
            EXPECT_EQ(stage["sum_ns"], 6000 * 1500);
        } else if (stage["stage"] == "wakeup") {
            EXPECT_EQ(stage["packets"], 3000);
        } else {
            EXPECT_EQ(stage["packets"], 1500);
        }
    }
    EXPECT_EQ(data["targets"][0]["name"], "web");
    EXPECT_EQ(data["targets"][0]["stages"]["wakeup"], 3000 * 20'000);
    EXPECT_FALSE(data["points"][0]["stages"][0].contains("histogram"));
}

} // namespace
} // namespace vethtrace
