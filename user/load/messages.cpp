// SPDX-License-Identifier: GPL-2.0-only
#include "load/messages.hpp"

#include <cerrno>
#include <sys/socket.h>

namespace vethtrace {

bool receive_all(int socket, char *buffer, std::size_t size) {
    while (size > 0) {
        ssize_t got = recv(socket, buffer, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = 0;
            return false;
        }
        buffer += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

bool send_all(int socket, const char *buffer, std::size_t size) {
    while (size > 0) {
        ssize_t put = send(socket, buffer, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        buffer += put;
        size -= static_cast<std::size_t>(put);
    }
    return true;
}

} // namespace vethtrace
