// SPDX-License-Identifier: GPL-2.0-only
#include "lab/shell.hpp"

#include "netns/netns.hpp"

#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

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

// What we ignore, the command need not.
class Spawning {
public:
    explicit Spawning(bool own_group) {
        posix_spawnattr_init(&attributes_);
        sigset_t defaults;
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigdefault(&attributes_, &defaults);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(&attributes_,
                                 static_cast<short>(POSIX_SPAWN_SETSIGDEF | (own_group ? POSIX_SPAWN_SETPGROUP : 0)));
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
        for (char **each = environ; *each != nullptr; ++each)
            variables.emplace_back(*each);
        return posix_spawn(&pid, words.front().c_str(), &actions_, &attributes_, pointers_to(words).data(),
                           pointers_to(variables).data());
    }

private:
    posix_spawnattr_t attributes_ = {};
    posix_spawn_file_actions_t actions_ = {};
};

} // namespace

Result<ShellCommand> ShellCommand::start(int netns_fd, const std::string &command, ShellOptions options) {
    // A child begins in the namespace of the thread that started it.
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    pid_t pid = 0;
    if (int error = Spawning(options.own_group).spawn(pid, {"/bin/sh", "-c", command}, options.variables); error != 0)
        return fail_errno(options.object, error);
    return ShellCommand(pid, std::move(options));
}

ShellCommand::ShellCommand(ShellCommand &&other) noexcept
    : pid_(std::exchange(other.pid_, 0)), options_(std::move(other.options_)) {}

Result<void> ShellCommand::outcome(int status) {
    pid_ = 0;
    if (WIFSIGNALED(status))
        return fail(options_.object, fmt::format("was ended by signal {}", WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return fail(options_.object, fmt::format("ended with exit status {}", WEXITSTATUS(status)));
    return {};
}

std::optional<Result<void>> ShellCommand::ended() {
    int status = 0;
    if (pid_ == 0 || waitpid(pid_, &status, WNOHANG) == 0)
        return std::nullopt;
    return outcome(status);
}

Result<void> ShellCommand::wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno(options_.object, errno);
    return outcome(status);
}

void ShellCommand::end() {
    constexpr int tries = 50;
    constexpr useconds_t between = 20'000;
    if (pid_ == 0)
        return;
    pid_t whom = options_.own_group ? -pid_ : pid_;
    (void)kill(whom, SIGTERM);
    for (int i = 0; i < tries && !ended(); ++i)
        usleep(between);
    if (pid_ != 0) {
        (void)kill(whom, SIGKILL);
        (void)wait();
    }
}

} // namespace vethtrace
