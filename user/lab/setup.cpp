// SPDX-License-Identifier: GPL-2.0-only
#include "lab/setup.hpp"

#include "netns/netns.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace vethtrace {

namespace {

std::vector<char *> pointers_to(std::vector<std::string> &words) {
    std::vector<char *> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string &word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> environment_with(const std::string &variable) {
    std::vector<std::string> all = {variable};
    for (char **each = environ; *each != nullptr; ++each)
        all.emplace_back(*each);
    return all;
}

// What we ignore, the command need not; and its output must not mix with a result on standard output.
class Spawning {
public:
    Spawning() {
        posix_spawnattr_init(&attributes_);
        sigset_t defaults;
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigdefault(&attributes_, &defaults);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
        posix_spawn_file_actions_init(&actions_);
        posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
    }
    Spawning(const Spawning &) = delete;
    Spawning &operator=(const Spawning &) = delete;
    ~Spawning() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }

    [[nodiscard]] int spawn(pid_t &pid, std::vector<std::string> words, std::vector<std::string> variables) const {
        return posix_spawn(&pid, words.front().c_str(), &actions_, &attributes_, pointers_to(words).data(),
                           pointers_to(variables).data());
    }

private:
    posix_spawnattr_t attributes_ = {};
    posix_spawn_file_actions_t actions_ = {};
};

} // namespace

Result<void> run_setup(int netns_fd, const std::string &lab, const std::string &command) {
    std::string object = "--setup '" + command + "'";
    pid_t pid = 0;
    {
        // A child begins in the namespace of the thread that started it.
        Result<InNamespace> inside = InNamespace::enter(netns_fd);
        if (!inside)
            return tl::unexpected(inside.error());
        int error = Spawning().spawn(pid, {"/bin/sh", "-c", command}, environment_with("VETHTRACE_LAB=" + lab));
        if (error != 0)
            return fail_errno(object, error);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno(object, errno);
    if (WIFSIGNALED(status))
        return fail(object, fmt::format("was ended by signal {}", WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return fail(object, fmt::format("ended with exit status {}", WEXITSTATUS(status)),
                    "it runs in the network namespace of the lab's host");
    return {};
}

} // namespace vethtrace
