// SPDX-License-Identifier: GPL-2.0-only
#include "input/target.hpp"

#include <algorithm>
#include <charconv>
#include <climits>
#include <fmt/format.h>
#include <limits>
#include <optional>

namespace vethtrace {

namespace {

tl::unexpected<Error> misuse(std::string_view option, std::string_view text, std::string reason, std::string hint) {
    constexpr std::size_t enough = 80;
    return tl::unexpected(Error{fmt::format("{} '{}'", option, printable(text.substr(0, enough))), std::move(reason),
                                std::move(hint), Exit::usage});
}

bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

bool is_word(char letter) {
    return is_digit(letter) || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

// Digits and nothing else, within the range; null otherwise.
template<typename Number>
std::optional<Number> number_in(std::string_view text, Number least, Number most) {
    Number number = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    bool whole = !text.empty() && is_digit(text.front()) && code == std::errc() && end == text.data() + text.size();
    return whole && number >= least && number <= most ? std::optional(number) : std::nullopt;
}

} // namespace

Result<NetnsTarget> parse_netns(std::string_view text) {
    const std::string hint = "NAME as in /run/netns, PID, PATH with a slash, or inode:N";
    auto refuse = [&](std::string reason) { return misuse("--netns", text, std::move(reason), hint); };
    if (text.empty())
        return refuse("is empty");
    if (text.find('\0') != std::string_view::npos)
        return refuse("holds a zero byte");
    constexpr std::string_view inode = "inode:";
    if (text.substr(0, inode.size()) == inode) {
        auto number = number_in<std::uint64_t>(text.substr(inode.size()), 1, std::numeric_limits<std::uint64_t>::max());
        return number ? Result<NetnsTarget>(NetnsInode{*number}) : refuse("is not the number of an inode");
    }
    if (text.find('/') != std::string_view::npos)
        return text.size() < PATH_MAX ? Result<NetnsTarget>(NetnsPath{std::string(text)})
                                      : refuse("is too long a path");
    if (std::all_of(text.begin(), text.end(), is_digit)) {
        auto pid = number_in<pid_t>(text, 1, std::numeric_limits<pid_t>::max());
        return pid ? Result<NetnsTarget>(NetnsOfProcess{*pid}) : refuse("is not the number of a process");
    }
    if (text == "." || text == "..")
        return refuse("is no name of a namespace");
    if (text.size() > NAME_MAX)
        return refuse(fmt::format("is longer than a name can be ({} bytes)", NAME_MAX));
    return NetnsName{std::string(text)};
}

Result<std::string> parse_container(std::string_view text) {
    constexpr std::size_t longest = 253; // of a DNS name, which pods have
    const std::string hint = "an identifier or a name, as the container runtime lists it";
    auto refuse = [&](std::string reason) { return misuse("--container", text, std::move(reason), hint); };
    if (text.empty())
        return refuse("is empty");
    if (text.size() > longest)
        return refuse(fmt::format("is longer than a name can be ({} characters)", longest));
    if (!is_word(text.front()))
        return refuse("begins with something else than a letter or a digit");
    auto allowed = [](char letter) { return is_word(letter) || letter == '_' || letter == '.' || letter == '-'; };
    if (!std::all_of(text.begin(), text.end(), allowed))
        return refuse("has characters that no container's name has");
    return std::string(text);
}

Result<std::vector<PortRange>> parse_ports(std::string_view text) {
    constexpr std::size_t most = 64;
    auto refuse = [&](std::string reason) {
        return misuse("--port", text, std::move(reason), "1 to 65535, as in 80, 80,443 or 8000-8080");
    };
    std::vector<PortRange> ranges;
    for (bool more = true; more;) {
        std::size_t comma = text.find(',');
        more = comma != std::string_view::npos;
        std::string_view word = text.substr(0, comma);
        std::size_t dash = word.find('-');
        auto port = [](std::string_view digits) { return number_in<std::uint16_t>(digits, 1, 65535); };
        std::optional<std::uint16_t> first = port(word.substr(0, dash));
        std::optional<std::uint16_t> last = dash == std::string_view::npos ? first : port(word.substr(dash + 1));
        if (!first || !last)
            return refuse("is not a list of ports");
        if (*first > *last)
            return refuse("has a range that ends before it begins");
        if (ranges.size() == most)
            return refuse(fmt::format("has more than {} entries", most));
        ranges.push_back({*first, *last});
        text = more ? text.substr(comma + 1) : std::string_view();
    }
    return ranges;
}

} // namespace vethtrace
