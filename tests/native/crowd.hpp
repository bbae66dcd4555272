// SPDX-License-Identifier: GPL-2.0-only
//
// A node with very many containers, made quickly: each is a namespace with a veth pair to a namespace that plays the
// host and routes between them. Container i has the address 10.98.i/200.i%200+1.
#pragma once

#include "native/native.hpp"
#include "netns/netns.hpp"
#include "support/process.hpp"

#include <arpa/inet.h>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace vethtrace::test {

class Crowd {
public:
    static constexpr std::uint16_t port = 17171;

    explicit Crowd(int containers)
        : prefix_(fmt::format("vtk{}", getpid())), sockets_(static_cast<std::size_t>(containers)) {
        rlimit limit = {};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);

        std::string spaces = fmt::format("netns add {}\n", host());
        std::string links;
        for (int i = 0; i < containers; ++i) {
            spaces += fmt::format("netns add {}\n", container(i));
            // Nobody asks for link addresses, so all have the same.
            links += fmt::format("link add v{0} address {3} type veth peer name eth0 address {3} netns {1}\n"
                                 "link set v{0} arp off up\nroute add {2}/32 dev v{0}\n",
                                 i, container(i), address(i), "02:00:00:00:00:01");
        }
        batch("ip -batch", spaces);
        // No packets of their own accord.
        EXPECT_EQ(run({"ip", "netns", "exec", host(), "sh", "-c",
                       "ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward; "
                       "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true"})
                      .status,
                  0);
        batch("ip -n " + host() + " -batch", links);
        std::thread([this] { settle(); }).join();
    }
    Crowd(const Crowd &) = delete;
    Crowd &operator=(const Crowd &) = delete;
    ~Crowd() {
        std::string spaces = fmt::format("netns del {}\n", host());
        for (int i = 0; i < static_cast<int>(sockets_.size()); ++i)
            spaces += fmt::format("netns del {}\n", container(i));
        batch("ip -batch", spaces);
    }

    [[nodiscard]] std::string host() const { return prefix_ + "-host"; }
    [[nodiscard]] std::string container(int i) const { return fmt::format("{}-{}", prefix_, i); }
    [[nodiscard]] static std::string address(int i) { return fmt::format("10.98.{}.{}", i / 200, i % 200 + 1); }

    // Each sends so many packets to the next one, which receives them; one after another.
    void pass_on(std::uint64_t packets) const {
        for (std::uint64_t round = 0; round < packets; ++round)
            for (std::size_t i = 0; i < sockets_.size(); ++i) {
                std::size_t next = (i + 1) % sockets_.size();
                sockaddr_in to = address_of(next);
                ASSERT_EQ(sendto(sockets_[i].get(), "x", 1, 0, reinterpret_cast<sockaddr *>(&to), sizeof(to)), 1);
                char byte = 0;
                ASSERT_EQ(recv(sockets_[next].get(), &byte, 1, 0), 1) << "container " << next;
            }
    }

private:
    static sockaddr_in address_of(std::size_t i) {
        sockaddr_in its = {};
        its.sin_family = AF_INET;
        its.sin_port = htons(port);
        inet_pton(AF_INET, address(static_cast<int>(i)).c_str(), &its.sin_addr);
        return its;
    }

    // By a file, since there are more commands than a pipe holds.
    void batch(const std::string &command, const std::string &lines) const {
        std::string file = testing::TempDir() + prefix_;
        std::ofstream(file) << lines;
        Finished finished = run({"sh", "-c", command + " " + file + " && rm " + file});
        EXPECT_EQ(finished.status, 0) << finished.err;
    }

    // From inside each, without a process for it: the address, and a socket.
    void settle() {
        for (std::size_t i = 0; i < sockets_.size(); ++i) {
            Result<Netns> netns = Netns::open(container(static_cast<int>(i)));
            ASSERT_TRUE(netns);
            Result<InNamespace> entered = InNamespace::enter(netns->fd());
            ASSERT_TRUE(entered);
            entered->stay(); // the thread ends here anyway
            std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << "1";
            Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_in its = address_of(i);
            ifreq device = {};
            std::strcpy(device.ifr_name, "eth0");
            std::memcpy(&device.ifr_addr, &its, sizeof(its));
            ASSERT_EQ(ioctl(socket.get(), SIOCSIFADDR, &device), 0) << std::strerror(errno);
            inet_pton(AF_INET, "255.255.0.0", &reinterpret_cast<sockaddr_in *>(&device.ifr_addr)->sin_addr);
            ASSERT_EQ(ioctl(socket.get(), SIOCSIFNETMASK, &device), 0) << std::strerror(errno);
            device.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP;
            ASSERT_EQ(ioctl(socket.get(), SIOCSIFFLAGS, &device), 0) << std::strerror(errno);
            timeval patience = {.tv_sec = 5, .tv_usec = 0};
            ASSERT_EQ(setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
            ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr *>(&its), sizeof(its)), 0) << std::strerror(errno);
            sockets_[i] = std::move(socket);
        }
    }

    std::string prefix_;
    std::vector<Fd> sockets_; // of each container
};

} // namespace vethtrace::test
