// SPDX-License-Identifier: GPL-2.0-only
#include "lab/ownership.hpp"

#include "lab/netns.hpp"
#include "privileges/privileges.hpp"

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
    std::size_t dash = name.rfind('-');
    if (name.rfind(lab_prefix, 0) != 0 || dash < lab_prefix.size())
        return std::nullopt;
    return name.substr(0, dash);
}

Result<std::vector<std::string>> collect_garbage() {
    std::set<std::string> labs;
    for (const std::string &name : Netns::list(lab_prefix))
        if (std::optional<std::string> lab = lab_of_namespace(name))
            labs.insert(*lab);
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(directory, error))
        if (entry.path().extension() == ".lock")
            labs.insert(entry.path().stem());

    std::vector<std::string> removed;
    labs.erase(kept_lab_name);
    for (const std::string &lab : labs) {
        Result<std::optional<Ownership>> owner = Ownership::take_over(lab);
        if (!owner)
            return tl::unexpected(owner.error());
        if (!*owner)
            continue;
        for (const std::string &name : Netns::list(lab + "-"))
            if (Result<void> gone = Netns::remove(name); !gone)
                return tl::unexpected(gone.error());
        removed.push_back(lab);
    }
    return removed;
}

} // namespace vethtrace
