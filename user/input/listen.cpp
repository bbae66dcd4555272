// SPDX-License-Identifier: GPL-2.0-only
#include "input/listen.hpp"

#include "input/target.hpp"

#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <string>

namespace vethtrace {

namespace {

tl::unexpected<Error> misuse(std::string_view text, std::string reason) {
    return tl::unexpected(Error{printable(text), std::move(reason),
                                "for example 127.0.0.1:9954 or [::1]:9954; 0.0.0.0:9954 is all addresses of IPv4",
                                Exit::usage});
}

template<typename Address>
ListenAddress with(const Address &its) {
    ListenAddress address;
    std::memcpy(&address.address, &its, sizeof(its));
    address.size = sizeof(its);
    return address;
}

} // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
    std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return misuse(text, "has no port");
    std::string_view port_text = text.substr(colon + 1);
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc() || end != port_text.data() + port_text.size())
        return misuse(text, "has a port that is none of 0 to 65535");
    std::string host(text.substr(0, colon));
    sockaddr_in ipv4 = {};
    if (inet_pton(AF_INET, host.c_str(), &ipv4.sin_addr) == 1) {
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = htons(port);
        return with(ipv4);
    }
    sockaddr_in6 ipv6 = {};
    constexpr std::size_t brackets = 2;
    if (host.size() > brackets && host.front() == '[' && host.back() == ']' &&
        inet_pton(AF_INET6, host.substr(1, host.size() - brackets).c_str(), &ipv6.sin6_addr) == 1) {
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(port);
        return with(ipv6);
    }
    return misuse(text, "is not an address and a port");
}

std::string text_of(const ListenAddress &address) {
    std::array<char, INET6_ADDRSTRLEN> host = {};
    if (address.address.ss_family == AF_INET6) {
        sockaddr_in6 ipv6 = {};
        std::memcpy(&ipv6, &address.address, sizeof(ipv6));
        inet_ntop(AF_INET6, &ipv6.sin6_addr, host.data(), host.size());
        return fmt::format("[{}]:{}", host.data(), ntohs(ipv6.sin6_port));
    }
    sockaddr_in ipv4 = {};
    std::memcpy(&ipv4, &address.address, sizeof(ipv4));
    inet_ntop(AF_INET, &ipv4.sin_addr, host.data(), host.size());
    return fmt::format("{}:{}", host.data(), ntohs(ipv4.sin_port));
}

} // namespace vethtrace
