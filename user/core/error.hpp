// SPDX-License-Identifier: GPL-2.0-only
//
// Errors are values: what could not be done, why, and what the user can do about it.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace vethtrace {

// Exit statuses; a contract with scripts.
enum class Exit : int {
    good = 0,
    failed = 1,    // it could not be done
    usage = 2,     // it was asked for in the wrong way
    invalid = 3,   // it ran, but the result is not valid; the output says why
    regressed = 4, // `diff` found more than it was told to allow
};

struct Error {
    std::string object;    // what was acted on: "veth_xmit", "CAP_BPF", "/proc/..."
    std::string reason;    // what happened to it
    std::string hint = {}; // what the user can do; may be empty
    Exit exit = Exit::failed;

    [[nodiscard]] std::string text() const { return object.empty() ? reason : object + ": " + reason; }
};

template<typename T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string object, std::string reason, std::string hint = {}) {
    return tl::unexpected(Error{std::move(object), std::move(reason), std::move(hint)});
}

// An error from the kernel, `code` being an errno (of either sign).
[[nodiscard]] std::string describe_errno(int code);
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string object, int code, std::string hint = {});

} // namespace vethtrace
