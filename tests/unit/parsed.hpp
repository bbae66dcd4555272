// SPDX-License-Identifier: GPL-2.0-only
//
// What the command line makes of words.
#pragma once

#include "cli/options.hpp"

#include <string>
#include <vector>

namespace vethtrace::test {

// Of those behind the program's name.
inline Result<Command> parse(const std::vector<std::string> &words) {
    std::vector<const char *> argv = {"vethtrace"};
    for (const std::string &word : words)
        argv.push_back(word.c_str());
    return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

// Of those behind the command's.
inline Result<Command> parse(const std::string &command, std::vector<std::string> words) {
    words.insert(words.begin(), command);
    return parse(words);
}

} // namespace vethtrace::test
