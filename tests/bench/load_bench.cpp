// SPDX-License-Identifier: GPL-2.0-only
//
// The load generator against the plainest loop that does the same: send a byte, receive a byte. Both in the same veth
// lab, on one CPU, taking turns; prints the ratio of their median rates.
#include "core/statistics.hpp"
#include "lab/lab.hpp"
#include "load/tcp_rr.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <thread>

using namespace vethtrace;

namespace {

constexpr std::uint64_t transactions = 20'000;
constexpr int rounds = 15;
constexpr std::uint16_t plain_port = 9000;

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

void no_delay(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// A connection with a server thread that answers each byte with a byte.
class PlainLoop {
public:
    PlainLoop(const Lab &lab, int cpu) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(plain_port);
        inet_pton(AF_INET, lab.server_address().c_str(), &address.sin_addr);
        Fd listener;
        {
            auto inside = InNamespace::enter(lab.server().fd());
            listener = Fd(socket(AF_INET, SOCK_STREAM, 0));
            if (bind(listener.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
                listen(listener.get(), 1) != 0)
                std::abort();
        }
        {
            auto inside = InNamespace::enter(lab.client().fd());
            client_ = Fd(socket(AF_INET, SOCK_STREAM, 0));
            if (connect(client_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
                std::abort();
        }
        server_ = Fd(accept(listener.get(), nullptr, nullptr));
        no_delay(client_.get());
        no_delay(server_.get());
        thread_ = std::thread([this, cpu] {
            pin(cpu);
            char byte = 0;
            while (recv(server_.get(), &byte, 1, 0) == 1)
                if (send(server_.get(), &byte, 1, 0) != 1)
                    return;
        });
    }
    PlainLoop(const PlainLoop &) = delete;
    PlainLoop &operator=(const PlainLoop &) = delete;
    ~PlainLoop() {
        shutdown(client_.get(), SHUT_RDWR);
        thread_.join();
    }

    // Transactions per second, by a client thread on the given CPU.
    double run(int cpu) {
        double rate = 0;
        std::thread([&] {
            pin(cpu);
            ask(transactions / 10);
            auto begin = std::chrono::steady_clock::now();
            ask(transactions);
            rate = transactions / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        }).join();
        return rate;
    }

private:
    void ask(std::uint64_t count) const {
        char byte = 0;
        for (std::uint64_t i = 0; i < count; ++i)
            if (send(client_.get(), &byte, 1, 0) != 1 || recv(client_.get(), &byte, 1, 0) != 1)
                std::abort();
    }

    Fd client_;
    Fd server_;
    std::thread thread_;
};

} // namespace

int main() {
    auto lab = Lab::build(Mode::veth, Topology::wire);
    if (!lab) {
        fmt::print(stderr, "{}\n", lab.error().text());
        return 1;
    }
    std::atomic<bool> stop = false;
    LoadOptions options;
    options.client_cpu = options.server_cpu = static_cast<int>(std::thread::hardware_concurrency()) - 1;
    auto load = TcpRr::connect((*lab)->client().fd(), (*lab)->server().fd(), (*lab)->server_address(), options, stop);
    if (!load) {
        fmt::print(stderr, "{}\n", load.error().text());
        return 1;
    }
    PlainLoop plain(**lab, options.server_cpu);
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> ratios;
    for (int i = 0; i < rounds; ++i) {
        auto result = (*load)->run({.warmup = transactions / 10, .count = transactions});
        if (!result)
            return 1;
        ours.push_back(static_cast<double>(result->rtt.count()) * 1e9 / static_cast<double>(result->duration));
        theirs.push_back(plain.run(options.client_cpu));
        ratios.push_back(ours.back() / theirs.back());
    }
    fmt::print("load generator {:.0f}/s, plain loop {:.0f}/s, ratio {:.4f} (medians of {} rounds in turn)\n",
               *median(ours), *median(theirs), *median(ratios), rounds);
    return 0;
}
