// SPDX-License-Identifier: GPL-2.0-only
//
// The terminal: its width and colours, a line of progress, and the signals that come from it.
#pragma once

#include "cli/options.hpp"
#include "report/text.hpp"

#include <atomic>
#include <string>

namespace vethtrace {

// A terminal that knows escape sequences: not one whose TERM is "dumb" or not set.
[[nodiscard]] bool takes_escapes(int descriptor);

// Colours only on a terminal that has them, and not with NO_COLOR set (https://no-color.org), unless --color says
// otherwise.
[[nodiscard]] TextStyle style_of_stdout(const OutputOptions &output);

// What is being done right now, on stderr and only on a terminal that can take it back.
class ProgressLine {
public:
    explicit ProgressLine(const OutputOptions &output);
    void show(const std::string &step) const;
    void clear() const;

private:
    bool shown_;
};

// With a standard descriptor closed, the next file that is opened would take its place, and what is printed would go
// there. Input and errors then go to /dev/null; a closed standard output is an error.
[[nodiscard]] Result<void> check_standard_descriptors();

// From its construction on the first SIGINT, SIGTERM or SIGHUP asks the work to stop; a second one kills.
class StopSignals {
public:
    StopSignals();
    [[nodiscard]] const std::atomic<bool> &requested() const;
};

} // namespace vethtrace
