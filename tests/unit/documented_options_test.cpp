// SPDX-License-Identifier: GPL-2.0-only
//
// What --help lists, the man page describes and the shells complete, and nothing else.
#include "support/process.hpp"
#include "unit/parsed.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <unistd.h>

namespace vethtrace {
namespace {

using NameSet = std::set<std::string>;
using Words = std::vector<std::string>;

std::string shown_by(const Words &words) {
    Result<Command> command = test::parse(words);
    EXPECT_TRUE(command) << (command ? "" : command.error().text());
    return command ? std::get<ShowText>(*command).text : "";
}

std::string help_of(Words path) {
    path.emplace_back("--help");
    return shown_by(path);
}

// The first words of the indented lines below a heading of --help.
Words listed_below(const std::string &heading, const std::string &help) {
    Words found;
    bool below = false;
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("  "))
            below = line == heading;
        else if (below && line[2] != ' ')
            found.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
    return found;
}

NameSet options_in_help(const std::string &help) {
    NameSet names;
    for (const std::string &word : listed_below("Options:", help)) {
        std::istringstream parts(word);
        for (std::string name; std::getline(parts, name, ',');)
            names.insert(name);
    }
    return names;
}

// The program itself, its commands, and theirs.
void add_commands(const Words &path, std::vector<Words> &commands) {
    commands.push_back(path);
    for (const std::string &name : listed_below("Subcommands:", help_of(path))) {
        Words below = path;
        below.push_back(name);
        add_commands(below, commands);
    }
}

std::vector<Words> all_commands() {
    std::vector<Words> commands;
    add_commands({}, commands);
    return commands;
}

std::string title_of(const Words &path) {
    return path.empty() ? "vethtrace" : fmt::format("vethtrace {}", fmt::join(path, " "));
}

NameSet options_in_bold(const std::string &text) {
    static const std::regex option(R"(\*(--?[A-Za-z][a-z-]*)\*)");
    NameSet names;
    for (std::sregex_iterator match(text.begin(), text.end(), option), end; match != end; ++match)
        names.insert((*match)[1]);
    return names;
}

std::string man_page() {
    std::ifstream file(VETHTRACE_DOCS "/vethtrace.8.scd");
    return {std::istreambuf_iterator<char>(file), {}};
}

// The text below "## TITLE", up to the next heading; empty if there is none.
std::string section_of(const std::string &page, const std::string &title) {
    std::size_t begin = page.find("\n## " + title + "\n");
    if (begin == std::string::npos)
        return {};
    begin += title.size() + 5;
    return page.substr(begin, page.find("\n#", begin) - begin);
}

// A completion script as a file, which goes with this object.
class Script {
public:
    explicit Script(const std::string &shell)
        : path_(std::filesystem::temp_directory_path() / fmt::format("vethtrace-completion-{}.{}", getpid(), shell)) {
        std::ofstream(path_) << shown_by({"completion", shell});
    }
    Script(const Script &) = delete;
    Script &operator=(const Script &) = delete;
    ~Script() { std::filesystem::remove(path_); }
    [[nodiscard]] std::string path() const { return path_; }

private:
    std::filesystem::path path_;
};

// What bash offers for the last of the words. They are split as readline would: at "=" as well.
NameSet offered_by_bash(const Script &script, const Words &words) {
    Words line = {"bash",
                  "--norc",
                  "-euc",
                  "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); set +e; _vethtrace; "
                  "((${#COMPREPLY[@]} == 0)) || printf '%s\\n' \"${COMPREPLY[@]}\"",
                  "bash",
                  script.path(),
                  "vethtrace"};
    line.insert(line.end(), words.begin(), words.end());
    test::Finished finished = test::run(line);
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(finished.err, "");
    std::istringstream lines(finished.out);
    NameSet names;
    for (std::string name; std::getline(lines, name);)
        names.insert(name);
    return names;
}

using Offers = std::map<std::string, NameSet>;

// What a shell answers: below each line "= TYPED", what it offers for that.
Offers read_offers(const Words &line) {
    test::Finished finished = test::run(line);
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(finished.err, "");
    Offers offers;
    NameSet *names = nullptr;
    std::istringstream answers(finished.out);
    for (std::string answer; std::getline(answers, answer);)
        if (answer.starts_with("= "))
            names = &offers[answer.substr(2)];
        else if (names != nullptr)
            names->insert(answer.substr(0, answer.find('\t')));
    return offers;
}

Words typed_in(const Offers &offers) {
    Words lines;
    for (const auto &[line, names] : offers)
        lines.push_back(line);
    return lines;
}

// In one session each, since starting is what takes time.
Offers offered_by_fish(const Script &script, const Words &typed) {
    Words line = {"fish", "--no-config", "-c",
                  "source $argv[1]; for line in $argv[2..]; echo = $line; complete -C $line; end", script.path()};
    line.insert(line.end(), typed.begin(), typed.end());
    return read_offers(line);
}

Offers offered_by_zsh(const Script &script, const Words &typed) {
    Words line = {"zsh", "-f", VETHTRACE_ZSH_COMPLETION, script.path()};
    line.insert(line.end(), typed.begin(), typed.end());
    return read_offers(line);
}

NameSet modes_that_begin_with(std::string_view beginning) {
    NameSet names;
    for (const ModeRow &row : all_modes())
        if (row.name.starts_with(beginning))
            names.emplace(row.name);
    return names;
}

// What is to be offered for a few lines with values, by any shell.
Offers values_expected() {
    return {{"vethtrace --mode ipv", modes_that_begin_with("ipv")},
            {"vethtrace compare host mac", {"macvlan"}},
            {"vethtrace watch --by c", {"container", "cpu"}},
            {"vethtrace lab exec pe", {"peer"}}};
}

// The same, and every command and option.
Offers offers_expected() {
    Offers expected = values_expected();
    for (const Words &path : all_commands()) {
        std::string help = help_of(path);
        Words commands = listed_below("Subcommands:", help);
        if (!commands.empty())
            expected[title_of(path) + " "] = NameSet(commands.begin(), commands.end());
        expected[title_of(path) + " -"] = options_in_help(help);
    }
    return expected;
}

TEST(DocumentedOptions, AreFoundInTheHelpOfEveryCommand) {
    std::vector<Words> commands = all_commands();
    EXPECT_NE(std::find(commands.begin(), commands.end(), Words({"lab", "exec"})), commands.end());
    EXPECT_GE(options_in_help(help_of({"watch"})).size(), 30);
    for (const Words &path : commands)
        EXPECT_TRUE(options_in_help(help_of(path)).contains("--help")) << title_of(path);
}

TEST(DocumentedOptions, HaveUsageLinesThatNameTheWholeCommand) {
    for (const Words &path : all_commands())
        EXPECT_NE(help_of(path).find("Usage: " + title_of(path) + " "), std::string::npos) << title_of(path);
}

TEST(DocumentedOptions, StandInTheManPageCommandByCommand) {
    std::string page = man_page();
    for (const Words &path : all_commands())
        EXPECT_EQ(options_in_bold(section_of(page, title_of(path))), options_in_help(help_of(path))) << title_of(path);
}

TEST(DocumentedOptions, AreNotInventedElsewhereInTheManPage) {
    NameSet real;
    for (const Words &path : all_commands())
        real.merge(options_in_help(help_of(path)));
    for (const std::string &name : options_in_bold(man_page()))
        EXPECT_TRUE(real.contains(name)) << name;
}

TEST(DocumentedOptions, CommandsOfTheManPageAreThoseOfTheHelp) {
    NameSet titles;
    static const std::regex heading("\n## (vethtrace[^\n]*)");
    std::string page = man_page();
    for (std::sregex_iterator match(page.begin(), page.end(), heading), end; match != end; ++match)
        titles.insert((*match)[1]);
    NameSet expected;
    for (const Words &path : all_commands())
        expected.insert(title_of(path));
    EXPECT_EQ(titles, expected);
}

TEST(DocumentedOptions, ModesStandInTheManPageAsInTheTable) {
    std::string page = man_page();
    for (const ModeRow &row : all_modes())
        EXPECT_NE(page.find(fmt::format("\n*{}*\n\t{}\n", row.name, row.summary)), std::string::npos) << row.name;
}

TEST(DocumentedOptions, ModesStandInTheReadmeInTheOrderOfTheTable) {
    std::ifstream file(VETHTRACE_DOCS "/../README.md");
    std::string readme{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::string_view> others;
    for (const ModeRow &row : all_modes())
        if (row.mode != Mode::macvlan)
            others.push_back(row.name);
    std::string line = fmt::format("\nvethtrace --mode macvlan            # also: {}\n", fmt::join(others, ", "));
    EXPECT_NE(readme.find(line), std::string::npos) << line;
}

TEST(Completion, OfBashOffersEveryOptionAndCommandAndNoOther) {
    Script script("bash");
    for (const Words &path : all_commands()) {
        std::string help = help_of(path);
        Words words = path;
        words.emplace_back("-");
        EXPECT_EQ(offered_by_bash(script, words), options_in_help(help)) << title_of(path);
        Words commands = listed_below("Subcommands:", help);
        words.back() = "";
        if (!commands.empty()) {
            EXPECT_EQ(offered_by_bash(script, words), NameSet(commands.begin(), commands.end())) << title_of(path);
        }
    }
}

TEST(Completion, OfBashKnowsValuesAndWhereTheyEnd) {
    Script script("bash");
    NameSet ipvlans = modes_that_begin_with("ipv");
    EXPECT_GT(ipvlans.size(), 1);
    EXPECT_EQ(offered_by_bash(script, {"--mode", "ipv"}), ipvlans);
    EXPECT_EQ(offered_by_bash(script, {"--mode", "=", "ipv"}), ipvlans);
    EXPECT_EQ(offered_by_bash(script, {"--topology", "="}), NameSet({"wire", "local"}));
    EXPECT_EQ(offered_by_bash(script, {"-m", "veth", "--top"}), NameSet({"--topology"}));
    EXPECT_EQ(offered_by_bash(script, {"--mode", "=", "veth", "--top"}), NameSet({"--topology"}));
    EXPECT_EQ(offered_by_bash(script, {"--duration", ""}), NameSet());
    EXPECT_EQ(offered_by_bash(script, {"compare", "host", "--rounds", "5", "mac"}), NameSet({"macvlan"}));
    // A value is no command, though it is called like one.
    EXPECT_EQ(offered_by_bash(script, {"--setup", "watch", "--by"}), NameSet());
    EXPECT_EQ(offered_by_bash(script, {"lab", "exec", "pe"}), NameSet({"peer"}));
    EXPECT_EQ(offered_by_bash(script, {"completion", ""}), NameSet({"bash", "zsh", "fish"}));
}

TEST(Completion, OfBashOffersFilesWhereFilesAreMeant) {
    Script script("bash");
    std::string begun = script.path().substr(0, script.path().size() - 2);
    EXPECT_EQ(offered_by_bash(script, {"report", begun}), NameSet({script.path()}));
    EXPECT_EQ(offered_by_bash(script, {"diff", "a.json", begun}), NameSet({script.path()}));
    EXPECT_EQ(offered_by_bash(script, {"-o", begun}), NameSet({script.path()}));
}

TEST(Completion, OfFishOffersEveryOptionCommandAndValueAndNoOther) {
    Script script("fish");
    Offers expected = offers_expected();
    // After one dash it offers the short ones too, after two only the long ones.
    for (const Words &path : all_commands())
        for (const std::string &name : options_in_help(help_of(path)))
            if (name.starts_with("--"))
                expected[title_of(path) + " --"].insert(name);
    EXPECT_EQ(offered_by_fish(script, typed_in(expected)), expected);
}

TEST(Completion, OfZshOffersEveryOptionCommandAndValueAndNoOther) {
    Script script("zsh");
    Offers expected = offers_expected();
    EXPECT_EQ(offered_by_zsh(script, typed_in(expected)), expected);
}

} // namespace
} // namespace vethtrace
