// SPDX-License-Identifier: GPL-2.0-only
#include "load/rr.hpp"

#include "core/fd.hpp"
#include "load/clock.hpp"
#include "load/messages.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <list>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace vethtrace {

namespace {

// ---- what a client says first, and the server repeats

struct Greeting {
    std::array<char, 8> who = {'v', 't', '-', 'r', 'r', '/', '1', '\n'};
    std::uint32_t request_bytes = 0; // in network byte order
    std::uint32_t response_bytes = 0;
};
static_assert(sizeof(Greeting) == 16);

constexpr std::uint32_t most_bytes = 16 * 1024 * 1024;
constexpr std::size_t most_connections = 4096;
constexpr std::chrono::milliseconds look_around(100); // how long a stop may go unnoticed

bool is_sound(const Greeting &greeting) {
    auto in_range = [](std::uint32_t bytes) { return ntohl(bytes) >= 1 && ntohl(bytes) <= most_bytes; };
    return greeting.who == Greeting().who && in_range(greeting.request_bytes) && in_range(greeting.response_bytes);
}

// ---- sockets

struct FreeAddresses {
    void operator()(addrinfo *addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

std::string place(const std::string &host, std::uint16_t port) {
    return fmt::format("{}, port {}", host.empty() ? "all addresses" : host, port);
}

Result<Addresses> resolve(const std::string &host, std::uint16_t port, int flags) {
    addrinfo wanted = {};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = flags | AI_NUMERICSERV;
    addrinfo *found = nullptr;
    int code = getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &wanted, &found);
    if (code != 0)
        return fail(place(host, port), code == EAI_SYSTEM ? describe_errno(errno) : gai_strerror(code));
    return Addresses(found);
}

void set_flag(const Fd &socket, int level, int option) {
    int on = 1;
    (void)setsockopt(socket.get(), level, option, &on, sizeof(on));
}

// 0: time is up. Negative: an error.
int wait_for(int socket, short events, std::chrono::milliseconds limit) {
    pollfd wanted = {socket, events, 0};
    return poll(&wanted, 1, static_cast<int>(limit.count()));
}

Result<Fd> listen_at(const RrServerOptions &options) {
    Result<Addresses> addresses = resolve(options.address, options.port, AI_PASSIVE);
    if (!addresses)
        return tl::unexpected(addresses.error());
    // IPv6 first: with no address it serves IPv4 as well.
    std::vector<const addrinfo *> order;
    for (const addrinfo *one = addresses->get(); one != nullptr; one = one->ai_next)
        order.push_back(one);
    std::stable_partition(order.begin(), order.end(), [](const addrinfo *one) { return one->ai_family == AF_INET6; });
    int error = 0;
    for (const addrinfo *one : order) {
        Fd listener(socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (listener) {
            set_flag(listener, SOL_SOCKET, SO_REUSEADDR);
            if (bind(listener.get(), one->ai_addr, one->ai_addrlen) == 0 && listen(listener.get(), SOMAXCONN) == 0)
                return listener;
        }
        error = errno;
    }
    return fail_errno(place(options.address, options.port), error,
                      error == EADDRINUSE ? "--port chooses another one" : "");
}

Result<Fd> connect_to(const RrOptions &options, const addrinfo &address) {
    Fd client(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!client)
        return fail_errno("socket", errno);
    set_flag(client, IPPROTO_TCP, TCP_NODELAY);
    if (connect(client.get(), address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS)
        return fail_errno(place(options.server, options.port), errno);
    if (wait_for(client.get(), POLLOUT, options.timeout) == 0)
        return fail(place(options.server, options.port), "does not answer",
                    "`vethtrace rr serve` must run there, and firewalls let it through");
    int error = 0;
    socklen_t size = sizeof(error);
    (void)getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        return fail_errno(place(options.server, options.port), error,
                          error == ECONNREFUSED ? "`vethtrace rr serve` must run there" : "");
    (void)fcntl(client.get(), F_SETFL, fcntl(client.get(), F_GETFL) & ~O_NONBLOCK);
    return client;
}

Result<void> set_limit(const Fd &socket, std::chrono::milliseconds limit) {
    timeval value = {};
    value.tv_sec = limit.count() / 1000;
    value.tv_usec = limit.count() % 1000 * 1000;
    for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
        if (setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof(value)) != 0)
            return fail_errno("socket", errno);
    return {};
}

// ---- the server

struct Client {
    explicit Client(Fd its_socket) : socket(std::move(its_socket)) {}

    Fd socket;
    std::thread thread;
    std::atomic<bool> gone = false;
};

// Until the client goes, or the socket is shut down.
void serve(Client &client) {
    int socket = client.socket.get();
    Greeting greeting;
    auto *bytes = reinterpret_cast<char *>(&greeting);
    if (receive_all(socket, bytes, sizeof(greeting)) && is_sound(greeting) &&
        send_all(socket, bytes, sizeof(greeting))) {
        std::uint32_t request = ntohl(greeting.request_bytes);
        std::uint32_t response = ntohl(greeting.response_bytes);
        std::vector<char> buffer(std::max(request, response));
        while (receive_all(socket, buffer.data(), request) && send_all(socket, buffer.data(), response))
            ;
    }
    shutdown(socket, SHUT_RDWR);
    client.gone = true;
}

// ---- the client

struct Flow {
    explicit Flow(Fd its_socket) : socket(std::move(its_socket)) {}

    Fd socket;
    std::uint64_t wanted = std::numeric_limits<std::uint64_t>::max();
    std::thread thread;
    std::atomic<std::uint64_t> sent = 0;
    std::atomic<bool> done = false;
    Histogram rtt;
    Nanoseconds duration = 0;
    int error = 0;        // an errno; -1: the server closed the connection
    bool stalled = false; // it was cut off, because no answer came in time
};

class Load {
public:
    Load(const RrOptions &options, const std::atomic<bool> &stop) : options_(options), stop_(stop) {}

    Result<void> connect() {
        Result<Addresses> addresses = resolve(options_.server, options_.port, 0);
        if (!addresses)
            return tl::unexpected(addresses.error());
        for (std::uint32_t index = 0; index < options_.flows; ++index) {
            Result<Fd> socket = connect_to_any(**addresses);
            if (!socket)
                return tl::unexpected(socket.error());
            flows_.push_back(std::make_unique<Flow>(std::move(*socket)));
            if (options_.count)
                flows_.back()->wanted =
                    *options_.count / options_.flows + (index < *options_.count % options_.flows ? 1 : 0);
            if (Result<void> greeted = greet(flows_.back()->socket); !greeted)
                return greeted;
        }
        return {};
    }

    Result<LoadResult> run() {
        for (auto &flow : flows_)
            flow->thread = std::thread([this, &flow] { ask(*flow); });
        watch();
        for (auto &flow : flows_)
            flow->thread.join();
        LoadResult result;
        result.request_bytes = options_.request_bytes;
        result.response_bytes = options_.response_bytes;
        result.flows = options_.flows;
        for (const auto &flow : flows_) {
            if (flow->error != 0 && !stop_)
                return explain(*flow);
            result.rtt.merge(flow->rtt);
            result.duration_ns = std::max(result.duration_ns, flow->duration);
        }
        result.transactions = result.rtt.count();
        return result;
    }

private:
    Result<Fd> connect_to_any(const addrinfo &addresses) {
        Result<Fd> socket = connect_to(options_, addresses);
        for (const addrinfo *next = addresses.ai_next; next != nullptr && !socket; next = next->ai_next)
            socket = connect_to(options_, *next);
        return socket;
    }

    Result<void> greet(const Fd &socket) {
        Greeting greeting;
        greeting.request_bytes = htonl(options_.request_bytes);
        greeting.response_bytes = htonl(options_.response_bytes);
        Greeting answer;
        if (Result<void> limited = set_limit(socket, options_.timeout); !limited)
            return limited;
        bool answered = send_all(socket.get(), reinterpret_cast<const char *>(&greeting), sizeof(greeting)) &&
                        receive_all(socket.get(), reinterpret_cast<char *>(&answer), sizeof(answer));
        if (!answered || answer.who != greeting.who)
            return fail(place(options_.server, options_.port), "is no `vethtrace rr serve` of this version");
        // From here on none: it would cost a kernel timer for each message. watch() sees to it.
        return set_limit(socket, std::chrono::milliseconds(0));
    }

    // Cuts off flows that do not go on, and those that wait when all is to end.
    void watch() {
        using Clock = std::chrono::steady_clock;
        std::vector<std::uint64_t> last(flows_.size());
        std::vector<Clock::time_point> since(flows_.size(), Clock::now());
        auto all_done = [&] {
            return std::all_of(flows_.begin(), flows_.end(), [](const auto &flow) { return flow->done.load(); });
        };
        while (!all_done()) {
            std::this_thread::sleep_for(look_around);
            for (std::size_t i = 0; i < flows_.size(); ++i) {
                Flow &flow = *flows_[i];
                std::uint64_t sent = flow.sent;
                bool goes_on = sent != last[i] || flow.done;
                if (goes_on) {
                    last[i] = sent;
                    since[i] = Clock::now();
                } else if (stop_ || Clock::now() - since[i] > options_.timeout) {
                    flow.stalled = !stop_;
                    shutdown(flow.socket.get(), SHUT_RDWR);
                }
            }
        }
    }

    void ask(Flow &flow) {
        std::vector<char> buffer(std::max(options_.request_bytes, options_.response_bytes));
        auto once = [&] {
            ++flow.sent;
            if (send_all(flow.socket.get(), buffer.data(), options_.request_bytes) &&
                receive_all(flow.socket.get(), buffer.data(), options_.response_bytes))
                return true;
            flow.error = errno == 0 ? -1 : errno;
            return false;
        };
        bool alive = true;
        std::uint64_t warmup = (options_.warmup + options_.flows - 1) / options_.flows;
        for (std::uint64_t i = 0; i < warmup && alive && !stop_; ++i)
            alive = once();
        Nanoseconds begin = round_trip_clock();
        Nanoseconds before = begin;
        auto limit = options_.count ? std::numeric_limits<Nanoseconds>::max()
                                    : begin + static_cast<Nanoseconds>(options_.duration.count());
        for (std::uint64_t i = 0; alive && i < flow.wanted && before < limit && !stop_; ++i) {
            alive = once();
            if (!alive)
                break;
            Nanoseconds now = round_trip_clock();
            flow.rtt.add(now - before);
            before = now;
        }
        flow.duration = before - begin;
        flow.done = true;
    }

    [[nodiscard]] tl::unexpected<Error> explain(const Flow &flow) const {
        std::string object = place(options_.server, options_.port);
        std::string after = fmt::format("after {} transactions of a flow", flow.sent.load() - 1);
        if (flow.stalled)
            return fail(object, fmt::format("has not answered for {} ms, {}", options_.timeout.count(), after));
        if (flow.error < 0)
            return fail(object, "has closed the connection " + after);
        return fail(object, describe_errno(flow.error) + " " + after);
    }

    const RrOptions &options_;
    const std::atomic<bool> &stop_;
    std::vector<std::unique_ptr<Flow>> flows_;
};

} // namespace

Result<void> serve_rr(const RrServerOptions &options, const std::atomic<bool> &stop,
                      const std::function<void(const std::string &)> &ready) {
    Result<Fd> listener = listen_at(options);
    if (!listener)
        return tl::unexpected(listener.error());
    ready(place(options.address, options.port));
    std::list<Client> clients;
    while (!stop) {
        clients.remove_if([](Client &client) {
            if (client.gone)
                client.thread.join();
            return client.gone.load();
        });
        if (wait_for(listener->get(), POLLIN, look_around) <= 0 || clients.size() >= most_connections)
            continue;
        Fd socket(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket)
            continue; // it has gone meanwhile
        set_flag(socket, IPPROTO_TCP, TCP_NODELAY);
        Client &client = clients.emplace_back(std::move(socket));
        client.thread = std::thread([&client] { serve(client); });
    }
    for (Client &client : clients) {
        shutdown(client.socket.get(), SHUT_RDWR);
        client.thread.join();
    }
    return {};
}

Result<RrResult> run_rr(const RrOptions &options, const std::atomic<bool> &stop) {
    Load load(options, stop);
    if (Result<void> connected = load.connect(); !connected)
        return tl::unexpected(connected.error());
    return load.run().map([&](LoadResult measured) {
        RrResult result;
        result.server = place(options.server, options.port);
        result.load = std::move(measured);
        result.interrupted = stop;
        return result;
    });
}

} // namespace vethtrace
