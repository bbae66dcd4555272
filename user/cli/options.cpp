// SPDX-License-Identifier: GPL-2.0-only
#include "cli/options.hpp"

#include "cli/completion.hpp"
#include "cli/validators.hpp"
#include "core/units.hpp"
#include "core/version.hpp"
#include "run/environment.hpp"

#include "lab_layout.h"

#include <algorithm>
#include <array>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <random>
#include <sched.h>
#include <sstream>

namespace vethtrace {

namespace {

constexpr std::uint64_t most_transactions = 10'000'000'000;
constexpr std::uint32_t most_bytes = 16 * 1024 * 1024;
constexpr double longest_seconds = 86400;
constexpr std::uint32_t most_sampled_from = 1'000'000;
constexpr double most_overhead = 1000;
constexpr std::uint64_t most_rounds = 10'000;
constexpr std::uint64_t most_windows = 1'000'000'000;
constexpr std::uint64_t most_seed = UINT32_MAX; // JSON can tell all of them apart

tl::unexpected<Error> misuse(std::string object, std::string reason, std::string hint = {}) {
    return tl::unexpected(Error{std::move(object), std::move(reason), std::move(hint), Exit::usage});
}

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &set))
                cpus.push_back(cpu);
    return cpus;
}

// "1,3", or "1" for both ends. By default both ends share the last CPU: a wake-up of another CPU takes several times
// as long as all that is to be measured.
Result<void> set_cpus(const std::string &text, LoadOptions &load) {
    std::vector<int> allowed = allowed_cpus();
    if (allowed.empty())
        return fail("--cpus", "the CPUs that this process may use cannot be read");
    if (text.empty()) {
        load.client_cpu = load.server_cpu = allowed.back();
        return {};
    }
    std::vector<int> cpus;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        int cpu = -1;
        if (!CLI::detail::lexical_cast(word, cpu) || std::find(allowed.begin(), allowed.end(), cpu) == allowed.end())
            return misuse("--cpus " + text, fmt::format("'{}' is not a CPU that this process may use", word),
                          fmt::format("choose from {}", fmt::join(allowed, ", ")));
        cpus.push_back(cpu);
    }
    constexpr std::size_t both = 2;
    if (cpus.empty() || cpus.size() > both || text.back() == ',')
        return misuse("--cpus " + text, "takes the client's and the server's CPU", "for example --cpus 0,1");
    load.client_cpu = cpus.front();
    load.server_cpu = cpus.back();
    return {};
}

std::vector<std::string> mode_names() {
    std::vector<std::string> names;
    for (const ModeRow &row : all_modes())
        names.emplace_back(row.name);
    return names;
}

std::string version_text() {
    return fmt::format("vethtrace {}\nlibbpf {}, BPF programs by {}, {} {}\n", tool_version, read_environment().libbpf,
                       VETHTRACE_BPF_COMPILER, VETHTRACE_COMPILER, VETHTRACE_COMPILER_VERSION);
}

// What the parser writes into, before it becomes a command.
struct Words {
    std::string mode = "veth";
    std::string topology = "wire";
    std::string color = "auto";
    std::string cpus;
    std::vector<std::string> no_hook;
    double duration = 2;
    double stretch = 0.3;
    std::vector<std::string> modes;
    std::vector<std::string> setups;
    std::string command;
    std::string peer_command;
    std::string shell;
    std::uint64_t seed = 0;
    double precision = 1;
    double threshold = 1;
    double fail_over = 0;
    double timeout = 5;
    double max_overhead = 0;
    std::uint64_t count = 0;
    bool quiet = false;
    int verbose = 0;
};

class Parser {
public:
    Result<Command> parse(int argc, const char *const *argv) {
        describe();
        try {
            app_.parse(argc, argv);
        } catch (const CLI::Success &) {
            return finish_early();
        } catch (const CLI::ParseError &error) {
            return misuse("", error.what(), "`vethtrace --help` lists what there is");
        }
        if (Result<void> said = check_that_something_is_said(app_); !said)
            return tl::unexpected(said.error());
        return command();
    }

private:
    // An empty value is mostly a shell's variable that is not set. To take it for "not asked for" would do something
    // else than what was meant: watch all ports, run the built-in load.
    static Result<void> check_that_something_is_said(const CLI::App &app) {
        for (const CLI::Option *option : app.get_options()) {
            const std::vector<std::string> &words = option->results();
            if (std::find(words.begin(), words.end(), "") != words.end())
                return misuse(option->get_name(), "is empty", "leave it out if nothing is to be said");
        }
        for (const CLI::App *sub : app.get_subcommands())
            if (Result<void> said = check_that_something_is_said(*sub); !said)
                return said;
        return {};
    }

    void describe() {
        app_.set_help_flag("-h,--help", "print this help and exit");
        app_.add_flag("-V,--version", show_version_, "print the versions of the tool and of libbpf, and exit");
        app_.footer(
            "Without a subcommand: builds a lab, runs TCP_RR in it, traces it, and prints where the time goes.\n"
            "Exit status: 0 good; 1 it could not be done; 2 wrong usage; 3 it ran, but the result is not valid;\n"
            "4 `diff` found more than it was told to allow.");
        add_mode_option(app_);
        add_load_options(app_, words_.duration, "how long to trace, in seconds");
        add_run_options();
        add_output_options(app_);
        describe_compare();
        describe_diff();
        describe_rr();
        watch_ = app_.add_subcommand("watch", "a node's own traffic: which hop of which container is slow");
        watch_parser_.describe(*watch_);
        add_hook_option(*watch_);
        add_output_options(*watch_);
        export_ = app_.add_subcommand("export", "the same for Prometheus: metrics of a node's own traffic");
        export_parser_.describe(*export_);
        add_hook_option(*export_);
        export_->add_flag("-q,--quiet", words_.quiet, "print nothing but errors");

        features_ = app_.add_subcommand("features", "which hook each station gets on this kernel, and why");
        add_hook_option(*features_);
        add_output_options(*features_);

        describe_explain();

        report_ = app_.add_subcommand("report", "show a stored result once more");
        report_
            ->add_option("file", report_command_.file,
                         "what `-o FILE` or `watch --record FILE` wrote, or `--json` printed")
            ->type_name("FILE")
            ->required();
        CLI::Option *replay = report_->add_flag(
            "--replay", report_command_.replay,
            "window by window, what `watch --record` has recorded: live on a terminal, else as lines");
        report_->add_option("--window", report_command_.first_window, "begin with this window")
            ->type_name("N")
            ->needs(replay)
            ->check(within(std::uint64_t{1}, most_windows));
        add_output_options(*report_, "write it as a page of HTML to this file, and not to standard output");
        for (auto &[option, file, text] :
             {std::tuple("--csv", &report_command_.csv, "the same as a table for spreadsheets, times in ns"),
              std::tuple("--folded", &report_command_.folded, "the same as folded stacks for flame graphs, in ns")})
            report_->add_option(option, *file, text)->type_name("FILE")->excludes(replay);
        report_->get_option("--html")->excludes(replay);

        lab_ = app_.add_subcommand("lab", "keep a lab to poke at; remove what a crash left");
        lab_->require_subcommand(1);
        lab_up_ = lab_->add_subcommand("up", "build a lab that stays until `lab down`");
        add_mode_option(*lab_up_);
        lab_exec_ =
            lab_->add_subcommand("exec", "run a command in a namespace of the kept lab: exec NAMESPACE COMMAND...");
        lab_exec_->add_option("namespace", lab_command_.part, "container, host or peer")
            ->required()
            ->check(CLI::IsMember({"container", "host", "peer"}));
        lab_exec_->prefix_command(); // all that follows is the command, with options of its own
        lab_down_ = lab_->add_subcommand("down", "remove the kept lab");
        lab_gc_ = lab_->add_subcommand("gc", "remove what crashed runs left behind; never a living one's");
        completion_ = app_.add_subcommand("completion", "print the completions of this command line for a shell");
        completion_->add_option("shell", words_.shell, "the shell that is to source them")
            ->required()
            ->check(CLI::IsMember(shell_names()));
        app_.require_subcommand(0, 1);
        for (CLI::App *sub : {diff_, rr_, rr_serve_, rr_run_, features_, report_, lab_, lab_up_, lab_exec_, lab_down_,
                              lab_gc_, completion_})
            sub->footer("");
    }

    void add_mode_option(CLI::App &app) {
        app.add_option("-m,--mode", words_.mode, "how the container is connected")
            ->check(CLI::IsMember(mode_names()))
            ->capture_default_str();
    }

    void add_hook_option(CLI::App &app) {
        app.add_option("--no-hook", words_.no_hook,
                       "do without a kind of hook: fentry, kprobe, tracepoint (repeatable)")
            ->type_name("KIND")
            ->allow_extra_args(false);
    }

    void describe_compare() {
        compare_ =
            app_.add_subcommand("compare", "which stage makes one mode slower than another, and how sure that is");
        compare_->add_option("modes", words_.modes, "the modes; all are held against the first")
            ->type_name("MODE MODE...")
            ->check(CLI::IsMember(mode_names()))
            ->required();
        compare_->add_option("--rounds", compare_command_.compare.plan.rounds, "rounds of each mode, at most")
            ->type_name("N")
            ->check(within(std::uint64_t{1}, most_rounds))
            ->capture_default_str();
        compare_
            ->add_option("--precision", words_.precision,
                         "stop when every interval is narrower than this part of the round trip, in percent")
            ->type_name("PCT")
            ->check(within(0.0, percent))
            ->capture_default_str();
        compare_
            ->add_option("--threshold", words_.threshold,
                         "call a difference below this part of the round trip indistinguishable, in percent")
            ->type_name("PCT")
            ->check(within(0.0, percent))
            ->capture_default_str();
        seed_ = compare_->add_option("--seed", words_.seed, "of the order of the rounds (default: another each time)")
                    ->type_name("N")
                    ->check(within(std::uint64_t{0}, most_seed));
        compare_->add_option("--setup", words_.setups, "run this in the host of each lab of that mode (repeatable)")
            ->type_name("MODE=COMMAND")
            ->allow_extra_args(false);
        compare_->add_flag("--skip-missing", compare_command_.compare.skip_missing,
                           "go on without the modes that this kernel lacks");
        add_load_options(*compare_, words_.stretch,
                         "how long each round is traced, and once more untraced, in seconds");
        add_output_options(*compare_);
        compare_->footer(
            "Rounds of all modes take turns in random order, each in a lab of its own. It is looked after half\n"
            "of the rounds, and after all, whether enough is known.");
    }

    void describe_explain() {
        explain_ = app_.add_subcommand("explain", "the way of a packet, step by step, as this kernel has it");
        explain_->add_option("modes", words_.modes, "the mode; of several it is shown where their ways part and meet")
            ->type_name("MODE...")
            ->check(CLI::IsMember(mode_names()))
            ->required();
        explain_->add_option("--topology", words_.topology, "where the peer is: another machine, or a second container")
            ->check(CLI::IsMember({"wire", "local"}))
            ->capture_default_str();
        CLI::Option *from =
            explain_->add_option("--from", explain_command_.from, "with the times of this run or comparison");
        from->type_name("RUN.json");
        CLI::Option *live = explain_->add_flag("--live", explain_command_.live,
                                               "with the times of a short run, a single packet, and the packets that "
                                               "the host's netfilter sees");
        live->excludes(from);
        explain_->add_option("-c,--count", explain_command_.live_transactions, "how many transactions that run has")
            ->type_name("N")
            ->check(within(std::uint64_t{1}, most_transactions))
            ->capture_default_str()
            ->needs(live);
        explain_
            ->add_option("--cpus", words_.cpus, "CPUs of client and server, as in 0,1 (default: both on the last one)")
            ->type_name("CLIENT,SERVER")
            ->needs(live);
        add_output_options(*explain_);
        explain_->footer(
            "Functions are named as the running kernel has them, by /proc/kallsyms and its BTF. Only --live\n"
            "needs privileges.");
    }

    void describe_diff() {
        diff_ = app_.add_subcommand("diff", "what changed from one stored result to another");
        diff_->add_option("before", diff_command_.before, "a run or a comparison that `-o FILE` wrote")
            ->type_name("A.json")
            ->required();
        diff_->add_option("after", diff_command_.after, "a later one")->type_name("B.json")->required();
        fail_over_ = diff_
                         ->add_option("--fail-over", words_.fail_over,
                                      "exit with status 4 if a round trip grew by more than this, in percent")
                         ->type_name("PCT")
                         ->check(within(0.0, most_overhead));
        diff_
            ->add_option("--threshold", words_.threshold,
                         "call a change below this part of the round trip indistinguishable, in percent")
            ->type_name("PCT")
            ->check(within(0.0, percent))
            ->capture_default_str();
        diff_->add_flag("--anyway", diff_command_.diff.anyway,
                        "compare results that were measured under different conditions");
        add_output_options(*diff_);
    }

    void describe_rr() {
        rr_ = app_.add_subcommand("rr", "the load generator alone, for two real machines");
        rr_->require_subcommand(1);
        auto add_port = [](CLI::App &app, std::uint16_t &port) {
            app.add_option("--port", port, "TCP port of the server")
                ->type_name("N")
                ->check(within(std::uint16_t{1}, std::uint16_t{UINT16_MAX}))
                ->capture_default_str();
        };
        rr_serve_ = rr_->add_subcommand("serve", "answer until Ctrl-C");
        rr_serve_->add_option("--listen", rr_serve_command_.server.address, "name or address (default: all)")
            ->type_name("ADDRESS");
        add_port(*rr_serve_, rr_serve_command_.server.port);
        rr_run_ = rr_->add_subcommand("run", "send requests to a machine where `vethtrace rr serve` runs");
        rr_run_->add_option("server", rr_run_command_.rr.server, "its name or address")->required();
        add_port(*rr_run_, rr_run_command_.rr.port);
        add_traffic_options(*rr_run_, words_.duration, "how long, in seconds");
        add_output_options(*rr_run_);
    }

    // How much traffic, and of what kind.
    void add_traffic_options(CLI::App &app, double &seconds, const std::string &duration_text) {
        LoadOptions &load = run_.run.load;
        CLI::Option *duration = app.add_option("-d,--duration", seconds, duration_text)
                                    ->type_name("SECONDS")
                                    ->check(within(0.01, longest_seconds))
                                    ->capture_default_str();
        app.add_option("-c,--count", words_.count, "how many transactions, instead of a duration")
            ->type_name("N")
            ->check(within(std::uint64_t{1}, most_transactions))
            ->excludes(duration);
        app.add_option("--warmup", run_.run.warmup, "transactions before each slice of it, not counted")
            ->type_name("N")
            ->check(within(std::uint64_t{0}, most_transactions))
            ->capture_default_str();
        app.add_option("--flows", load.flows, "connections at the same time")
            ->type_name("N")
            ->check(within(std::uint32_t{1}, std::uint32_t{layout::MAX_FLOWS}))
            ->capture_default_str();
        app.add_option("--request", load.request_bytes, "bytes from client to server")
            ->type_name("BYTES")
            ->check(within(std::uint32_t{1}, most_bytes))
            ->capture_default_str();
        app.add_option("--response", load.response_bytes, "bytes from server to client")
            ->type_name("BYTES")
            ->check(within(std::uint32_t{1}, most_bytes))
            ->capture_default_str();
        app.add_option("--timeout", words_.timeout, "seconds to wait for an answer before giving up")
            ->type_name("SECONDS")
            ->check(within(0.1, longest_seconds))
            ->capture_default_str();
    }

    // The load of a lab, and what is seen of it.
    void add_load_options(CLI::App &app, double &seconds, const std::string &duration_text) {
        app.add_option("--topology", words_.topology, "where the peer is: another machine, or a second container")
            ->check(CLI::IsMember({"wire", "local"}))
            ->capture_default_str();
        add_traffic_options(app, seconds, duration_text);
        app.add_option("--cpus", words_.cpus, "CPUs of client and server, as in 0,1 (default: both on the last one)")
            ->type_name("CLIENT,SERVER");
        app.add_option("--sample", run_.run.sample, "follow one transaction in so many")
            ->type_name("N")
            ->check(within(std::uint32_t{1}, most_sampled_from))
            ->capture_default_str();
        add_hook_option(app);
    }

    void add_output_options(CLI::App &app,
                            const std::string &html_text = "write the result as a page of HTML to this file as well") {
        app.add_flag("-j,--json", output_.json, "print JSON and nothing else");
        app.add_flag("-p,--pretty", output_.pretty, "indent the JSON");
        app.add_option("-o,--output", output_.file, "write the result as JSON to this file as well")->type_name("FILE");
        app.add_option("--html", output_.html, html_text)->type_name("FILE");
        app.add_option("--color", words_.color, "colours on the terminal")
            ->check(CLI::IsMember({"auto", "always", "never"}))
            ->capture_default_str();
        CLI::Option *quiet = app.add_flag("-q,--quiet", words_.quiet, "print only the closing sentence and warnings");
        app.add_flag("-v,--verbose", words_.verbose, "print more (also -vv)")->excludes(quiet);
    }

    // Options of a single run only.
    void add_run_options() {
        app_.add_option("--setup", run_.run.setup, "run this in the lab's host before all else, by /bin/sh")
            ->type_name("COMMAND");
        app_.add_option("--follow", run_.run.timelines, "show this many single transactions, moment by moment")
            ->type_name("N")
            ->check(within(std::uint32_t{1}, std::uint32_t{layout::MAX_TIMELINES}));
        app_.add_option("--max-overhead", words_.max_overhead,
                        "follow as many transactions as add at most this much to the round trip, in percent")
            ->type_name("PCT")
            ->check(within(0.1, most_overhead))
            ->excludes("--sample");
        CLI::Option *command =
            app_.add_option("--cmd", words_.command,
                            "run this in the container instead of the built-in load, by /bin/sh; the peer's\n"
                            "address is in $VETHTRACE_PEER. It ends with the command, or after --duration");
        command->type_name("COMMAND");
        for (const char *built_in : {"--count", "--warmup", "--flows", "--request", "--response", "--timeout", "--cpus",
                                     "--follow", "--max-overhead"})
            command->excludes(built_in);
        app_.add_option("--peer-cmd", words_.peer_command, "run this in the peer meanwhile, as a server for --cmd")
            ->type_name("COMMAND")
            ->needs(command);
    }

    Result<Command> finish_early() {
        // CLI11 knows which subcommand's help was asked for.
        for (CLI::App *sub : {lab_up_, lab_exec_, lab_down_, lab_gc_, lab_, features_, report_, compare_, diff_,
                              explain_, watch_, export_, rr_serve_, rr_run_, rr_, completion_})
            if (sub->parsed()) {
                bool is_nested = sub->get_parent() != &app_;
                return Command(
                    ShowText{sub->help(is_nested ? "vethtrace " + sub->get_parent()->get_name() : "vethtrace")});
            }
        return Command(ShowText{app_.help()});
    }

    Result<Command> command() {
        if (show_version_)
            return Command(ShowText{version_text()});
        if (lab_->parsed())
            return lab_command();
        if (completion_->parsed()) // the parser has let only known names through
            return Command(ShowText{completion_script(app_, *shell_named(words_.shell))});
        if (words_.color != "auto")
            output_.color = words_.color == "always" ? ColorChoice::always : ColorChoice::never;
        output_.verbosity = words_.quiet ? -1 : words_.verbose;
        if (Result<void> apart = check_files(); !apart)
            return tl::unexpected(apart.error());
        if (report_->parsed()) {
            report_command_.output = output_;
            return Command(report_command_);
        }
        if (diff_->parsed())
            return diff_command();
        if (explain_->parsed())
            return explain_command();
        if (rr_->parsed())
            return rr_command();
        Result<Denied> denied = Denied::parse(words_.no_hook);
        if (!denied)
            return tl::unexpected(denied.error());
        if (watch_->parsed())
            return watch_command(std::move(*denied));
        if (export_->parsed())
            return export_command(std::move(*denied));
        if (features_->parsed())
            return Command(FeaturesCommand{std::move(*denied), output_});
        if (Result<void> set = set_load(std::move(*denied)); !set)
            return tl::unexpected(set.error());
        return compare_->parsed() ? compare_command() : run_command();
    }

    // What is written last would be all that is left.
    [[nodiscard]] Result<void> check_files() const {
        const std::array<std::pair<const char *, const std::string *>, 4> files = {
            {{"-o", &output_.file},
             {"--html", &output_.html},
             {"--csv", &report_command_.csv},
             {"--folded", &report_command_.folded}}};
        for (std::size_t i = 0; i < files.size(); ++i)
            for (std::size_t j = i + 1; j < files.size(); ++j)
                if (!files.at(i).second->empty() && *files.at(i).second == *files.at(j).second)
                    return misuse(fmt::format("{} and {}", files.at(i).first, files.at(j).first),
                                  "are the same file, " + *files.at(i).second, "each form needs one of its own");
        return {};
    }

    Result<void> set_traffic(double seconds) {
        RunOptions &run = run_.run;
        run.duration = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
        run.load.timeout =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(words_.timeout));
        if (words_.count != 0)
            run.count = words_.count;
        if (run.count && *run.count < run.load.flows)
            return misuse(fmt::format("--count {} with --flows {}", *run.count, run.load.flows),
                          "each flow needs at least one transaction");
        return {};
    }

    Result<void> set_load(Denied denied) {
        RunOptions &run = run_.run;
        run.topology = *topology_named(words_.topology);
        run.denied = std::move(denied);
        if (Result<void> set = set_traffic(compare_->parsed() ? words_.stretch : words_.duration); !set)
            return set;
        return set_cpus(words_.cpus, run.load);
    }

    Result<Command> run_command() {
        RunOptions &run = run_.run;
        run.mode = *mode_named(words_.mode); // the parser has let only known names through
        if (words_.max_overhead > 0)
            run.max_overhead = words_.max_overhead / percent;
        if (Result<Way> way = Way::of(run.mode, run.topology); !way)
            return misuse(way.error().object, way.error().reason, way.error().hint);
        if (!words_.command.empty())
            return in_lab_command();
        run_.output = output_;
        return Command(run_);
    }

    Result<Command> in_lab_command() {
        InLabCommand command{.mode = run_.run.mode,
                             .topology = run_.run.topology,
                             .command = words_.command,
                             .peer_command = words_.peer_command,
                             .setup = run_.run.setup,
                             .duration = std::nullopt,
                             .sample = run_.run.sample,
                             .denied = run_.run.denied,
                             .output = output_};
        if (app_.get_option("--duration")->count() != 0)
            command.duration = run_.run.duration;
        return Command(std::move(command));
    }

    Result<Command> compare_command() {
        CompareOptions &compare = compare_command_.compare;
        if (words_.modes.size() < 2)
            return misuse("compare " + words_.modes.front(), "needs two modes or more",
                          "for example: vethtrace compare host veth");
        for (const std::string &name : words_.modes)
            compare.modes.push_back(*mode_named(name));
        compare.run = run_.run;
        compare.run.untraced_share = 1; // the verdict is about the untraced round trip
        for (Mode mode : compare.modes)
            if (Result<Way> way = Way::of(mode, compare.run.topology); !way)
                return misuse(way.error().object, way.error().reason, "leave it out, or use --topology wire");
        if (Result<void> set = set_setups(compare); !set)
            return tl::unexpected(set.error());
        compare.plan.seed = seed_->empty() ? std::random_device()() : words_.seed;
        compare.plan.precision = words_.precision / percent;
        compare.plan.threshold = words_.threshold / percent;
        compare_command_.output = output_;
        return Command(compare_command_);
    }

    // "veth#2=nft -f rules" is for the second veth of the list.
    Result<void> set_setups(CompareOptions &compare) const {
        std::vector<std::string> labels = labels_of(compare.modes);
        for (const std::string &word : words_.setups) {
            std::size_t equals = word.find('=');
            std::string label = word.substr(0, equals);
            if (equals == std::string::npos || std::find(labels.begin(), labels.end(), label) == labels.end())
                return misuse("--setup " + word,
                              fmt::format("does not begin with one of {}", fmt::join(labels, "=, ")) + "=",
                              "for example: --setup 'veth=nft -f rules.nft'");
            compare.setups[label] = word.substr(equals + 1);
        }
        return {};
    }

    Result<Command> diff_command() {
        diff_command_.diff.threshold = words_.threshold / percent;
        if (!fail_over_->empty())
            diff_command_.diff.allowed = words_.fail_over / percent;
        diff_command_.output = output_;
        return Command(diff_command_);
    }

    Result<Command> explain_command() {
        explain_command_.topology = *topology_named(words_.topology);
        for (const std::string &name : words_.modes)
            explain_command_.modes.push_back(*mode_named(name));
        for (Mode mode : explain_command_.modes)
            if (Result<Way> way = Way::of(mode, explain_command_.topology); !way)
                return misuse(way.error().object, way.error().reason, way.error().hint);
        if (Result<void> set = set_cpus(words_.cpus, explain_command_.load); !set)
            return tl::unexpected(set.error());
        explain_command_.output = output_;
        return Command(explain_command_);
    }

    [[nodiscard]] Result<Command> watch_command(Denied denied) const {
        return watch_parser_.plan().map([&](WatchPlan plan) {
            plan.watch.denied = std::move(denied);
            return Command(WatchCommand{std::move(plan), output_});
        });
    }

    [[nodiscard]] Result<Command> export_command(Denied denied) const {
        return export_parser_.plan().map([&](ExportPlan plan) {
            plan.watch.watch.denied = std::move(denied);
            return Command(ExportCommand{std::move(plan), output_});
        });
    }

    Result<Command> rr_command() {
        if (rr_serve_->parsed()) {
            rr_serve_command_.output = output_;
            return Command(rr_serve_command_);
        }
        if (Result<void> set = set_traffic(words_.duration); !set)
            return tl::unexpected(set.error());
        const RunOptions &run = run_.run;
        RrOptions &rr = rr_run_command_.rr;
        rr.flows = run.load.flows;
        rr.request_bytes = run.load.request_bytes;
        rr.response_bytes = run.load.response_bytes;
        rr.warmup = run.warmup;
        rr.count = run.count;
        rr.duration = run.duration;
        rr.timeout = run.load.timeout;
        rr_run_command_.output = output_;
        return Command(rr_run_command_);
    }

    Result<Command> lab_command() {
        lab_command_.mode = *mode_named(words_.mode);
        lab_command_.command_line = lab_exec_->remaining();
        if (lab_exec_->parsed() && lab_command_.command_line.empty())
            return misuse("lab exec", "no command to run", "for example: vethtrace lab exec container ip address");
        if (lab_up_->parsed())
            lab_command_.action = LabCommand::Action::up;
        else if (lab_exec_->parsed())
            lab_command_.action = LabCommand::Action::exec;
        else if (lab_down_->parsed())
            lab_command_.action = LabCommand::Action::down;
        else
            lab_command_.action = LabCommand::Action::gc;
        return Command(lab_command_);
    }

    CLI::App app_{"Where does a container's packet spend its time? vethtrace measures every hop and closes the sum.",
                  "vethtrace"};
    CLI::App *features_ = nullptr;
    CLI::App *report_ = nullptr;
    CLI::App *lab_ = nullptr;
    CLI::App *lab_up_ = nullptr;
    CLI::App *compare_ = nullptr;
    CLI::App *diff_ = nullptr;
    CLI::App *rr_ = nullptr;
    CLI::App *rr_serve_ = nullptr;
    CLI::App *rr_run_ = nullptr;
    CLI::App *watch_ = nullptr;
    CLI::App *explain_ = nullptr;
    CLI::App *export_ = nullptr;
    CLI::App *completion_ = nullptr;
    CLI::Option *seed_ = nullptr;
    CLI::Option *fail_over_ = nullptr;
    CLI::App *lab_exec_ = nullptr;
    CLI::App *lab_down_ = nullptr;
    CLI::App *lab_gc_ = nullptr;
    bool show_version_ = false;
    Words words_;
    OutputOptions output_;
    RunCommand run_;
    CompareCommand compare_command_;
    DiffCommand diff_command_;
    RrServeCommand rr_serve_command_;
    RrRunCommand rr_run_command_;
    ExplainCommand explain_command_;
    ReportCommand report_command_;
    LabCommand lab_command_;
    WatchParser watch_parser_;
    ExportParser export_parser_;
};

} // namespace

Result<Command> parse_command_line(int argc, const char *const *argv) {
    return std::make_unique<Parser>()->parse(argc, argv);
}

} // namespace vethtrace
