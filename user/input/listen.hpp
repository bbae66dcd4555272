// SPDX-License-Identifier: GPL-2.0-only
//
// Where a user wants something to listen.
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace vethtrace {

struct ListenAddress {
    sockaddr_storage address = {}; // with the port in it
    socklen_t size = 0;
};

// "127.0.0.1:9954", "[::1]:9954"; port 0: any that is free. No names: what they stand for may change.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

// The same as a URL's authority.
[[nodiscard]] std::string text_of(const ListenAddress &address);

} // namespace vethtrace
