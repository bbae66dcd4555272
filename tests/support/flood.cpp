// SPDX-License-Identifier: GPL-2.0-only
//
// flood ADDRESS PORT BYTES PACKETS [RATE]: sends UDP packets of one byte as fast as it can, or RATE a second, and no
// more than PACKETS of them. An skb counts against its sender's buffer until a receiving stack takes it out of a
// backlog, so BYTES of buffer bound how many of them can wait in a backlog at the same time.
#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

int main(int argc, char **argv) {
    constexpr int words = 5;
    if (argc != words && argc != words + 1) {
        std::fputs("usage: flood ADDRESS PORT BYTES PACKETS [RATE]\n", stderr);
        return 2;
    }
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10)));
    // The kernel doubles the size, to count its own book-keeping in.
    int half = static_cast<int>(std::strtol(argv[3], nullptr, 10) / 2);
    int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || socket < 0 ||
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)) != 0) {
        std::perror("flood");
        return 1;
    }
    // In turns of a millisecond, or of one packet.
    unsigned long rate = argc > words ? std::strtoul(argv[words], nullptr, 10) : 0;
    unsigned long in_a_turn = std::max(rate / 1000, 1UL);
    std::chrono::nanoseconds turn(rate == 0 ? 0 : 1000000000 * in_a_turn / rate);
    auto next = std::chrono::steady_clock::now();
    for (unsigned long left = std::strtoul(argv[4], nullptr, 10); left > 0; --left) {
        (void)sendto(socket, "", 1, 0, reinterpret_cast<const sockaddr *>(&to),
                     sizeof(to)); // refused ones are sent, too
        if (rate != 0 && left % in_a_turn == 0)
            std::this_thread::sleep_until(next += turn);
    }
    return 0;
}
