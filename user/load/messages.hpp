// SPDX-License-Identifier: GPL-2.0-only
//
// Whole messages over a connected socket that blocks.
#pragma once

#include <cstddef>

namespace vethtrace {

// False at the end of the connection, on a timeout or an error; errno tells which (0: the end).
bool receive_all(int socket, char *buffer, std::size_t size);
bool send_all(int socket, const char *buffer, std::size_t size);

} // namespace vethtrace
