// SPDX-License-Identifier: GPL-2.0-only
//
// The command line as values. Whatever it holds has been checked: modes are known, numbers in range, CPUs allowed.
#pragma once

#include "cli/export_options.hpp"
#include "cli/watch_options.hpp"
#include "core/diff.hpp"
#include "core/error.hpp"
#include "load/rr.hpp"
#include "run/compare.hpp"
#include "run/run.hpp"

#include <string>
#include <variant>
#include <vector>

namespace vethtrace {

enum class ColorChoice { automatic, always, never };

struct OutputOptions {
    bool json = false;
    bool pretty = false;
    std::string file; // the result as JSON goes there as well
    std::string html; // and there as a page
    ColorChoice color = ColorChoice::automatic;
    int verbosity = 0;
};

struct RunCommand {
    RunOptions run;
    OutputOptions output;
};

struct CompareCommand {
    CompareOptions compare;
    OutputOptions output;
};

struct DiffCommand {
    std::string before;
    std::string after;
    DiffOptions diff;
    OutputOptions output;
};

struct RrServeCommand {
    RrServerOptions server;
    OutputOptions output;
};

struct RrRunCommand {
    RrOptions rr;
    OutputOptions output;
};

struct WatchCommand {
    WatchPlan plan;
    OutputOptions output;
};

struct ExportCommand {
    ExportPlan plan;
    OutputOptions output;
};

struct FeaturesCommand {
    Denied denied;
    OutputOptions output;
};

struct ExplainCommand {
    std::vector<Mode> modes;
    Topology topology = Topology::wire;
    std::string from;  // a stored result with the times; empty: none
    bool live = false; // measure them now, in labs
    LoadOptions load;  // of these labs ...
    std::uint64_t live_transactions = 2000;
    std::uint64_t counted_transactions = 100; // ... and of those where netfilter's packets are counted
    OutputOptions output;
};

struct ReportCommand {
    std::string file;
    std::string csv;                // where it is to go, in place of standard output, as a table ...
    std::string folded;             // ... and as stacks for flame graphs
    bool replay = false;            // of a recording: window by window
    std::uint64_t first_window = 1; // its number
    OutputOptions output;
};

// A command of the user's, in a lab.
struct InLabCommand {
    Mode mode = Mode::veth;
    Topology topology = Topology::wire;
    std::string command;                              // in the container
    std::string peer_command;                         // in the peer, before it; empty: none
    std::string setup;                                // in the lab's host, before both; empty: none
    std::optional<std::chrono::nanoseconds> duration; // null: until `command` has ended
    std::uint32_t sample = 1;                         // follow one packet in so many, or fewer
    double max_overhead = 1;                          // a part of the time of the busiest CPU
    Denied denied;
    OutputOptions output;
};

struct LabCommand {
    enum class Action { up, exec, down, gc };
    Action action = Action::gc;
    Mode mode = Mode::veth;
    std::string part = "container";        // exec: in which namespace
    std::vector<std::string> command_line; // exec: what to run there
};

// Nothing is left to do: the text is what --help or --version asked for.
struct ShowText {
    std::string text;
};

using Command =
    std::variant<RunCommand, InLabCommand, CompareCommand, DiffCommand, RrServeCommand, RrRunCommand, WatchCommand,
                 ExportCommand, FeaturesCommand, ExplainCommand, ReportCommand, LabCommand, ShowText>;

[[nodiscard]] Result<Command> parse_command_line(int argc, const char *const *argv);

} // namespace vethtrace
