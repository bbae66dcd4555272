// SPDX-License-Identifier: GPL-2.0-only
#include "lab/masquerade.hpp"

#include "lab/nftables.hpp"

#include <fmt/format.h>

namespace vethtrace {

Result<void> masquerade(int netns_fd, const std::string &net, const std::string &device) {
    Result<Nftables> nft = Nftables::open(netns_fd);
    if (!nft)
        return tl::unexpected(nft.error());
    std::string rules = fmt::format("table ip vethtrace {{\n"
                                    "  chain postrouting {{\n"
                                    "    type nat hook postrouting priority 100; policy accept;\n"
                                    "    ip saddr {} oifname \"{}\" masquerade\n"
                                    "  }}\n"
                                    "}}\n",
                                    net, device);
    return nft->run("masquerade", rules).map([](const std::string &) {});
}

} // namespace vethtrace
