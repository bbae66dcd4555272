// SPDX-License-Identifier: GPL-2.0-only
#include "cli/commands.hpp"
#include "cli/options.hpp"

#include <csignal>

int main(int argc, char **argv) {
    using namespace vethtrace;
    // A reader that goes away is an error to report, not a reason to die with the lab still standing.
    std::signal(SIGPIPE, SIG_IGN);
    Result<Command> command = parse_command_line(argc, argv);
    if (!command) {
        print_error(command.error());
        return static_cast<int>(command.error().exit);
    }
    return static_cast<int>(execute(*command));
}
