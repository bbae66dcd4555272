// SPDX-License-Identifier: GPL-2.0-only
//
// Programs run by tests: what they print, and how they end.
#pragma once

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

namespace vethtrace::test {

struct Finished {
    int status = -1; // exit status; 128 + signal if one ended it; -1 if it was stopped for taking too long
    std::string out;
    std::string err;
};

// A running program. Its output is gathered until it ends; it is killed when this object goes.
class Process {
public:
    // `line` is the program and its arguments; the first is looked up in PATH.
    explicit Process(const std::vector<std::string> &line);
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;
    ~Process();

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const;
    // Null time: it had ended already, or never does.
    [[nodiscard]] Finished wait(std::chrono::seconds limit = std::chrono::seconds(60));

private:
    pid_t pid_ = -1;
    int out_ = -1;
    int err_ = -1;
};

[[nodiscard]] Finished run(const std::vector<std::string> &line);

// The program under test.
[[nodiscard]] std::vector<std::string> vethtrace_line(const std::vector<std::string> &arguments);
[[nodiscard]] Finished vethtrace(const std::vector<std::string> &arguments);

} // namespace vethtrace::test
