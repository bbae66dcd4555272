// SPDX-License-Identifier: GPL-2.0-only
#include "input/filter.hpp"

#include "input/target.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <fmt/format.h>
#include <net/if.h>
#include <optional>
#include <string>
#include <utility>

namespace vethtrace {

namespace {

tl::unexpected<Error> misuse(std::string_view text, std::string reason, std::string hint) {
    return tl::unexpected(Error{printable(text), std::move(reason), std::move(hint), Exit::usage});
}

template<typename Number>
std::optional<Number> whole_number(std::string_view text) {
    Number number = {};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

} // namespace

Result<std::string> parse_interface(std::string_view text) {
    constexpr std::size_t longest = IFNAMSIZ - 1;
    auto refuse = [&](std::string reason, std::string hint = "as `ip link` lists them") {
        return misuse(fmt::format("-I '{}'", text), std::move(reason), std::move(hint));
    };
    // What the kernel lets no device be called: dev_valid_name().
    if (text.empty())
        return refuse("is empty");
    if (text.size() > longest)
        return refuse(fmt::format("is longer than an interface's name can be ({} bytes)", longest));
    if (text == "." || text == ".." ||
        text.find_first_of(std::string_view("/: \t\n\v\f\r\0", 9)) != std::string_view::npos)
        return refuse("cannot be the name of an interface");
    if (text == "lo")
        return refuse(
            "is the loopback: its packets stay in their namespace, and pass no device that is watched",
            "packets that come into a namespace or leave it can be watched: -I eth0, or `vethtrace watch --all`");
    return std::string(text);
}

Result<Prefix> parse_prefix(std::string_view text) {
    constexpr int ipv6 = 6;
    constexpr unsigned ipv4_bits = 32;
    constexpr unsigned ipv6_bits = 128;
    std::size_t slash = text.find('/');
    std::string address(text.substr(0, slash));
    Prefix prefix;
    if (inet_pton(AF_INET, address.c_str(), prefix.address.data()) == 1)
        prefix.bits = ipv4_bits;
    else if (inet_pton(AF_INET6, address.c_str(), prefix.address.data()) == 1)
        prefix.bits = ipv6_bits, prefix.family = ipv6;
    else
        return misuse(text, "is not an address", "for example 10.1.2.3, 10.0.0.0/8 or fd00::/64");
    if (slash == std::string_view::npos)
        return prefix;
    std::optional<unsigned> bits = whole_number<unsigned>(text.substr(slash + 1));
    if (!bits || *bits > prefix.bits)
        return misuse(text, "has a prefix length that its kind of address does not have",
                      "0 to 32 for IPv4, 0 to 128 for IPv6");
    prefix.bits = *bits;
    return prefix;
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, double>, 4> units = {
        {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
    constexpr double longest = 3600e9;
    for (const auto &[unit, ns] : units) {
        if (!text.ends_with(unit))
            continue;
        std::optional<double> number = whole_number<double>(text.substr(0, text.size() - unit.size()));
        if (!number)
            continue; // "1ms" ends with "s" as well
        if (*number * ns >= 1 && *number * ns <= longest)
            return std::chrono::nanoseconds(static_cast<std::int64_t>(*number * ns));
        break;
    }
    return misuse(text, "is not a duration between 1 ns and an hour", "with its unit, as in 250us, 1ms or 0.5s");
}

} // namespace vethtrace
