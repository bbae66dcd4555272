// SPDX-License-Identifier: GPL-2.0-only
#include "support/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vethtrace::test {

Process::Process(const std::vector<std::string> &line) {
    std::array<int, 2> out = {};
    std::array<int, 2> err = {};
    if (pipe2(out.data(), O_CLOEXEC) != 0 || pipe2(err.data(), O_CLOEXEC) != 0)
        return;
    std::vector<char *> arguments;
    for (const std::string &word : line)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        execvp(arguments.front(), arguments.data());
        constexpr int not_found = 127;
        _exit(not_found);
    }
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
}

Process::~Process() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
}

void Process::signal(int number) const {
    kill(pid_, number);
}

Finished Process::wait(std::chrono::seconds limit) {
    Finished finished;
    auto deadline = std::chrono::steady_clock::now() + limit;
    std::array<pollfd, 2> files = {pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
    std::array<std::string *, 2> texts = {&finished.out, &finished.err};
    int open = 2;
    while (open > 0) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return finished;
        if (poll(files.data(), files.size(), static_cast<int>(left.count())) < 0 && errno != EINTR)
            return finished;
        for (std::size_t i = 0; i < files.size(); ++i) {
            if (files.at(i).fd < 0 || files.at(i).revents == 0)
                continue;
            std::array<char, 65536> buffer = {};
            ssize_t got = read(files.at(i).fd, buffer.data(), buffer.size());
            if (got > 0) {
                texts.at(i)->append(buffer.data(), static_cast<std::size_t>(got));
            } else {
                files.at(i).fd = -1;
                --open;
            }
        }
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    constexpr int by_signal = 128;
    finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : by_signal + WTERMSIG(status);
    return finished;
}

Finished run(const std::vector<std::string> &line) {
    Process process(line);
    return process.wait();
}

std::vector<std::string> vethtrace_line(const std::vector<std::string> &arguments) {
    std::vector<std::string> line = {VETHTRACE_BINARY};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return line;
}

Finished vethtrace(const std::vector<std::string> &arguments) {
    return run(vethtrace_line(arguments));
}

} // namespace vethtrace::test
