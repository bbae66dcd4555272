// SPDX-License-Identifier: GPL-2.0-only
#include "netns/netns.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace vethtrace {

namespace {

const std::filesystem::path directory = "/run/netns";
const std::string own_namespace = "/proc/thread-self/ns/net";

Result<Fd> open_namespace(const std::string &path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return fail_errno(path, errno);
    return fd;
}

// As iproute2 does it: the directory becomes a shared mount, so that a name given or taken here is given or taken in
// every mount namespace, and none is hidden under a later mount.
Result<void> prepare_directory() {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error)
        return fail(directory, error.message(), "vethtrace keeps its namespaces there; it needs a writable /run");
    if (mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0)
        return {};
    if (errno != EINVAL)
        return fail_errno(directory, errno, "making network namespaces needs CAP_SYS_ADMIN");
    if (mount(directory.c_str(), directory.c_str(), "none", MS_BIND | MS_REC, nullptr) != 0 ||
        mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) != 0)
        return fail_errno(directory, errno);
    return {};
}

} // namespace

Result<InNamespace> InNamespace::enter(int netns_fd) {
    Result<Fd> home = open_namespace(own_namespace);
    if (!home)
        return tl::unexpected(home.error());
    if (setns(netns_fd, CLONE_NEWNET) != 0)
        return fail_errno("setns", errno, "entering a network namespace needs CAP_SYS_ADMIN");
    return InNamespace(std::move(*home));
}

InNamespace::~InNamespace() {
    // Going on in the wrong namespace could do harm to the machine's own network.
    if (home_ && setns(home_.get(), CLONE_NEWNET) != 0)
        std::abort();
}

Result<Netns> Netns::create(const std::string &name) {
    if (Result<void> prepared = prepare_directory(); !prepared)
        return tl::unexpected(prepared.error());
    std::string path = directory / name;
    Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (!file)
        return fail_errno(path, errno);

    Result<Fd> home = open_namespace(own_namespace);
    if (!home)
        return tl::unexpected(home.error());
    if (unshare(CLONE_NEWNET) != 0) {
        int code = errno;
        unlink(path.c_str());
        return fail_errno("unshare", code, "making network namespaces needs CAP_SYS_ADMIN");
    }
    int bound = mount(own_namespace.c_str(), path.c_str(), "none", MS_BIND, nullptr);
    int code = errno;
    if (setns(home->get(), CLONE_NEWNET) != 0)
        std::abort();
    if (bound != 0) {
        unlink(path.c_str());
        return fail_errno(path, code);
    }
    return open(name);
}

Result<Netns> Netns::open(const std::string &name) {
    Result<Fd> fd = open_namespace(directory / name);
    if (!fd)
        return tl::unexpected(fd.error());
    struct stat info = {};
    if (fstat(fd->get(), &info) != 0)
        return fail_errno(name, errno);
    return Netns(name, std::move(*fd), static_cast<std::uint32_t>(info.st_ino));
}

Result<void> Netns::remove(const std::string &name) {
    std::string path = directory / name;
    if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
        return fail_errno(path, errno);
    if (unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail_errno(path, errno);
    return {};
}

std::vector<std::string> Netns::list(const std::string &prefix) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(directory, error))
        if (std::string name = entry.path().filename(); name.rfind(prefix, 0) == 0)
            names.push_back(name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace vethtrace
