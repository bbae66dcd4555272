// SPDX-License-Identifier: GPL-2.0-only
#include "lab/masquerade.hpp"

#include "netns/netns.hpp"

#include <fmt/format.h>
#include <memory>
#include <nftables/libnftables.h>

namespace vethtrace {

namespace {

struct Free {
    void operator()(nft_ctx *context) const { nft_ctx_free(context); }
};

// The line that says what is wrong; the rest repeats the command.
std::string first_line(const char *text) {
    std::string all = text == nullptr ? "" : text;
    return all.substr(0, all.find('\n'));
}

} // namespace

Result<void> masquerade(int netns_fd, const std::string &net, const std::string &device) {
    // Its socket stays in the namespace in which it was opened.
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context)
        return fail("nftables", "out of memory");
    nft_ctx_buffer_error(context.get());
    std::string rules = fmt::format("table ip vethtrace {{\n"
                                    "  chain postrouting {{\n"
                                    "    type nat hook postrouting priority 100; policy accept;\n"
                                    "    ip saddr {} oifname \"{}\" masquerade\n"
                                    "  }}\n"
                                    "}}\n",
                                    net, device);
    if (nft_run_cmd_from_buffer(context.get(), rules.c_str()) != 0)
        return fail("nftables (masquerade)", first_line(nft_ctx_get_error_buffer(context.get())));
    return {};
}

} // namespace vethtrace
