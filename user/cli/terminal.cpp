// SPDX-License-Identifier: GPL-2.0-only
#include "cli/terminal.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace vethtrace {

namespace {

// A signal handler can reach nothing but this.
std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void request_stop(int) {
    stop_requested = true;
}

} // namespace

bool takes_escapes(int descriptor) {
    const char *kind = std::getenv("TERM");
    return isatty(descriptor) != 0 && kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

TextStyle style_of_stdout(const OutputOptions &output) {
    TextStyle style;
    style.verbosity = output.verbosity;
    bool terminal = isatty(STDOUT_FILENO) != 0;
    const char *no_color = std::getenv("NO_COLOR");
    style.color = output.color == ColorChoice::always ||
                  (output.color == ColorChoice::automatic && takes_escapes(STDOUT_FILENO) &&
                   (no_color == nullptr || *no_color == '\0'));
    winsize size = {};
    constexpr int wide = 130;
    style.width = terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : wide;
    return style;
}

ProgressLine::ProgressLine(const OutputOptions &output)
    : shown_(takes_escapes(STDERR_FILENO) && output.verbosity >= 0) {}

void ProgressLine::show(const std::string &step) const {
    if (shown_)
        (void)std::fputs(fmt::format("\r\033[K{} ...", step).c_str(), stderr);
}

void ProgressLine::clear() const {
    if (shown_)
        (void)std::fputs(fmt::format("\r\033[K").c_str(), stderr);
}

Result<void> check_standard_descriptors() {
    bool output_is_open = fcntl(STDOUT_FILENO, F_GETFD) != -1;
    for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(descriptor, F_GETFD) == -1)
            (void)open("/dev/null", O_RDWR); // the lowest that is free
    if (!output_is_open)
        return fail("standard output", "is closed, so there is nowhere to print to",
                    "-o FILE >/dev/null keeps a result");
    return {};
}

StopSignals::StopSignals() {
    struct sigaction action = {};
    action.sa_handler = request_stop;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaction(signal, &action, nullptr);
}

const std::atomic<bool> &StopSignals::requested() const {
    return stop_requested;
}

} // namespace vethtrace
