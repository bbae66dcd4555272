// SPDX-License-Identifier: GPL-2.0-only
//
// Rules that only count: which hooks of a namespace's netfilter see the packets of a connection.
#pragma once

#include "lab/nftables.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vethtrace {

class CountingRules {
public:
    struct Count {
        std::string hook;
        std::uint64_t to_server = 0;
        std::uint64_t from_server = 0;

        friend bool operator==(const Count &, const Count &) = default;
    };

    // Packets to and from this address, at all five hooks. The rules go with the namespace.
    [[nodiscard]] static Result<CountingRules> install(int netns_fd, const std::string &server_address);

    [[nodiscard]] Result<std::vector<Count>> read() const;

private:
    explicit CountingRules(Nftables nft) : nft_(std::move(nft)) {}
    Nftables nft_;
};

} // namespace vethtrace
