// SPDX-License-Identifier: GPL-2.0-only
#include "lab/counting.hpp"

#include <array>
#include <fmt/format.h>
#include <sstream>
#include <string_view>

namespace vethtrace {

namespace {

constexpr std::array<std::string_view, 5> hooks = {"prerouting", "input", "forward", "output", "postrouting"};
constexpr int before_nat = -300; // as raw: a packet still has the addresses that it came with

// The counters of the rules, in the order in which they were installed, out of lines such as
// "ip daddr 198.18.2.2 counter packets 12 bytes 624".
std::vector<std::uint64_t> packets_of(const std::string &listing) {
    std::vector<std::uint64_t> all;
    std::istringstream words(listing);
    std::uint64_t packets = 0;
    for (std::string before, word; words >> word; before = word)
        if (before == "counter" && word == "packets" && words >> packets)
            all.push_back(packets);
    return all;
}

} // namespace

Result<CountingRules> CountingRules::install(int netns_fd, const std::string &server_address) {
    Result<Nftables> nft = Nftables::open(netns_fd);
    if (!nft)
        return tl::unexpected(nft.error());
    // Counters without a name, as those with one need a kernel module more.
    std::string rules = "table ip vethtrace_count {\n";
    for (std::string_view hook : hooks)
        rules += fmt::format("  chain {0} {{\n"
                             "    type filter hook {0} priority {1}; policy accept;\n"
                             "    ip daddr {2} counter\n"
                             "    ip saddr {2} counter\n"
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
    constexpr std::size_t rules_each = 2;
    std::vector<std::uint64_t> packets = packets_of(*listing);
    if (packets.size() != hooks.size() * rules_each)
        return fail("nftables (counting rules)",
                    fmt::format("lists {} counters, not {}", packets.size(), hooks.size() * rules_each));
    std::vector<Count> counts;
    for (std::size_t i = 0; i < hooks.size(); ++i)
        counts.push_back({std::string(hooks.at(i)), packets[i * rules_each], packets[i * rules_each + 1]});
    return counts;
}

} // namespace vethtrace
