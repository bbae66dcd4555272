// SPDX-License-Identifier: GPL-2.0-only
#include "support/http.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <cerrno>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>

namespace vethtrace::test {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Null: time is up. 0: the other end has closed.
std::optional<std::size_t> receive_some(const Fd &socket, std::string *into, Clock::time_point deadline) {
    std::array<char, 65536> buffer = {};
    auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    pollfd readable = {socket.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) <= 0)
        return std::nullopt;
    ssize_t got = recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0)
        return 0;
    if (into != nullptr)
        into->append(buffer.data(), static_cast<std::size_t>(got));
    return static_cast<std::size_t>(got);
}

} // namespace

Fd connect_to(const std::string &address, std::uint16_t port) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1 ||
        connect(socket.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to)) != 0)
        return {};
    return socket;
}

bool send_some(const Fd &socket, const std::string &text) {
    return send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(text.size());
}

std::string receive_all(const Fd &socket, milliseconds limit) {
    std::string all;
    Clock::time_point deadline = Clock::now() + limit;
    while (receive_some(socket, &all, deadline).value_or(0) != 0)
        ;
    return all;
}

bool closes(const Fd &socket, milliseconds limit) {
    Clock::time_point deadline = Clock::now() + limit;
    for (;;) {
        std::optional<std::size_t> got = receive_some(socket, nullptr, deadline);
        if (!got)
            return false;
        if (*got == 0)
            return true;
    }
}

HttpAnswer parse_answer(const std::string &text) {
    HttpAnswer answer;
    std::size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos || !text.starts_with("HTTP/1."))
        return answer;
    answer.body = text.substr(end + 4);
    std::istringstream lines(text.substr(0, end));
    std::string line;
    std::getline(lines, line);
    answer.status = std::stoi(line.substr(line.find(' ') + 1));
    while (std::getline(lines, line)) {
        if (line.ends_with('\r'))
            line.pop_back();
        std::size_t colon = line.find(": ");
        std::string name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char letter) { return std::tolower(letter); });
        answer.headers[name] = colon == std::string::npos ? "" : line.substr(colon + 2);
    }
    return answer;
}

HttpAnswer ask(const std::string &address, std::uint16_t port, const std::string &request) {
    Fd socket = connect_to(address, port);
    if (!socket || !send_some(socket, request))
        return {};
    return parse_answer(receive_all(socket));
}

HttpAnswer get(const std::string &address, std::uint16_t port, const std::string &path) {
    return ask(address, port,
               fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", path, address, port));
}

std::string url_encoded(const std::string &text) {
    std::string encoded;
    for (unsigned char letter : text)
        encoded +=
            std::isalnum(letter) != 0 ? std::string(1, static_cast<char>(letter)) : fmt::format("%{:02X}", letter);
    return encoded;
}

} // namespace vethtrace::test
