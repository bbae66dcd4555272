// SPDX-License-Identifier: GPL-2.0-only
//
// Whose a lab is. A running vethtrace holds a lock on a file named after its lab; the kernel lets go of it however the
// process ends, so a lab whose lock can be taken is one that nobody owns any more.
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"

#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

class Ownership {
public:
    // Takes a lab name that is free: vethtrace-PID, or vethtrace-PID.2 and so on for the same process's further labs.
    [[nodiscard]] static Result<Ownership> take();
    // Takes one certain name; fails while somebody else holds it.
    [[nodiscard]] static Result<Ownership> take_named(const std::string &lab);
    // Takes the lock of an existing lab. Null while its owner lives.
    [[nodiscard]] static Result<std::optional<Ownership>> take_over(const std::string &lab);
    Ownership(Ownership &&) noexcept = default;
    Ownership &operator=(Ownership &&) = delete;
    Ownership(const Ownership &) = delete;
    Ownership &operator=(const Ownership &) = delete;
    // Gives the name back.
    ~Ownership();

    [[nodiscard]] const std::string &lab() const { return lab_; }

private:
    Ownership(std::string lab, Fd lock) : lab_(std::move(lab)), lock_(std::move(lock)) {}

    std::string lab_;
    Fd lock_;
};

inline const std::string lab_prefix = "vethtrace-";
// The lab of `vethtrace lab up`. Nobody owns it, and it is not garbage.
inline const std::string kept_lab_name = "vethtrace-lab";

// The name of a lab's namespace: LAB-PART, and back.
[[nodiscard]] std::string namespace_name(const std::string &lab, const std::string &part);
[[nodiscard]] std::optional<std::string> lab_of_namespace(const std::string &name);

// Removes what crashed runs left behind; never what a living run owns. Returns the labs that were removed.
[[nodiscard]] Result<std::vector<std::string>> collect_garbage();

} // namespace vethtrace
