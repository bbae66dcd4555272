// SPDX-License-Identifier: GPL-2.0-only
//
// Commands of nft in a namespace.
#pragma once

#include "core/error.hpp"

#include <memory>
#include <string>

struct nft_ctx;

namespace vethtrace {

class Nftables {
public:
    // Its socket stays in the namespace in which it was opened.
    [[nodiscard]] static Result<Nftables> open(int netns_fd);

    // What the command prints. `what` is what errors call it.
    [[nodiscard]] Result<std::string> run(const std::string &what, const std::string &command) const;

private:
    struct Free {
        void operator()(nft_ctx *context) const;
    };
    explicit Nftables(std::unique_ptr<nft_ctx, Free> context) : context_(std::move(context)) {}

    std::unique_ptr<nft_ctx, Free> context_;
};

} // namespace vethtrace
