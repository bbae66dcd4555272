// SPDX-License-Identifier: GPL-2.0-only
#include "lab/nftables.hpp"

#include "netns/netns.hpp"

#include <fmt/format.h>
#include <nftables/libnftables.h>

namespace vethtrace {

namespace {

// The line that says what is wrong; the rest repeats the command.
std::string first_line(const char *text) {
    std::string all = text == nullptr ? "" : text;
    return all.substr(0, all.find('\n'));
}

} // namespace

void Nftables::Free::operator()(nft_ctx *context) const {
    nft_ctx_free(context);
}

Result<Nftables> Nftables::open(int netns_fd) {
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context)
        return fail("nftables", "out of memory");
    nft_ctx_buffer_error(context.get());
    nft_ctx_buffer_output(context.get());
    return Nftables(std::move(context));
}

Result<std::string> Nftables::run(const std::string &what, const std::string &command) const {
    if (nft_run_cmd_from_buffer(context_.get(), command.c_str()) != 0)
        return fail(fmt::format("nftables ({})", what), first_line(nft_ctx_get_error_buffer(context_.get())));
    const char *printed = nft_ctx_get_output_buffer(context_.get());
    return std::string(printed == nullptr ? "" : printed);
}

} // namespace vethtrace
