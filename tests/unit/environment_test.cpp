// SPDX-License-Identifier: GPL-2.0-only
#include "core/environment.hpp"
#include "report/json.hpp"
#include "report/text.hpp"
#include "support/schema.hpp"
#include "unit/sample.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vethtrace {
namespace {

// Nothing in it makes figures unstable.
Environment steady() {
    Environment environment;
    environment.clocksource = "tsc";
    environment.virtualization = "none";
    environment.governor = "performance";
    environment.idle_states = {"POLL", "C1"};
    environment.deepest_idle_latency_us = 10;
    environment.smt = "off";
    environment.smt_active = false;
    environment.network = NetworkSettings{"cubic", "00000000,00000000", {}};
    return environment;
}

Environment shaky() {
    Environment environment = steady();
    environment.clocksource = "hpet";
    environment.virtualization = "KVMKVMKVM";
    environment.governor = "schedutil";
    environment.deepest_idle_latency_us = 11;
    environment.smt_active = true;
    environment.network->rps_default_mask = "00000000,00000003";
    return environment;
}

TEST(UnstableSettings, AreNoneWhereAllIsSteadyOrUnknown) {
    EXPECT_EQ(unstable_settings(steady()), std::vector<std::string>{});
    EXPECT_EQ(unstable_settings(Environment{}), std::vector<std::string>{});
    Environment environment = steady();
    for (const char *clock : {"kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", unknown_clocksource}) {
        environment.clocksource = clock;
        EXPECT_EQ(unstable_settings(environment), std::vector<std::string>{}) << clock;
    }
}

TEST(UnstableSettings, AreNamedEachWithItsValueAndARemedy) {
    std::vector<std::string> found = unstable_settings(shaky());
    struct Said {
        const char *value;
        const char *remedy;
    };
    const std::vector<Said> wanted = {{"governor is schedutil", "-g performance"},
                                      {"idle state takes 11 us", "idle-set -D 11"},
                                      {"clocksource is hpet", "tsc=reliable"},
                                      {"SMT is active", "smt/control"},
                                      {"mask is 00000000,00000003", "rps_default_mask=0"},
                                      {"virtual machine (KVMKVMKVM)", "reserved"}};
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_NE(found[i].find(wanted[i].value), std::string::npos) << found[i];
        EXPECT_NE(found[i].find(wanted[i].remedy), std::string::npos) << found[i];
    }
}

TEST(UnstableSettings, AreInEveryKindOfJson) {
    RunResult result = small_result();
    result.environment = shaky();
    result.environment.cpus = 1;
    nlohmann::json run = to_json(result);
    nlohmann::json features = to_json({Choice{{"net_rx", "softirqs", {}}, {}, {}}}, result.environment);
    for (const nlohmann::json *json : {&run, &features})
        EXPECT_EQ((*json)["environment"]["unstable"].get<std::vector<std::string>>(), unstable_settings(shaky()));
    EXPECT_EQ(test::schema_errors("run-1", run), "");
    EXPECT_EQ(test::schema_errors("features-1", features), "");
}

TEST(UnstableSettings, AreCountedInTheReportAndNamedOnRequest) {
    RunResult result = small_result();
    TextStyle verbose;
    verbose.verbosity = 1;
    EXPECT_EQ(to_text(result, TextStyle{}).find("unstable"), std::string::npos);
    result.environment = shaky();
    result.environment.cpu_model = "A CPU";
    std::string text = to_text(result, TextStyle{});
    EXPECT_NE(text.find(" machine   A CPU, clocksource hpet   6 settings make figures unstable, -v names them\n"),
              std::string::npos)
        << text;
    for (const std::string &setting : unstable_settings(result.environment)) {
        EXPECT_EQ(text.find(setting), std::string::npos) << text;
        EXPECT_NE(to_text(result, verbose).find(setting), std::string::npos);
    }
    result.environment = steady();
    result.environment.smt_active = true;
    EXPECT_NE(to_text(result, TextStyle{}).find("1 setting makes figures unstable, -v names it\n"), std::string::npos);
}

} // namespace
} // namespace vethtrace
