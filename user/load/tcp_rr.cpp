// SPDX-License-Identifier: GPL-2.0-only
#include "load/tcp_rr.hpp"

#include "core/fd.hpp"
#include "load/clock.hpp"
#include "load/messages.hpp"
#include "netns/netns.hpp"
#include "privileges/privileges.hpp"

#include "lab_layout.h"

#include <algorithm>
#include <arpa/inet.h>
#include <condition_variable>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace vethtrace {

namespace {

using namespace layout;

// ---- sockets

Result<void> set_option(int socket, int level, int option, const void *value, socklen_t size, const char *name) {
    if (setsockopt(socket, level, option, value, size) != 0)
        return fail_errno(name, errno);
    return {};
}

Result<void> set_flag(int socket, int level, int option, const char *name) {
    int on = 1;
    return set_option(socket, level, option, &on, sizeof(on), name);
}

// Of connect() only: a limit on recv() would cost the load a kernel timer for each message.
Result<void> set_connect_timeout(int socket, std::chrono::milliseconds timeout) {
    timeval limit = {};
    limit.tv_sec = timeout.count() / 1000;
    limit.tv_usec = timeout.count() % 1000 * 1000;
    return set_option(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit), "SO_SNDTIMEO");
}

Result<std::uint64_t> cookie_of(int socket) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    if (getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
        return fail_errno("SO_COOKIE", errno);
    return cookie;
}

Result<sockaddr_in> address_of(const std::string &host, std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
        return fail(host, "is no IPv4 address");
    return address;
}

const sockaddr *generic(const sockaddr_in &address) {
    return reinterpret_cast<const sockaddr *>(&address);
}

Result<Fd> listen_at(const std::string &host, int backlog) {
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener)
        return fail_errno("socket", errno);
    Result<sockaddr_in> address = address_of(host, SERVER_PORT);
    if (!address)
        return tl::unexpected(address.error());
    if (Result<void> set = set_flag(listener.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"); !set)
        return tl::unexpected(set.error());
    if (bind(listener.get(), generic(*address), sizeof(*address)) != 0)
        return fail_errno(fmt::format("bind to {}:{}", host, int{SERVER_PORT}), errno);
    if (listen(listener.get(), backlog) != 0)
        return fail_errno("listen", errno);
    return listener;
}

// From the port by which the flow is known.
Result<Fd> connect_to(const std::string &host, std::uint32_t flow, std::chrono::milliseconds timeout) {
    Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!client)
        return fail_errno("socket", errno);
    Result<sockaddr_in> server = address_of(host, SERVER_PORT);
    if (!server)
        return tl::unexpected(server.error());
    sockaddr_in own = {};
    own.sin_family = AF_INET;
    own.sin_port = htons(static_cast<std::uint16_t>(CLIENT_PORT + flow));
    Result<void> ready = set_flag(client.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR")
                             .and_then([&] { return set_flag(client.get(), IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"); })
                             .and_then([&] { return set_connect_timeout(client.get(), timeout); });
    if (!ready)
        return tl::unexpected(ready.error());
    if (bind(client.get(), generic(own), sizeof(own)) != 0)
        return fail_errno(fmt::format("bind to port {}", CLIENT_PORT + flow), errno);
    if (connect(client.get(), generic(*server), sizeof(*server)) != 0)
        return fail_errno(fmt::format("connect to {}:{}", host, int{SERVER_PORT}), errno);
    constexpr std::chrono::milliseconds none(0);
    if (Result<void> set = set_connect_timeout(client.get(), none); !set)
        return tl::unexpected(set.error());
    return client;
}

// ---- threads

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    // The options were checked against the CPUs that are allowed; should one vanish meanwhile, go on unpinned.
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

// One end of a flow and its notes.
class End {
public:
    End(end which, Fd socket, int cpu) : which_(which), socket_(std::move(socket)), cpu_(cpu) {}

    [[nodiscard]] int socket() const { return socket_.get(); }
    [[nodiscard]] int cpu() const { return cpu_; }

    // By the thread that will send and receive here.
    void introduce() {
        thread_id_ = static_cast<std::uint32_t>(syscall(SYS_gettid));
        prctl(PR_GET_NAME, comm_.data());
    }

    // While the thread waits. `with_timelines` for the flow that is followed moment by moment.
    void set_notes(flow &flow, const Notes &notes, bool with_timelines) {
        flow_ = &flow;
        notes_ = &flow.end[which_];
        events_ = &notes.cpus[static_cast<std::size_t>(cpu_)].events;
        sample_limit_ = &notes.cpus[static_cast<std::size_t>(cpu_)].sample_limit;
        timelines_ = with_timelines ? notes.timelines : std::span<timeline>();
        timeline_stride_ = notes.timeline_stride;
    }

    // The kernel side decides alike.
    [[nodiscard]] bool is_sampled(std::uint64_t message) const {
        return layout::is_sampled(flow_->index, message, *sample_limit_) != 0;
    }

    // Right before send() of a message that is not followed.
    void pass_over(std::uint64_t message) { notes_->send_seq = message; }

    // Right before send() of one that is. Returns the time that it left.
    Nanoseconds leave_send(std::uint64_t message) {
        notes_->send_seq = message;
        notes_->send_events = events();
        notes_->send_when = kernel_clock();
        return notes_->send_when;
    }

    [[nodiscard]] bool is_measured(std::uint64_t message) const {
        return message >= flow_->measure_from && message < flow_->measure_to;
    }

    // What is known of a message right after recv(). It must be read before anything is sent: the next message's notes
    // may come at any time after that.
    struct Receipt {
        Nanoseconds when;
        Nanoseconds ready_when;
        std::uint64_t ready_seq;
        std::uint64_t ready_events;
        std::uint64_t events;
    };
    [[nodiscard]] Receipt take_receipt() const {
        Nanoseconds now = kernel_clock();
        return {now, notes_->ready_when, notes_->ready_seq, notes_->ready_events, events()};
    }

    // Books the wakeup that a receipt ended. False if the kernel never said that this message was ready.
    bool book_wakeup(std::uint64_t message, const Receipt &receipt, UserHop &hop) const {
        if (receipt.ready_seq != message || receipt.when < receipt.ready_when)
            return false;
        hop.time.add(receipt.when - receipt.ready_when);
        if (is_same_cpu(receipt.events, receipt.ready_events))
            hop.events += receipt.events - receipt.ready_events;
        else
            ++hop.other_cpu;
        return true;
    }

    void mark(std::uint64_t message, moment what, Nanoseconds when) {
        std::uint64_t since = flow_->measured + message - flow_->measure_from;
        if (timelines_.empty() || since % timeline_stride_ != 0 || since / timeline_stride_ >= timelines_.size())
            return;
        end sender = what == MOMENT_APP_SEND ? which_ : which_ == END_CLIENT ? END_SERVER : END_CLIENT;
        timeline_mark &mark = timelines_[since / timeline_stride_].at[sender][end_station(which_, what)];
        mark.when = when;
        mark.pid = thread_id_;
        mark.cpu = static_cast<std::uint16_t>(cpu_);
        std::memcpy(mark.comm, comm_.data(), sizeof(mark.comm));
    }

    [[nodiscard]] std::uint64_t events() const { return *const_cast<const volatile __u64 *>(events_); }

private:
    end which_;
    Fd socket_;
    int cpu_;
    flow *flow_ = nullptr;
    flow_end *notes_ = nullptr;
    const __u64 *events_ = nullptr;
    const __u32 *sample_limit_ = nullptr;
    std::span<timeline> timelines_;
    std::uint64_t timeline_stride_ = 1;
    std::uint32_t thread_id_ = 0;
    std::array<char, 16> comm_ = {};
};

struct ServerSide {
    explicit ServerSide(End its_end) : end(std::move(its_end)) {}

    End end;
    std::thread thread;
    UserHop wakeup;
    UserHop application;
    std::uint64_t missed = 0;
    std::atomic<std::uint64_t> answered = 0; // messages whose books are closed
};

struct ClientSide {
    explicit ClientSide(End its_end) : end(std::move(its_end)) {}

    End end;
    std::thread thread;
    std::atomic<std::uint64_t> sent = 0; // messages so far, in all stretches; written by its thread alone
    Histogram rtt;
    Histogram followed_rtt;
    UserHop wakeup;
    std::uint64_t missed = 0;
    std::uint64_t wanted = 0;   // transactions of this stretch
    std::uint64_t measured = 0; // of the last traced stretch
    Nanoseconds duration = 0;
    int error = 0;                 // an errno; -1: the server closed the connection
    std::atomic<bool> idle = true; // it has nothing to do in this stretch any more
    bool stalled = false;          // it was cut off, because no answer came in time
};

} // namespace

class TcpRr::Implementation {
public:
    Implementation(const LoadOptions &options, const std::atomic<bool> &stop) : options_(options), stop_(stop) {}

    ~Implementation() {
        {
            std::lock_guard lock(mutex_);
            finished_ = true;
        }
        begin_.notify_all();
        for (auto &client : clients_)
            if (client->thread.joinable())
                client->thread.join();
        for (auto &client : clients_)
            shutdown(client->end.socket(), SHUT_RDWR);
        for (auto &server : servers_) {
            shutdown(server->end.socket(), SHUT_RDWR);
            if (server->thread.joinable())
                server->thread.join();
        }
    }

    Result<void> connect(int client_netns, int server_netns, const std::string &address) {
        Result<Fd> listener = InNamespace::enter(server_netns).and_then([&](const InNamespace &) {
            return listen_at(address, static_cast<int>(options_.flows));
        });
        if (!listener)
            return tl::unexpected(listener.error());
        for (std::uint32_t index = 0; index < options_.flows; ++index) {
            Result<void> added =
                InNamespace::enter(client_netns)
                    .and_then([&](const InNamespace &) { return connect_to(address, index, options_.timeout); })
                    .and_then([&](Fd socket) { return add_flow(std::move(socket), *listener); });
            if (!added)
                return added;
        }
        return start_threads(client_netns, server_netns);
    }

    [[nodiscard]] const std::vector<FlowCookies> &cookies() const { return cookies_; }

    void set_notes(const Notes &notes) {
        notes_ = notes;
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            clients_[i]->end.set_notes(notes.flows[i], notes, i == 0);
            servers_[i]->end.set_notes(notes.flows[i], notes, i == 0);
        }
    }

    Result<StretchResult> run(const Stretch &stretch) {
        prepare(stretch);
        {
            std::unique_lock lock(mutex_);
            stretch_ = stretch;
            running_ = clients_.size();
            failed_ = false;
            ++generation_;
            begin_.notify_all();
            wait_for_clients(lock);
        }
        return collect();
    }

private:
    Result<void> add_flow(Fd client, const Fd &listener) {
        Fd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!server)
            return fail_errno("accept", errno);
        if (Result<void> set = set_flag(server.get(), IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"); !set)
            return set;
        Result<std::uint64_t> client_cookie = cookie_of(client.get());
        Result<std::uint64_t> server_cookie = cookie_of(server.get());
        if (!client_cookie || !server_cookie)
            return tl::unexpected(client_cookie ? server_cookie.error() : client_cookie.error());
        cookies_.push_back({{*client_cookie, *server_cookie}});
        clients_.push_back(std::make_unique<ClientSide>(End(END_CLIENT, std::move(client), options_.client_cpu)));
        servers_.push_back(std::make_unique<ServerSide>(End(END_SERVER, std::move(server), options_.server_cpu)));
        return {};
    }

    Result<void> start_threads(int client_netns, int server_netns) {
        std::atomic<std::uint32_t> ready = 0;
        std::atomic<bool> refused = false;
        auto start = [&](auto &side, const char *name, int netns, auto body) {
            side.thread = std::thread([this, &side, name, netns, body, &ready, &refused] {
                Result<InNamespace> inside = InNamespace::enter(netns);
                refused = refused || !inside;
                if (inside)
                    inside->stay();
                give_up_privileges();
                pthread_setname_np(pthread_self(), name);
                pin_to(side.end.cpu());
                side.end.introduce();
                ++ready; // the two references end here
                (this->*body)(side);
            });
        };
        for (auto &server : servers_)
            start(*server, "rr-server", server_netns, &Implementation::serve);
        for (auto &client : clients_)
            start(*client, "rr-client", client_netns, &Implementation::ask);
        while (ready < servers_.size() + clients_.size())
            std::this_thread::yield();
        if (refused)
            return fail("threads of the load", "could not enter their network namespaces");
        return {};
    }

    // Watches that every flow goes on, and cuts off those that do not.
    void wait_for_clients(std::unique_lock<std::mutex> &lock) {
        using Clock = std::chrono::steady_clock;
        constexpr int looks = 8; // while one answer may take
        std::vector<std::uint64_t> last(clients_.size());
        std::vector<Clock::time_point> since(clients_.size(), Clock::now());
        auto all_done = [&] { return running_ == 0; };
        while (!done_.wait_for(lock, options_.timeout / looks, all_done)) {
            for (std::size_t i = 0; i < clients_.size(); ++i) {
                ClientSide &client = *clients_[i];
                std::uint64_t sent = client.sent.load(std::memory_order_relaxed);
                if (sent != last[i] || client.idle) {
                    last[i] = sent;
                    since[i] = Clock::now();
                } else if (Clock::now() - since[i] > options_.timeout) {
                    client.stalled = true;
                    shutdown(client.end.socket(), SHUT_RDWR);
                }
            }
        }
    }

    void prepare(const Stretch &stretch) {
        std::uint64_t flows = clients_.size();
        for (std::size_t i = 0; i < flows; ++i) {
            ClientSide &client = *clients_[i];
            client.rtt.clear();
            client.followed_rtt.clear();
            client.wakeup = {};
            client.missed = 0;
            client.duration = 0;
            client.idle = false;
            servers_[i]->wakeup = {};
            servers_[i]->application = {};
            servers_[i]->missed = 0;
            client.wanted = std::numeric_limits<std::uint64_t>::max();
            if (stretch.count)
                client.wanted = *stretch.count / flows + (i < *stretch.count % flows ? 1 : 0);
            if (!stretch.traced)
                continue;
            flow &flow = notes_.flows[i];
            flow.measured += client.measured;
            client.measured = 0;
            for (flow_way &way : flow.way)
                way.begun = 0; // what was sent untraced meanwhile is not known
            flow.measure_from = client.sent + warmup_of_each(stretch) + 1;
            flow.measure_to =
                stretch.count ? flow.measure_from + client.wanted : std::numeric_limits<std::uint64_t>::max();
        }
        traced_.store(stretch.traced, std::memory_order_release);
    }

    Result<StretchResult> collect() {
        StretchResult result;
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            ClientSide &client = *clients_[i];
            const ServerSide &server = *servers_[i];
            if (client.error != 0)
                return explain(i, client);
            while (server.answered.load(std::memory_order_acquire) != client.sent)
                std::this_thread::yield(); // the answer is there, so its server is about to close its books
            result.rtt.merge(client.rtt);
            result.followed_rtt.merge(client.followed_rtt);
            result.wakeup[END_CLIENT].merge(client.wakeup);
            result.wakeup[END_SERVER].merge(server.wakeup);
            result.application.merge(server.application);
            result.missed += client.missed + server.missed;
            result.duration = std::max(result.duration, client.duration);
        }
        return result;
    }

    [[nodiscard]] tl::unexpected<Error> explain(std::size_t flow, const ClientSide &client) const {
        std::string object = fmt::format("flow {} of the load", flow);
        std::string after = fmt::format("after {} transactions", client.sent - 1);
        if (client.stalled)
            return fail(
                object, fmt::format("the server has not answered for {} ms, {}", options_.timeout.count(), after),
                "packets of the lab are lost or held up: look for drops with `ip -s link` and `nft list ruleset` "
                "in its namespaces");
        if (client.error < 0)
            return fail(object, "the server has closed the connection " + after);
        return fail(object, describe_errno(client.error) + " " + after);
    }

    // ---- the client's thread

    void ask(ClientSide &client) {
        std::uint64_t seen = 0;
        std::vector<char> buffer(std::max(options_.request_bytes, options_.response_bytes));
        for (;;) {
            Stretch stretch;
            {
                std::unique_lock lock(mutex_);
                begin_.wait(lock, [&] { return finished_ || generation_ != seen; });
                if (finished_)
                    return;
                seen = generation_;
                stretch = stretch_;
            }
            if (stretch.traced)
                ask_all<true>(client, stretch, buffer.data());
            else
                ask_all<false>(client, stretch, buffer.data());
            client.idle = true;
            {
                std::lock_guard lock(mutex_);
                --running_;
            }
            done_.notify_one();
        }
    }

    template<bool traced>
    void ask_all(ClientSide &client, const Stretch &stretch, char *buffer) {
        bool alive = true;
        for (std::uint64_t i = 0; i < warmup_of_each(stretch) && alive && !stop_ && !failed_; ++i)
            alive = ask_once<traced>(client, buffer).has_value();

        Nanoseconds begin = round_trip_clock();
        Nanoseconds now = begin;
        auto limit = stretch.count ? std::numeric_limits<Nanoseconds>::max()
                                   : begin + static_cast<Nanoseconds>(stretch.duration.count());
        for (std::uint64_t i = 0; alive && i < client.wanted && now < limit && !stop_ && !failed_; ++i) {
            std::optional<RoundTrip> trip = ask_once<traced>(client, buffer);
            alive = trip.has_value();
            if (!alive)
                break;
            now = trip->end;
            client.rtt.add(trip->end - trip->begin);
            if (trip->followed)
                client.followed_rtt.add(trip->end - trip->begin);
        }
        client.duration = now - begin;
        if (!alive)
            failed_ = true;
    }

    [[nodiscard]] std::uint64_t warmup_of_each(const Stretch &stretch) const {
        return (stretch.warmup + clients_.size() - 1) / clients_.size();
    }

    struct RoundTrip {
        Nanoseconds begin;
        Nanoseconds end;
        bool followed;
    };

    template<bool traced>
    std::optional<RoundTrip> ask_once(ClientSide &client, char *buffer) {
        std::uint64_t message = client.sent.load(std::memory_order_relaxed) + 1;
        client.sent.store(message, std::memory_order_relaxed);
        int socket = client.end.socket();
        RoundTrip trip = {};
        Nanoseconds sent = 0;
        End::Receipt receipt = {};

        if constexpr (traced)
            trip.followed = client.end.is_sampled(message);
        trip.begin = round_trip_clock();
        if constexpr (traced) {
            if (trip.followed)
                sent = client.end.leave_send(message);
            else
                client.end.pass_over(message);
        }
        if (!send_all(socket, buffer, options_.request_bytes) ||
            !receive_all(socket, buffer, options_.response_bytes)) {
            client.error = errno == 0 ? -1 : errno;
            return std::nullopt;
        }
        if (trip.followed)
            receipt = client.end.take_receipt();
        trip.end = round_trip_clock();

        if constexpr (traced) {
            if (client.end.is_measured(message))
                ++client.measured;
            if (trip.followed && client.end.is_measured(message)) {
                if (!client.end.book_wakeup(message, receipt, client.wakeup))
                    ++client.missed;
                client.end.mark(message, MOMENT_APP_SEND, sent);
                client.end.mark(message, MOMENT_APP_RECV, receipt.when);
            }
        }
        return trip;
    }

    // ---- the server's thread

    void serve(ServerSide &server) {
        std::vector<char> buffer(std::max(options_.request_bytes, options_.response_bytes));
        int socket = server.end.socket();
        for (std::uint64_t message = 1; receive_all(socket, buffer.data(), options_.request_bytes); ++message) {
            bool traced = traced_.load(std::memory_order_acquire);
            bool followed = traced && server.end.is_sampled(message);
            End::Receipt receipt = {};
            Nanoseconds sent = 0;
            std::uint64_t events_sent = 0;
            if (traced && !followed)
                server.end.pass_over(message);
            if (followed) {
                receipt = server.end.take_receipt();
                events_sent = server.end.events();
                sent = server.end.leave_send(message);
            }
            if (!send_all(socket, buffer.data(), options_.response_bytes))
                return;
            // What is measured is booked after the answer is on its way, outside the server's own hop.
            if (followed && server.end.is_measured(message)) {
                if (!server.end.book_wakeup(message, receipt, server.wakeup))
                    ++server.missed;
                server.application.time.add(sent - receipt.when);
                server.application.events += events_sent - receipt.events;
                server.end.mark(message, MOMENT_APP_RECV, receipt.when);
                server.end.mark(message, MOMENT_APP_SEND, sent);
            }
            server.answered.store(message, std::memory_order_release);
        }
    }

    LoadOptions options_;
    const std::atomic<bool> &stop_;
    std::vector<FlowCookies> cookies_;
    std::vector<std::unique_ptr<ServerSide>> servers_;
    std::vector<std::unique_ptr<ClientSide>> clients_;
    Notes notes_;
    std::atomic<bool> traced_ = false; // read by the servers for each message
    std::atomic<bool> failed_ = false; // one flow has failed, so the others need not go on

    std::mutex mutex_;
    std::condition_variable begin_;
    std::condition_variable done_;
    Stretch stretch_;
    std::uint64_t generation_ = 0;
    std::size_t running_ = 0;
    bool finished_ = false;
};

void StretchResult::merge(const StretchResult &later) {
    rtt.merge(later.rtt);
    followed_rtt.merge(later.followed_rtt);
    duration += later.duration;
    for (std::size_t end = 0; end < wakeup.size(); ++end)
        wakeup.at(end).merge(later.wakeup.at(end));
    application.merge(later.application);
    missed += later.missed;
}

TcpRr::TcpRr(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}

TcpRr::~TcpRr() = default;

Result<std::unique_ptr<TcpRr>> TcpRr::connect(int client_netns, int server_netns, const std::string &server_address,
                                              const LoadOptions &options, const std::atomic<bool> &stop) {
    auto implementation = std::make_unique<Implementation>(options, stop);
    if (Result<void> connected = implementation->connect(client_netns, server_netns, server_address); !connected)
        return tl::unexpected(connected.error());
    return std::unique_ptr<TcpRr>(new TcpRr(std::move(implementation)));
}

const std::vector<FlowCookies> &TcpRr::cookies() const {
    return implementation_->cookies();
}

void TcpRr::set_notes(const Notes &notes) {
    implementation_->set_notes(notes);
}

Result<StretchResult> TcpRr::run(const Stretch &stretch) {
    return implementation_->run(stretch);
}

} // namespace vethtrace
