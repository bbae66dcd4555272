// SPDX-License-Identifier: GPL-2.0-only
#include "unit/parsed.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

ExportPlan plan_of(const std::vector<std::string> &words) {
    Result<Command> command = test::parse("export", words);
    EXPECT_TRUE(command) << (command ? "" : command.error().text());
    return std::get<ExportCommand>(*command).plan;
}

TEST(ExportOptions, ListenOnLoopbackByDefault) {
    ExportPlan plan = plan_of({});
    ASSERT_TRUE(plan.listen);
    EXPECT_EQ(text_of(*plan.listen), "127.0.0.1:9954");
    EXPECT_EQ(plan.textfile, "");
    EXPECT_EQ(plan.series, 30'000);
    EXPECT_EQ(plan.watch.interval, std::chrono::seconds(5));
    EXPECT_EQ(plan.watch.duration, std::nullopt);
    EXPECT_TRUE(plan.watch.watch.selection.all);
    EXPECT_EQ(plan.watch.watch.slowest, 0);
    EXPECT_DOUBLE_EQ(plan.watch.watch.max_overhead, 0.03);
}

TEST(ExportOptions, TakeThoseOfWatchToo) {
    ExportPlan plan = plan_of({"--container",
                               "web",
                               "--port",
                               "80",
                               "-i",
                               "2",
                               "-d",
                               "60",
                               "--sample",
                               "8",
                               "--max-overhead",
                               "1",
                               "--max-series",
                               "5000",
                               "--max-histograms",
                               "100",
                               "--listen",
                               "[::]:0",
                               "--textfile",
                               "/x/y.prom",
                               "--no-hook",
                               "fentry"});
    EXPECT_EQ(plan.watch.watch.selection.containers, std::vector<std::string>{"web"});
    EXPECT_EQ(plan.watch.watch.filter.port_ranges, 1);
    EXPECT_EQ(plan.watch.interval, std::chrono::seconds(2));
    EXPECT_EQ(plan.watch.duration, std::chrono::seconds(60));
    EXPECT_EQ(plan.watch.watch.sample, 8);
    EXPECT_DOUBLE_EQ(plan.watch.watch.max_overhead, 0.01);
    EXPECT_EQ(plan.watch.watch.series, 100);
    EXPECT_EQ(plan.series, 5000);
    ASSERT_TRUE(plan.listen);
    EXPECT_EQ(text_of(*plan.listen), "[::]:0");
    EXPECT_EQ(plan.textfile, "/x/y.prom");
}

TEST(ExportOptions, ListenNowhereWithAFileAlone) {
    EXPECT_EQ(plan_of({"--textfile", "/x/y.prom"}).listen.has_value(), false);
}

TEST(ExportOptions, ThatMakeNoSenseAreRefused) {
    const std::vector<std::vector<std::string>> wrong = {{"--listen", "9954"},
                                                         {"--listen", "127.0.0.1"},
                                                         {"--listen", "localhost:9954"},
                                                         {"--listen", "127.0.0.1:65536"},
                                                         {"--listen", "127.0.0.1:-1"},
                                                         {"--listen", "127.0.0.1:"},
                                                         {"--listen", "127.0.0.1:99 "},
                                                         {"--listen", "::1:9954"},
                                                         {"--listen", "[127.0.0.1]:9954"},
                                                         {"--listen", "[::1:9954"},
                                                         {"--listen", "[]:1"},
                                                         {"--textfile", "metrics.txt"},
                                                         {"--max-series", "1999"},
                                                         {"--slower-than", "1ms"},
                                                         {"--record", "x"},
                                                         {"-i", "0"},
                                                         {"--json"}};
    for (const std::vector<std::string> &words : wrong) {
        Result<Command> command = test::parse("export", words);
        ASSERT_FALSE(command) << words.front() << " " << words.back();
        EXPECT_EQ(command.error().exit, Exit::usage) << words.front() << " " << words.back();
    }
}

} // namespace
} // namespace vethtrace
