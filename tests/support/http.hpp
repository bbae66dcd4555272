// SPDX-License-Identifier: GPL-2.0-only
//
// Clients of an HTTP server, good ones and bad ones.
#pragma once

#include "core/fd.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace vethtrace::test {

struct HttpAnswer {
    int status = 0;                             // 0: none that could be understood
    std::map<std::string, std::string> headers; // names in lower case
    std::string body;
};

// A connection to an IPv4 address; without descriptor if it was refused.
[[nodiscard]] Fd connect_to(const std::string &address, std::uint16_t port);
// What fits into the socket's buffers; whether all of it did.
bool send_some(const Fd &socket, const std::string &text);
// Until the other end closes, or time is up.
[[nodiscard]] std::string receive_all(const Fd &socket, std::chrono::milliseconds limit = std::chrono::seconds(10));
// Whether the other end has closed by then. What comes until then is thrown away.
[[nodiscard]] bool closes(const Fd &socket, std::chrono::milliseconds limit);

[[nodiscard]] HttpAnswer parse_answer(const std::string &text);
// A request as it is written, and its answer.
[[nodiscard]] HttpAnswer ask(const std::string &address, std::uint16_t port, const std::string &request);
[[nodiscard]] HttpAnswer get(const std::string &address, std::uint16_t port, const std::string &path);

// As part of a URL.
[[nodiscard]] std::string url_encoded(const std::string &text);

} // namespace vethtrace::test
