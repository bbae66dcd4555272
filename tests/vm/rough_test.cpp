// SPDX-License-Identifier: GPL-2.0-only
//
// disturb.sh has taken a CPU away and given it back, set the clock, and made a container and an interface vanish, while
// `watch` looked at traffic that went on.
#include "support/schema.hpp"
#include "vm/results.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;

std::vector<Json> lines_of(const std::string &name) {
    std::vector<Json> lines;
    std::istringstream stream(vm_file(name));
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(Json::parse(line, nullptr, false));
        EXPECT_EQ(schema_errors("watch-2", lines.back()), "");
    }
    return lines;
}

TEST(Rough, WatchSurvivesWhatHappensToItsNode) {
    ASSERT_EQ(vm_file("rough.status"), "0\n") << vm_file("rough.err");
    std::string injection = vm_file("rough.injection");
    EXPECT_EQ(injection.find("failed"), std::string::npos) << injection;
    std::vector<Json> lines = lines_of("rough.json");
    ASSERT_GT(lines.size(), 20);

    constexpr double interval = 200e6;
    constexpr double patience = 2e9; // to take a CPU away stops all others for a while
    bool gone = false;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
        const Json &window = lines[i];
        EXPECT_EQ(window["number"], i + 1);
        EXPECT_LE(window["duration_ns"], patience) << "window " << i + 1;
        // The last one is as long as it happens to be.
        if (i + 2 < lines.size()) {
            EXPECT_GE(window["duration_ns"], 0.5 * interval) << "window " << i + 1;
            EXPECT_FALSE(window["series"].empty()) << "the traffic went on in window " << i + 1;
        }
        for (const Json &note : window["notes"])
            gone = gone || note.get<std::string>().find("passing is gone") != std::string::npos;
    }
    EXPECT_TRUE(gone);
    const Json &all = lines.back();
    EXPECT_EQ(all["ended"], "it was stopped");
    EXPECT_TRUE(all["conservation"]["balanced"]) << all["conservation"];
    EXPECT_EQ(all["conservation"]["stale"], 0) << all["conservation"];
    EXPECT_GT(all["conservation"]["entered"], 1000);
    EXPECT_LT(all["duration_ns"], 60e9) << "a clock that is set does not make it longer";
}

} // namespace
} // namespace vethtrace::test
