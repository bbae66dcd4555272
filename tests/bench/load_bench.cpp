// SPDX-License-Identifier: GPL-2.0-only
//
// The load generator against the plainest loop that does the same: send a byte, receive a byte. Both in the same veth
// lab, on one CPU and on two, with few flows and many, taking turns; prints the ratios of their rates.
#include "core/statistics.hpp"
#include "lab/lab.hpp"
#include "load/tcp_rr.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <barrier>
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
    PlainLoop(const Lab &lab, std::uint16_t port, int server_cpu) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
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
        thread_ = std::thread([this, server_cpu] {
            pin(server_cpu);
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

    void ask(std::uint64_t count) const {
        char byte = 0;
        for (std::uint64_t i = 0; i < count; ++i)
            if (send(client_.get(), &byte, 1, 0) != 1 || recv(client_.get(), &byte, 1, 0) != 1)
                std::abort();
    }

private:
    Fd client_;
    Fd server_;
    std::thread thread_;
};

// Transactions per second of all loops together, each with a client thread on the given CPU.
double plain_rate(const std::vector<std::unique_ptr<PlainLoop>> &loops, int cpu) {
    std::uint64_t each = transactions / loops.size();
    std::barrier ready(static_cast<std::ptrdiff_t>(loops.size()));
    std::vector<double> seconds(loops.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < loops.size(); ++i)
        threads.emplace_back([&, i] {
            pin(cpu);
            loops[i]->ask(each / 10);
            ready.arrive_and_wait();
            auto begin = std::chrono::steady_clock::now();
            loops[i]->ask(each);
            seconds[i] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        });
    for (std::thread &thread : threads)
        thread.join();
    return static_cast<double>(each * loops.size()) / *std::max_element(seconds.begin(), seconds.end());
}

double our_rate(TcpRr &load) {
    auto result = load.run({.warmup = transactions / 10, .count = transactions});
    if (!result)
        std::abort();
    return static_cast<double>(result->rtt.count()) * 1e9 / static_cast<double>(result->duration);
}

void compare(const Lab &lab, std::uint32_t flows, int client_cpu, int server_cpu) {
    std::atomic<bool> stop = false;
    LoadOptions options{.flows = flows, .client_cpu = client_cpu, .server_cpu = server_cpu};
    auto load = TcpRr::connect(lab.client().fd(), lab.server().fd(), lab.server_address(), options, stop);
    if (!load) {
        fmt::print(stderr, "{}\n", load.error().text());
        std::exit(1);
    }
    std::vector<std::unique_ptr<PlainLoop>> loops;
    for (std::uint32_t i = 0; i < flows; ++i)
        loops.push_back(std::make_unique<PlainLoop>(lab, static_cast<std::uint16_t>(plain_port + i), server_cpu));
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> ratios;
    for (int i = 0; i < rounds; ++i) {
        bool first = i % 2 == 0; // whoever comes second finds warmer caches
        double before = first ? our_rate(**load) : 0;
        theirs.push_back(plain_rate(loops, client_cpu));
        ours.push_back(first ? before : our_rate(**load));
        ratios.push_back(ours.back() / theirs.back());
    }
    Interval interval = median_interval(ratios);
    fmt::print("{:>3} flows, {}: load generator {:>6.0f}/s, plain loop {:>6.0f}/s, ratio {:.3f} ({:.3f} to {:.3f})\n",
               flows, client_cpu == server_cpu ? "one CPU " : "two CPUs", *median(ours), *median(theirs),
               *median(ratios), interval.low, interval.high);
}

} // namespace

int main() {
    auto lab = Lab::build(Mode::veth, Topology::wire);
    if (!lab) {
        fmt::print(stderr, "{}\n", lab.error().text());
        return 1;
    }
    int last = static_cast<int>(std::thread::hardware_concurrency()) - 1;
    for (std::uint32_t flows : {1U, 8U, 64U}) {
        compare(**lab, flows, last, last);
        if (last > 0)
            compare(**lab, flows, last - 1, last);
    }
    return 0;
}
