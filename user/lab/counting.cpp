// SPDX-License-Identifier: GPL-2.0-only
#include "lab/counting.hpp"

#include <array>
#include <fmt/format.h>
#include <optional>
#include <sstream>
#include <string_view>

namespace vethtrace {

namespace {

constexpr std::array<std::string_view, 5> hooks = {"prerouting", "input", "forward", "output", "postrouting"};
constexpr int before_nat = -300; // as raw: a packet still has the addresses that it came with

// What stands behind "packets" in "counter NAME { packets 12 bytes 624 }", however it is spread over lines.
std::optional<std::uint64_t> packets_of(const std::string &listing, const std::string &name) {
    std::istringstream words(listing);
    for (std::string word; words >> word;) {
        if (word != "counter" || !(words >> word) || word != name)
            continue;
        std::uint64_t packets = 0;
        std::string brace;
        std::string unit;
        if (words >> brace >> unit >> packets && brace == "{" && unit == "packets")
            return packets;
        return std::nullopt;
    }
    return std::nullopt;
}

} // namespace

Result<CountingRules> CountingRules::install(int netns_fd, const std::string &server_address) {
    Result<Nftables> nft = Nftables::open(netns_fd);
    if (!nft)
        return tl::unexpected(nft.error());
    std::string rules = "table ip vethtrace_count {\n";
    for (std::string_view hook : hooks)
        rules += fmt::format("  counter {0}_to {{ }}\n"
                             "  counter {0}_from {{ }}\n"
                             "  chain {0} {{\n"
                             "    type filter hook {0} priority {1}; policy accept;\n"
                             "    ip daddr {2} counter name {0}_to\n"
                             "    ip saddr {2} counter name {0}_from\n"
                             "  }}\n",
                             hook, before_nat, server_address);
    return nft->run("counting rules", rules + "}\n").map([&](const std::string &) {
        return CountingRules(std::move(*nft));
    });
}

Result<std::vector<CountingRules::Count>> CountingRules::read() const {
    Result<std::string> listing = nft_.run("counting rules", "list table ip vethtrace_count");
    if (!listing)
        return tl::unexpected(listing.error());
    std::vector<Count> counts;
    for (std::string_view hook : hooks) {
        std::optional<std::uint64_t> to = packets_of(*listing, fmt::format("{}_to", hook));
        std::optional<std::uint64_t> from = packets_of(*listing, fmt::format("{}_from", hook));
        if (!to || !from)
            return fail("nftables (counting rules)", fmt::format("lists no counter of {}", hook));
        counts.push_back({std::string(hook), *to, *from});
    }
    return counts;
}

} // namespace vethtrace
