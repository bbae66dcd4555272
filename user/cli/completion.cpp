// SPDX-License-Identifier: GPL-2.0-only
#include "cli/completion.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vethtrace {

namespace {

// What may follow an option, or stand in the place of an argument.
struct Value {
    std::string type;               // as --help has it: "FILE", "SECONDS"; never empty
    std::vector<std::string> words; // all there are; empty: not to be listed
    bool is_file = false;
};

struct Option {
    std::vector<std::string> names; // with their dashes
    std::string text;
    std::optional<Value> value; // null: a flag
    bool repeatable = false;
};

// A command, and what a shell offers for it.
struct Completion {
    std::string path; // "lab up"; empty for the program itself
    std::string name;
    std::string text;
    std::vector<Option> options;
    std::vector<Value> arguments;
    bool more_arguments = false; // the last of them any number of times
    bool is_prefix = false;      // what follows the arguments is a command of the user's
    std::vector<Completion> commands;
};

// "TEXT:{tcp,udp}" is a value of two words, "FILE" is a file.
Value value_of(const CLI::Option &option) {
    Value value;
    std::string type = option.get_type_name();
    std::size_t open = type.find('{');
    std::size_t close = type.find('}');
    if (open != std::string::npos && close != std::string::npos)
        value.words = CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
    value.type = type.substr(0, type.find(':'));
    if (value.type.empty())
        value.type = "VALUE";
    value.is_file = value.type.starts_with("FILE") || value.type.ends_with(".json");
    return value;
}

// Of several lines of help, a shell shows one.
std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

Option option_of(const CLI::Option &from) {
    Option option;
    for (const std::string &name : from.get_snames())
        option.names.push_back("-" + name);
    for (const std::string &name : from.get_lnames())
        option.names.push_back("--" + name);
    option.text = one_line(from.get_description());
    if (from.get_items_expected_max() > 0)
        option.value = value_of(from);
    // The description says so to people; the flag counts how often it is given.
    option.repeatable = option.text.find("(repeatable)") != std::string::npos || option.names.front() == "-v";
    return option;
}

Completion node_of(const CLI::App &app, const std::string &path) {
    Completion node{path, app.get_name(), one_line(app.get_description()), {}, {}, false, app.get_prefix_command(), {}};
    for (const CLI::Option *option : app.get_options()) {
        if (option->get_positional()) {
            node.arguments.push_back(value_of(*option));
            node.more_arguments = option->get_items_expected_max() > 1;
        } else {
            node.options.push_back(option_of(*option));
        }
    }
    for (const CLI::App *sub : app.get_subcommands([](const CLI::App *) { return true; }))
        node.commands.push_back(node_of(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name()));
    return node;
}

// The node and all below it, itself first.
std::vector<const Completion *> all_nodes(const Completion &node) {
    std::vector<const Completion *> nodes = {&node};
    for (const Completion &command : node.commands)
        for (const Completion *below : all_nodes(command))
            nodes.push_back(below);
    return nodes;
}

std::vector<std::string> names_of(const std::vector<Completion> &commands) {
    std::vector<std::string> names;
    names.reserve(commands.size());
    for (const Completion &command : commands)
        names.push_back(command.name);
    return names;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
    return text;
}

// Between single quotes of a POSIX shell.
std::string in_quotes(const std::string &text) {
    return "'" + replaced(text, "'", R"('\'')") + "'";
}

std::string header(std::string_view shell) {
    return fmt::format("# Completions of vethtrace for {0}, made by `vethtrace completion {0}`.\n", shell);
}

// ---- bash: one function, which finds the command and then looks into tables written as `case`

std::string bash_patterns(const std::string &path, const std::vector<std::string> &names) {
    std::vector<std::string> patterns;
    patterns.reserve(names.size());
    for (const std::string &name : names)
        patterns.push_back(fmt::format("\"{} {}\"", path, name));
    return fmt::format("{}", fmt::join(patterns, " | "));
}

std::string bash_offer(const Value &value) {
    if (value.is_file)
        return "_vethtrace_files";
    return value.words.empty() ? "true" : fmt::format("_vethtrace_words \"{}\"", fmt::join(value.words, " "));
}

// "command word": what they lead to.
std::string bash_commands(const Completion &root) {
    std::string commands;
    for (const Completion *node : all_nodes(root))
        for (const Completion &command : node->commands)
            commands += fmt::format("        \"{}{}\") command=\"{}\" place=0 start=$((i + 1)) ;;\n",
                                    node->path.empty() ? " " : node->path + " ", command.name, command.path);
    return commands;
}

// "command option": what its value may be.
std::string bash_values(const Completion &root) {
    std::string values;
    for (const Completion *node : all_nodes(root))
        for (const Option &option : node->options)
            if (option.value)
                values += fmt::format("    {}) [[ -z $3 ]] || {} ;;\n", bash_patterns(node->path, option.names),
                                      bash_offer(*option.value));
    return values;
}

// The number of an argument: what it may be.
std::string bash_arguments(const Completion &node) {
    std::string arguments;
    for (std::size_t i = 0; i < node.arguments.size(); ++i) {
        bool rest = node.more_arguments && i + 1 == node.arguments.size();
        arguments +=
            fmt::format("            {}) {} ;;\n", rest ? "*" : std::to_string(i), bash_offer(node.arguments[i]));
    }
    if (!node.commands.empty())
        arguments +=
            fmt::format("            *) _vethtrace_words \"{}\" ;;\n", fmt::join(names_of(node.commands), " "));
    return arguments.empty() ? "" : fmt::format("        case $place in\n{}        esac\n", arguments);
}

// A command: its options where one is begun, else its arguments.
std::string bash_words(const Completion &root) {
    std::string words;
    for (const Completion *node : all_nodes(root)) {
        std::vector<std::string> options;
        for (const Option &option : node->options)
            options.insert(options.end(), option.names.begin(), option.names.end());
        words += fmt::format("    \"{}\")\n"
                             "        if [[ $word == -* ]]; then\n"
                             "            _vethtrace_words \"{}\"\n"
                             "            return\n"
                             "        fi\n"
                             "{}"
                             "        ;;\n",
                             node->path, fmt::join(options, " "), bash_arguments(*node));
    }
    return words;
}

std::string bash_prefixes(const Completion &root) {
    std::string prefixes;
    for (const Completion *node : all_nodes(root))
        if (node->is_prefix)
            prefixes += fmt::format("    if [[ $command == \"{0}\" && $place -ge {1} ]]; then\n"
                                    "        _vethtrace_command_at $((start + {1}))\n"
                                    "        return\n"
                                    "    fi\n",
                                    node->path, node->arguments.size());
    return prefixes;
}

std::string bash_script(const Completion &root) {
    return header("bash") +
           R"(
_vethtrace_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word")
}

_vethtrace_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
}

# The user's own command begins at word $1.
_vethtrace_command_at() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
    else
        _vethtrace_files
    fi
}

# Whether option $2 of command $1 has a value; what that may be is offered if $3 is not empty.
_vethtrace_value() {
    case "$1 $2" in
)" + bash_values(root) +
           R"(    *) return 1 ;;
    esac
    return 0
}

_vethtrace() {
    local word=${COMP_WORDS[COMP_CWORD]} command="" place=0 start=0 i
    COMPREPLY=()
    # Bash makes three words of --mode=veth.
    local before=$((COMP_CWORD - 1))
    if [[ $word == "=" ]]; then
        word=""
    elif [[ ${COMP_WORDS[before]} == "=" ]]; then
        before=$((before - 1))
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -* ]]; then
            if _vethtrace_value "$command" "${COMP_WORDS[i]}" ""; then
                [[ ${COMP_WORDS[i + 1]} != "=" ]] || i=$((i + 1))
                i=$((i + 1))
            fi
            continue
        fi
        case "$command ${COMP_WORDS[i]}" in
)" + bash_commands(root) +
           R"(        *) place=$((place + 1)) ;;
        esac
    done
)" + bash_prefixes(root) +
           R"(    if _vethtrace_value "$command" "${COMP_WORDS[before]}" yes; then
        return
    fi
    case "$command" in
)" + bash_words(root) +
           R"(    esac
}

complete -F _vethtrace vethtrace
)";
}

// ---- zsh: a function for each command, which calls _arguments

std::string zsh_text(const std::string &text) {
    return replaced(replaced(replaced(text, "\\", "\\\\"), "[", "\\["), "]", "\\]");
}

std::string zsh_action(const Value &value) {
    std::string type = replaced(value.type, ":", "\\:");
    if (value.is_file)
        return fmt::format(":{}:_files", type);
    return value.words.empty() ? fmt::format(":{}: ", type)
                               : fmt::format(":{}:({})", type, fmt::join(value.words, " "));
}

std::string zsh_function(const Completion &node) {
    return "_" + replaced("vethtrace" + (node.path.empty() ? "" : "_" + node.path), " ", "_");
}

std::string zsh_script(const Completion &root) {
    std::string functions;
    for (const Completion *node : all_nodes(root)) {
        std::vector<std::string> lines;
        for (const Option &option : node->options) {
            std::string excluded = option.repeatable ? "*" : fmt::format("({})", fmt::join(option.names, " "));
            std::string spec =
                fmt::format("[{}]{}", zsh_text(option.text), option.value ? zsh_action(*option.value) : "");
            for (const std::string &name : option.names) {
                std::string_view equals = option.value ? (name.starts_with("--") ? "=" : "+") : "";
                lines.push_back(in_quotes(fmt::format("{}{}{}{}", excluded, name, equals, spec)));
            }
        }
        for (std::size_t i = 0; i < node->arguments.size(); ++i) {
            bool rest = node->more_arguments && i + 1 == node->arguments.size();
            lines.push_back(in_quotes((rest ? "*" : std::to_string(i + 1)) + zsh_action(node->arguments[i])));
        }
        if (node->is_prefix)
            lines.push_back(in_quotes("*::command: _normal"));
        if (node->commands.empty()) {
            functions += fmt::format("{}() {{\n    _arguments -s -S \\\n        {}\n}}\n\n", zsh_function(*node),
                                     fmt::join(lines, " \\\n        "));
            continue;
        }
        lines.push_back(in_quotes("1: :->command"));
        lines.push_back(in_quotes("*:: :->rest"));
        std::string described;
        std::string cases;
        for (const Completion &command : node->commands) {
            described +=
                fmt::format("            {}\n", in_quotes(command.name + ":" + replaced(command.text, ":", "\\:")));
            cases += fmt::format("        {}) {} ;;\n", command.name, zsh_function(command));
        }
        functions += fmt::format("{}() {{\n"
                                 "    local context state state_descr line\n"
                                 "    typeset -A opt_args\n"
                                 "    _arguments -C -s -S \\\n        {}\n"
                                 "    case $state in\n"
                                 "    command)\n"
                                 "        local -a commands=(\n{}        )\n"
                                 "        _describe command commands\n"
                                 "        ;;\n"
                                 "    rest)\n"
                                 "        case $words[1] in\n{}        esac\n"
                                 "        ;;\n"
                                 "    esac\n"
                                 "}}\n\n",
                                 zsh_function(*node), fmt::join(lines, " \\\n        "), described, cases);
    }
    return "#compdef vethtrace\n" + header("zsh") + "\n" + functions +
           "if [ \"$funcstack[1]\" = _vethtrace ]; then\n    _vethtrace \"$@\"\nelse\n    compdef _vethtrace "
           "vethtrace\nfi\n";
}

// ---- fish: a line for each option, with the condition that its command is being typed

std::string fish_quoted(const std::string &text) {
    return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_value(const Value &value) {
    if (value.is_file)
        return " -r -F";
    return value.words.empty() ? " -x"
                               : fmt::format(" -x -a {}", fish_quoted(fmt::format("{}", fmt::join(value.words, " "))));
}

std::string fish_script(const Completion &root) {
    std::string known;
    std::string valued;
    std::string lines = "complete -c vethtrace -f\n";
    for (const Completion *node : all_nodes(root)) {
        auto when = [&](const std::string &place) {
            return fmt::format("complete -c vethtrace -n {}",
                               fish_quoted("__vethtrace_at '" + node->path + "'" + place));
        };
        for (const Completion &command : node->commands) {
            known += " " + in_quotes(command.path);
            lines += fmt::format("{} -a {} -d {}\n", when(" 0"), command.name, fish_quoted(command.text));
        }
        for (const Option &option : node->options) {
            std::string names;
            for (const std::string &name : option.names) {
                names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
                if (option.value)
                    valued += " " + in_quotes(node->path + " " + name);
            }
            lines += fmt::format("{}{}{} -d {}\n", when(""), names, option.value ? fish_value(*option.value) : "",
                                 fish_quoted(option.text));
        }
        for (std::size_t i = 0; i < node->arguments.size(); ++i) {
            bool rest = node->more_arguments && i + 1 == node->arguments.size();
            const Value &value = node->arguments[i];
            std::string offer = value.is_file         ? " -F"
                                : value.words.empty() ? ""
                                                      : fmt::format(" -a '{}'", fmt::join(value.words, " "));
            if (!offer.empty())
                lines += when(fmt::format(" {}{}", i, rest ? " more" : "")) + offer + "\n";
        }
        if (node->is_prefix) {
            std::size_t first = node->arguments.size();
            lines += when(fmt::format(" {}", first)) + " -a '(__fish_complete_command)'\n";
            lines += when(fmt::format(" {} more", first + 1)) + " -F\n";
        }
    }
    return header("fish") +
           fmt::format(R"(
set -g __vethtrace_commands{}
set -g __vethtrace_valued{}

# Whether command $argv[1] is being typed, its argument number $argv[2] (or, with `more`, that one or a later one).
function __vethtrace_at
    set -l words (commandline -opc)
    set -e words[1]
    set -l path ''
    set -l place 0
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            if contains -- "$path $word" $__vethtrace_valued
                set skip 1
            end
        else if contains -- (string trim -- "$path $word") $__vethtrace_commands
            set path (string trim -- "$path $word")
            set place 0
        else
            set place (math $place + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; and return 0
    test $place = $argv[2]; and return 0
    test (count $argv) -gt 2; and test $place -gt $argv[2]
end

)",
                       known, valued) +
           lines;
}

} // namespace

const std::vector<std::string> &shell_names() {
    static const std::vector<std::string> names = {"bash", "zsh", "fish"};
    return names;
}

std::optional<Shell> shell_named(std::string_view name) {
    auto found = std::find(shell_names().begin(), shell_names().end(), name);
    return found == shell_names().end() ? std::nullopt
                                        : std::optional(static_cast<Shell>(found - shell_names().begin()));
}

std::string completion_script(const CLI::App &app, Shell shell) {
    Completion root = node_of(app, "");
    switch (shell) {
    case Shell::bash:
        return bash_script(root);
    case Shell::zsh:
        return zsh_script(root);
    case Shell::fish:
        return fish_script(root);
    }
    return {};
}

} // namespace vethtrace
