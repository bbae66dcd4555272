// SPDX-License-Identifier: GPL-2.0-only
#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/terminal.hpp"

#include <csignal>

int main(int argc, char **argv) {
    using namespace vethtrace;
    // A reader that goes away is an error to report, not a reason to die with the lab still standing.
    std::signal(SIGPIPE, SIG_IGN);
    if (Result<void> usable = check_standard_descriptors(); !usable) {
        print_error(usable.error());
        return static_cast<int>(usable.error().exit);
    }
    Result<Command> command = parse_command_line(argc, argv);
    if (!command) {
        print_error(command.error());
        return static_cast<int>(command.error().exit);
    }
    return static_cast<int>(execute(*command));
}
