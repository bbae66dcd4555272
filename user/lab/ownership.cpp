// SPDX-License-Identifier: GPL-2.0-only
#include "lab/ownership.hpp"

#include "netns/netns.hpp"
#include "privileges/privileges.hpp"

#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vethtrace {

namespace {

const std::filesystem::path directory = "/run/vethtrace";

std::string lock_path(const std::string &lab) {
    return directory / (lab + ".lock");
}

// Null: somebody else holds it.
Result<std::optional<Fd>> try_lock(const std::string &path, int flags) {
    for (;;) {
        Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
        if (!fd && errno == EACCES && access(path.c_str(), F_OK) == 0)
            return std::optional<Fd>(); // another user's, as the directory is open to us
        if (!fd)
            return fail_errno(path, errno);
        if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return std::optional<Fd>();
            return fail_errno(path, errno);
        }
        // The file may have been removed between open and flock; a lock on that one would guard nothing.
        struct stat ours = {};
        struct stat named = {};
        if (fstat(fd.get(), &ours) == 0 && stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino)
            return std::optional(std::move(fd));
        if ((flags & O_CREAT) == 0)
            return std::optional<Fd>();
    }
}

// Of a run's lab: the prefix and a process's number, with another after a dot if that one was taken. Whatever else
// begins like that is somebody else's.
bool is_name_of_lab(const std::string &name) {
    if (name.rfind(lab_prefix, 0) != 0 || name.size() == lab_prefix.size())
        return false;
    return name.find_first_not_of("0123456789.", lab_prefix.size()) == std::string::npos;
}

Result<void> prepare_directory() {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error)
        return fail(directory, error.message(), "vethtrace keeps a lock there for each lab; it needs a writable /run");
    return {};
}

} // namespace

Result<Ownership> Ownership::take() {
    Result<void> prepared = prepare_directory();
    if (!prepared)
        return tl::unexpected(prepared.error());
    std::string base = fmt::format("{}{}", lab_prefix, getpid());
    std::string lab = base;
    for (int further = 2;; ++further) {
        Result<std::optional<Fd>> lock = try_lock(lock_path(lab), O_CREAT);
        if (!lock)
            return tl::unexpected(lock.error());
        bool unused = Netns::list(lab + "-").empty();
        if (*lock && unused)
            return Ownership(lab, std::move(**lock));
        lab = fmt::format("{}.{}", base, further);
    }
}

Result<Ownership> Ownership::take_named(const std::string &lab) {
    Result<void> prepared = prepare_directory();
    if (!prepared)
        return tl::unexpected(prepared.error());
    Result<std::optional<Ownership>> owner = take_over(lab);
    if (!owner)
        return tl::unexpected(owner.error());
    if (!*owner)
        return fail(lab, "somebody else is at work on it");
    return std::move(**owner);
}

Result<std::optional<Ownership>> Ownership::take_over(const std::string &lab) {
    Result<std::optional<Fd>> lock = try_lock(lock_path(lab), O_CREAT);
    if (!lock)
        return tl::unexpected(lock.error());
    if (!*lock)
        return std::optional<Ownership>();
    return Ownership(lab, std::move(**lock));
}

Ownership::~Ownership() {
    if (!lock_)
        return;
    RaisedPrivileges raised(Purpose::removing);
    unlink(lock_path(lab_).c_str());
}

std::string namespace_name(const std::string &lab, const std::string &part) {
    return lab + "-" + part;
}

std::optional<std::string> lab_of_namespace(const std::string &name) {
    for (const char *part : {"-container", "-host", "-peer"})
        if (std::size_t at = name.rfind(part); at != std::string::npos && at + std::strlen(part) == name.size())
            if (std::string lab = name.substr(0, at); is_name_of_lab(lab))
                return lab;
    return std::nullopt;
}

Result<std::vector<std::string>> collect_garbage() {
    std::set<std::string> labs;
    for (const std::string &name : Netns::list(lab_prefix))
        if (std::optional<std::string> lab = lab_of_namespace(name))
            labs.insert(*lab);
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(directory, error))
        if (entry.path().extension() == ".lock" && is_name_of_lab(entry.path().stem()))
            labs.insert(entry.path().stem());

    std::vector<std::string> removed;
    for (const std::string &lab : labs) {
        Result<std::optional<Ownership>> owner = Ownership::take_over(lab);
        if (!owner)
            return tl::unexpected(owner.error());
        if (!*owner)
            continue;
        for (const std::string &name : Netns::list(lab + "-"))
            if (lab_of_namespace(name) == lab)
                if (Result<void> gone = Netns::remove(name); !gone)
                    return tl::unexpected(gone.error());
        removed.push_back(lab);
    }
    return removed;
}

} // namespace vethtrace
