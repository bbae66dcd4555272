// SPDX-License-Identifier: GPL-2.0-only
//
// pulse ADDRESS PORT PER_SECOND SECONDS: sends UDP packets of one byte at an even rate.
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
    if (argc != words) {
        std::fputs("usage: pulse ADDRESS PORT PER_SECOND SECONDS\n", stderr);
        return 2;
    }
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10)));
    int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    long rate = std::strtol(argv[3], nullptr, 10);
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || socket < 0 || rate <= 0) {
        std::perror("pulse");
        return 1;
    }
    auto next = std::chrono::steady_clock::now();
    auto interval = std::chrono::nanoseconds(std::chrono::seconds(1)) / rate;
    for (long left = rate * std::strtol(argv[4], nullptr, 10); left > 0; --left) {
        (void)sendto(socket, "", 1, 0, reinterpret_cast<const sockaddr *>(&to),
                     sizeof(to)); // refused ones are sent, too
        next += interval;
        std::this_thread::sleep_until(next);
    }
    return 0;
}
