// SPDX-License-Identifier: GPL-2.0-only
#include "unit/parsed.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

RunOptions run_options(const std::vector<std::string> &words) {
    Result<Command> command = test::parse(words);
    EXPECT_TRUE(command) << (command ? "" : command.error().text());
    return std::get<RunCommand>(*command).run;
}

TEST(CommandLine, RunsVethForTwoSecondsByDefault) {
    RunOptions run = run_options({});
    EXPECT_EQ(run.mode, Mode::veth);
    EXPECT_EQ(run.topology, Topology::wire);
    EXPECT_EQ(run.duration, std::chrono::seconds(2));
    EXPECT_EQ(run.count, std::nullopt);
    EXPECT_EQ(run.load.flows, 1);
    EXPECT_EQ(run.load.request_bytes, 1);
    EXPECT_EQ(run.load.client_cpu, run.load.server_cpu);
}

TEST(CommandLine, TakesEveryRunOption) {
    RunOptions run = run_options({"--mode", "macvlan", "-c", "500", "--warmup", "7", "--flows", "3", "--request", "100",
                                  "--response", "200", "--timeout", "1.5", "--follow", "2", "--cpus", "0"});
    EXPECT_EQ(run.mode, Mode::macvlan);
    EXPECT_EQ(run.count, 500);
    EXPECT_EQ(run.warmup, 7);
    EXPECT_EQ(run.load.flows, 3);
    EXPECT_EQ(run.load.request_bytes, 100);
    EXPECT_EQ(run.load.response_bytes, 200);
    EXPECT_EQ(run.load.timeout, std::chrono::milliseconds(1500));
    EXPECT_EQ(run.timelines, 2);
    EXPECT_EQ(run.load.client_cpu, 0);
    EXPECT_EQ(run.load.server_cpu, 0);
}

TEST(CommandLine, KnowsEveryModeOfTheTable) {
    for (const ModeRow &row : all_modes())
        EXPECT_EQ(run_options({"--mode", std::string(row.name)}).mode, row.mode);
}

struct Misuse {
    std::vector<std::string> words;
    std::string mentioned;
};

void PrintTo(const Misuse &param, std::ostream *out) {
    for (const std::string &word : param.words)
        *out << word << ' ';
}

class WrongUsage : public testing::TestWithParam<Misuse> {};

TEST_P(WrongUsage, IsRefusedWithTheReason) {
    Result<Command> command = test::parse(GetParam().words);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().exit, Exit::usage);
    std::string said = command.error().text() + command.error().hint;
    EXPECT_NE(said.find(GetParam().mentioned), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(
    CommandLine, WrongUsage,
    testing::Values(
        Misuse{{"--cmd", ""}, "--cmd: is empty"}, Misuse{{"--setup", ""}, "is empty"},
        Misuse{{"--cpus", ""}, "is empty"}, Misuse{{"report", ""}, "is empty"},
        Misuse{{"export", "--textfile", ""}, "--textfile: is empty"},
        Misuse{{"rr", "serve", "--listen", ""}, "is empty"},
        Misuse{{"--mode", "carrier-pigeon"}, "{host,veth,veth-gro,bridge,nat,netkit,macvlan,ipvlan,"},
        Misuse{{"-c", "5", "-d", "1"}, "excludes"}, Misuse{{"-c", "0"}, "range"}, Misuse{{"-c", "-1"}, "-1"},
        Misuse{{"-c", "many"}, "many"}, Misuse{{"-d", "0"}, "range"}, Misuse{{"-d", "nan"}, "--duration"},
        Misuse{{"--flows", "0"}, "1 to 1024"}, Misuse{{"--flows", "1025"}, "1 to 1024"},
        Misuse{{"--request", "0"}, "range"}, Misuse{{"--request", "99999999999"}, "--request"},
        Misuse{{"--cpus", "0,1,2"}, "--cpus"}, Misuse{{"--cpus", "-1"}, "-1"}, Misuse{{"--cpus", "0,"}, "--cpus"},
        Misuse{{"--cpus", "9999"}, "choose from"}, Misuse{{"--follow", "65"}, "range"},
        Misuse{{"-c", "3", "--flows", "4"}, "at least one transaction"},
        Misuse{{"--no-hook", "uprobe"}, "fentry, kprobe, tracepoint"}, Misuse{{"--topology", "ring"}, "wire,local"},
        Misuse{{"--sample", "0"}, "not in range"}, Misuse{{"--max-overhead", "0"}, "not in range"},
        Misuse{{"--sample", "2", "--max-overhead", "3"}, "excludes"}, Misuse{{"--cmd", "true", "-c", "5"}, "excludes"},
        Misuse{{"--cmd", "true", "--flows", "2"}, "excludes"}, Misuse{{"--cmd", "true", "--follow", "2"}, "excludes"},
        Misuse{{"--peer-cmd", "true"}, "requires --cmd"},
        Misuse{{"--mode", "host", "--topology", "local"}, "between two containers"},
        Misuse{{"--color", "blue"}, "auto,always,never"}, Misuse{{"-q", "-v"}, "excludes"}, Misuse{{"dance"}, "dance"},
        Misuse{{"lab"}, "subcommand"}, Misuse{{"lab", "exec", "container"}, "no command"},
        Misuse{{"lab", "exec", "moon", "ls"}, "moon"}, Misuse{{"compare"}, "modes is required"},
        Misuse{{"compare", "veth"}, "two modes or more"}, Misuse{{"compare", "veth", "pigeon"}, "pigeon"},
        Misuse{{"compare", "host", "veth", "--topology", "local"}, "between two containers"},
        Misuse{{"compare", "host", "veth", "--rounds", "0"}, "range"},
        Misuse{{"compare", "host", "veth", "--precision", "nan"}, "range"},
        Misuse{{"compare", "host", "veth", "--seed", "-1"}, "range"},
        Misuse{{"compare", "host", "veth", "--setup", "nat=true"}, "does not begin with one of host=, veth="},
        Misuse{{"compare", "host", "veth", "--setup", "veth"}, "does not begin with"}, Misuse{{"rr"}, "subcommand"},
        Misuse{{"rr", "run"}, "server is required"}, Misuse{{"rr", "serve", "--port", "0"}, "range"},
        Misuse{{"rr", "run", "host", "--port", "65536"}, "range"},
        Misuse{{"rr", "run", "host", "-c", "3", "--flows", "4"}, "at least one transaction"},
        Misuse{{"explain"}, "modes is required"}, Misuse{{"explain", "pigeon"}, "pigeon"},
        Misuse{{"explain", "veth", "--live", "--from", "a.json"}, "excludes"},
        Misuse{{"explain", "veth", "-c", "5"}, "requires --live"},
        Misuse{{"explain", "host", "--topology", "local"}, "between two containers"},
        Misuse{{"report", "a.json", "--replay", "--csv", "b"}, "excludes"},
        Misuse{{"report", "a.json", "--html", "b", "--csv", "b"}, "are the same file"},
        Misuse{{"-o", "b", "--html", "b"}, "are the same file"}, Misuse{{"--csv", "b"}, "--csv"},
        Misuse{{"diff", "a.json"}, "after is required"}, Misuse{{"diff", "a", "b", "--fail-over", "-1"}, "range"}));

TEST(CommandLine, TakesALoadOfTheUsers) {
    Result<Command> command = test::parse({"--mode", "bridge", "--cmd", "wrk x", "--peer-cmd", "nginx", "-d", "3"});
    ASSERT_TRUE(command) << command.error().text();
    const auto &lab = std::get<InLabCommand>(*command);
    EXPECT_EQ(lab.mode, Mode::bridge);
    EXPECT_EQ(lab.command, "wrk x");
    EXPECT_EQ(lab.peer_command, "nginx");
    EXPECT_EQ(lab.duration, std::chrono::seconds(3));
    EXPECT_FALSE(std::get<InLabCommand>(*test::parse({"--cmd", "true"})).duration) << "until it ends";
}

TEST(CommandLine, ReadsAComparison) {
    Result<Command> command = test::parse(
        {"compare", "veth", "host", "veth", "--rounds", "7", "--seed", "5", "--setup", "veth#2=a=b", "-c", "100"});
    ASSERT_TRUE(command) << command.error().text();
    const CompareOptions &compare = std::get<CompareCommand>(*command).compare;
    EXPECT_EQ(compare.modes, (std::vector<Mode>{Mode::veth, Mode::host, Mode::veth}));
    EXPECT_EQ(compare.plan.rounds, 7);
    EXPECT_EQ(compare.plan.seed, 5);
    EXPECT_DOUBLE_EQ(compare.plan.precision, 0.01);
    EXPECT_EQ(compare.setups.at("veth#2"), "a=b");
    EXPECT_EQ(compare.run.count, 100);
    EXPECT_DOUBLE_EQ(compare.run.untraced_share, 1);
    EXPECT_EQ(std::get<CompareCommand>(*test::parse({"compare", "host", "veth"})).compare.run.duration,
              std::chrono::milliseconds(300));
}

TEST(CommandLine, ReadsWhatIsToBeExplained) {
    Result<Command> command =
        test::parse({"explain", "veth", "ipvlan-l3", "--topology", "local", "--live", "-c", "70"});
    ASSERT_TRUE(command) << command.error().text();
    const auto &explain = std::get<ExplainCommand>(*command);
    EXPECT_EQ(explain.modes, (std::vector<Mode>{Mode::veth, Mode::ipvlan_l3}));
    EXPECT_EQ(explain.topology, Topology::local);
    EXPECT_TRUE(explain.live);
    EXPECT_EQ(explain.live_transactions, 70);
    EXPECT_EQ(std::get<ExplainCommand>(*test::parse({"explain", "veth", "--from", "a.json"})).from, "a.json");
}

TEST(CommandLine, ReadsTheLoadAlone) {
    Result<Command> command =
        test::parse({"rr", "run", "host", "--flows", "3", "-c", "30", "--request", "7", "--port", "99"});
    ASSERT_TRUE(command) << command.error().text();
    const RrOptions &rr = std::get<RrRunCommand>(*command).rr;
    EXPECT_EQ(rr.server, "host");
    EXPECT_EQ(rr.flows, 3);
    EXPECT_EQ(rr.count, 30);
    EXPECT_EQ(rr.request_bytes, 7);
    EXPECT_EQ(rr.port, 99);
    EXPECT_EQ(std::get<RrServeCommand>(*test::parse({"rr", "serve"})).server.port, 12866);
}

TEST(CommandLine, ReadsADiff) {
    Result<Command> command = test::parse({"diff", "a", "b", "--fail-over", "2.5", "--anyway"});
    ASSERT_TRUE(command) << command.error().text();
    const auto &diff = std::get<DiffCommand>(*command);
    EXPECT_EQ(diff.before, "a");
    EXPECT_EQ(diff.after, "b");
    EXPECT_DOUBLE_EQ(*diff.diff.allowed, 0.025);
    EXPECT_TRUE(diff.diff.anyway);
    EXPECT_FALSE(std::get<DiffCommand>(*test::parse({"diff", "a", "b"})).diff.allowed);
}

TEST(CommandLine, ShowsHelpAndVersion) {
    Result<Command> help = test::parse({"--help"});
    ASSERT_TRUE(help);
    EXPECT_NE(std::get<ShowText>(*help).text.find("--mode"), std::string::npos);
    Result<Command> sub = test::parse({"lab", "exec", "--help"});
    ASSERT_TRUE(sub);
    EXPECT_NE(std::get<ShowText>(*sub).text.find("namespace"), std::string::npos);
    Result<Command> version = test::parse({"-V"});
    ASSERT_TRUE(version);
    EXPECT_NE(std::get<ShowText>(*version).text.find("libbpf"), std::string::npos);
}

TEST(CommandLine, HandsACommandWithOptionsToTheLab) {
    Result<Command> command = test::parse({"lab", "exec", "container", "ping", "-c1", "198.18.2.2"});
    ASSERT_TRUE(command);
    const auto &lab = std::get<LabCommand>(*command);
    EXPECT_EQ(lab.action, LabCommand::Action::exec);
    EXPECT_EQ(lab.part, "container");
    EXPECT_EQ(lab.command_line, (std::vector<std::string>{"ping", "-c1", "198.18.2.2"}));
}

} // namespace
} // namespace vethtrace
