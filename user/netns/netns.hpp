// SPDX-License-Identifier: GPL-2.0-only
//
// Network namespaces with a name under /run/netns, where `ip netns` finds them too.
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vethtrace {

// Moves the calling thread into a network namespace, and back at the end of the scope. Other threads stay.
class InNamespace {
public:
    [[nodiscard]] static Result<InNamespace> enter(int netns_fd);
    InNamespace(InNamespace &&) = default;
    InNamespace &operator=(InNamespace &&) = default;
    InNamespace(const InNamespace &) = delete;
    InNamespace &operator=(const InNamespace &) = delete;
    ~InNamespace();

    // The thread does not come back, so it needs no privileges for that.
    void stay() { home_ = Fd(); }

private:
    explicit InNamespace(Fd home) : home_(std::move(home)) {}
    Fd home_;
};

class Netns {
public:
    // Makes an empty namespace with this name. Needs CAP_SYS_ADMIN.
    [[nodiscard]] static Result<Netns> create(const std::string &name);
    [[nodiscard]] static Result<Netns> open(const std::string &name);
    // Takes the name away; the namespace itself ends with its last thread and descriptor.
    static Result<void> remove(const std::string &name);
    // All names that begin with `prefix`.
    [[nodiscard]] static std::vector<std::string> list(const std::string &prefix);

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] std::uint32_t inode() const { return inode_; }
    [[nodiscard]] const std::string &name() const { return name_; }

private:
    Netns(std::string name, Fd fd, std::uint32_t inode) : name_(std::move(name)), fd_(std::move(fd)), inode_(inode) {}

    std::string name_;
    Fd fd_;
    std::uint32_t inode_;
};

} // namespace vethtrace
