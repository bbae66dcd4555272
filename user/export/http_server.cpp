// SPDX-License-Identifier: GPL-2.0-only
#include "export/http_server.hpp"

#include "privileges/privileges.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <microhttpd.h>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>

namespace vethtrace {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t memory_of_connection = 8192; // so long a request's head may be at most
constexpr int send_buffer = 256 << 10;             // of the kernel, for each connection
constexpr unsigned accepted_at_once = 16;
constexpr milliseconds until_descriptors_are_free(100);

struct Connection {
    int socket;
    Clock::time_point since;
    std::string target; // that it asks for, as it was written
    bool has_asked = false;
    bool is_cut = false;
};

struct StopDaemon {
    void operator()(MHD_Daemon *daemon) const { MHD_stop_daemon(daemon); }
};
struct FreeResponse {
    void operator()(MHD_Response *response) const { MHD_destroy_response(response); }
};

HttpPage refusal(int status) {
    const char *text = status == MHD_HTTP_NOT_FOUND            ? "nothing is here but /metrics and /healthz\n"
                       : status == MHD_HTTP_METHOD_NOT_ALLOWED ? "nothing can be done here but GET\n"
                                                               : "a request with a body is not for here\n";
    return {status, "text/plain; charset=utf-8", std::make_shared<const std::string>(text)};
}

bool has_body(MHD_Connection *connection) {
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != nullptr && std::strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != nullptr;
}

std::unique_ptr<MHD_Response, FreeResponse> response_of(const HttpPage &page) {
    // The page may be another one by the time that a slow client has got this one.
    auto *kept = new std::shared_ptr<const std::string>(page.body);
    auto free = [](void *pointer) { delete static_cast<std::shared_ptr<const std::string> *>(pointer); };
    std::unique_ptr<MHD_Response, FreeResponse> response(MHD_create_response_from_buffer_with_free_callback_cls(
        page.body->size(), const_cast<char *>(page.body->data()), free, kept));
    if (!response) {
        delete kept;
        return nullptr;
    }
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE, page.content_type.c_str());
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONNECTION, "close");
    if (page.status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response.get(), MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return response;
}

} // namespace

class HttpServer::Implementation {
public:
    explicit Implementation(const HttpLimits &limits) : limits_(limits) {}
    Implementation(const Implementation &) = delete;
    Implementation &operator=(const Implementation &) = delete;
    ~Implementation() {
        if (thread_.joinable()) {
            (void)eventfd_write(stop_.get(), 1);
            thread_.join();
        }
    }

    Result<void> listen(const ListenAddress &wanted) {
        address_ = wanted;
        auto *address = reinterpret_cast<sockaddr *>(&address_.address);
        listener_ = Fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        int on = 1;
        if (!listener_ || setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
            bind(listener_.get(), address, address_.size) != 0 || ::listen(listener_.get(), SOMAXCONN) != 0 ||
            getsockname(listener_.get(), address, &address_.size) != 0)
            return fail_errno(text_of(wanted), errno, errno == EADDRINUSE ? "--listen chooses another one" : "");
        stop_ = Fd(eventfd(0, EFD_CLOEXEC));
        if (!stop_)
            return fail_errno("eventfd", errno);
        return {};
    }

    Result<void> serve(HttpPages pages) {
        pages_ = std::move(pages);
        // Connections are accepted here and not by the library, so that one can be ended in favour of another.
        daemon_.reset(MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, nullptr, nullptr, answer_request,
                                       this, MHD_OPTION_CONNECTION_LIMIT,
                                       static_cast<unsigned>(limits_.connections) + 1,
                                       MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory_of_connection,
                                       MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, note_target, this,
                                       MHD_OPTION_NOTIFY_CONNECTION, note_connection, this, MHD_OPTION_END));
        if (!daemon_)
            return fail("HTTP server", "could not be started");
        thread_ = std::thread([this] { run(); });
        return {};
    }

    [[nodiscard]] const ListenAddress &address() const { return address_; }
    [[nodiscard]] HttpCounts counts() const {
        std::scoped_lock lock(mutex_);
        return counts_;
    }

private:
    // ---- what the library calls

    static Connection *connection_of(MHD_Connection *connection) {
        return static_cast<Connection *>(
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
    }

    static void note_connection(void *self, MHD_Connection *connection, void **context,
                                MHD_ConnectionNotificationCode code) {
        std::list<Connection> &open = static_cast<Implementation *>(self)->open_;
        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
            int socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
            *context = &open.emplace_back(Connection{socket, Clock::now(), {}});
        } else {
            open.remove_if([&](const Connection &one) { return &one == *context; });
        }
    }

    // Before the library decodes anything in it.
    static void *note_target(void *, const char *target, MHD_Connection *connection) {
        connection_of(connection)->target = target;
        return nullptr;
    }

    // When the head of a request is complete.
    static MHD_Result answer_request(void *self, MHD_Connection *connection, const char *, const char *method,
                                     const char *, const char *, std::size_t *, void **) {
        Connection &its = *connection_of(connection);
        its.has_asked = true;
        return static_cast<Implementation *>(self)->answer(connection, its.target, method);
    }

    MHD_Result answer(MHD_Connection *connection, const std::string &target, std::string_view method) {
        std::optional<HttpPage> page;
        if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD)
            page = refusal(MHD_HTTP_METHOD_NOT_ALLOWED);
        else if (has_body(connection))
            page = refusal(MHD_HTTP_BAD_REQUEST);
        else if (page = pages_(target); !page)
            page = refusal(MHD_HTTP_NOT_FOUND);
        {
            std::scoped_lock lock(mutex_);
            ++counts_.answers[page->status];
        }
        auto response = response_of(*page);
        return response ? MHD_queue_response(connection, static_cast<unsigned>(page->status), response.get()) : MHD_NO;
    }

    // ---- the thread

    void run() {
        give_up_privileges();
        while (!wait()) {
            MHD_run(daemon_.get());
            cut_late();
            accept_some();
            MHD_run(daemon_.get());
        }
        daemon_.reset(); // ends what is open
    }

    // Until there is something to do, or it is to end: then it says so.
    bool wait() {
        int library = MHD_get_daemon_info(daemon_.get(), MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
        bool accepts = Clock::now() >= accept_from_;
        std::array<pollfd, 3> files = {pollfd{stop_.get(), POLLIN, 0}, pollfd{library, POLLIN, 0},
                                       pollfd{accepts ? listener_.get() : -1, POLLIN, 0}};
        (void)poll(files.data(), files.size(), static_cast<int>(patience().count()));
        return files.front().revents != 0;
    }

    [[nodiscard]] milliseconds patience() const {
        milliseconds most(1000);
        MHD_UNSIGNED_LONG_LONG library = 0;
        if (MHD_get_timeout(daemon_.get(), &library) == MHD_YES)
            most = std::min(most, milliseconds(std::min<MHD_UNSIGNED_LONG_LONG>(library, 1000)));
        Clock::time_point now = Clock::now();
        if (now < accept_from_)
            most = std::min(most, until_descriptors_are_free);
        for (const Connection &connection : open_)
            if (!connection.is_cut)
                most = std::min(most, std::chrono::ceil<milliseconds>(deadline_of(connection) - now));
        return std::max(most, milliseconds(0));
    }

    [[nodiscard]] Clock::time_point deadline_of(const Connection &connection) const {
        return connection.since + (connection.has_asked ? limits_.for_all : limits_.for_request);
    }

    void cut_late() {
        Clock::time_point now = Clock::now();
        for (Connection &connection : open_)
            if (now >= deadline_of(connection))
                cut(connection);
    }

    // The library notices, and closes it.
    void cut(Connection &connection) {
        if (connection.is_cut)
            return;
        connection.is_cut = true;
        (void)shutdown(connection.socket, SHUT_RDWR);
        std::scoped_lock lock(mutex_);
        ++counts_.cut;
    }

    void accept_some() {
        for (unsigned i = 0; i < accepted_at_once && Clock::now() >= accept_from_; ++i) {
            sockaddr_storage from = {};
            socklen_t size = sizeof(from);
            auto *address = reinterpret_cast<sockaddr *>(&from);
            int client = accept4(listener_.get(), address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (client < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                    accept_from_ = Clock::now() + until_descriptors_are_free;
                return;
            }
            if (open_.size() >= limits_.connections)
                make_room();
            (void)setsockopt(client, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
            (void)MHD_add_connection(daemon_.get(), client, address, size); // closes it where it fails
        }
    }

    // The oldest of those that have not asked for anything goes, or if all have, the oldest.
    void make_room() {
        MHD_run(daemon_.get()); // some may have asked, or have gone
        if (open_.size() < limits_.connections)
            return;
        auto silent = std::find_if(open_.begin(), open_.end(), [](const Connection &one) { return !one.has_asked; });
        cut(silent == open_.end() ? open_.front() : *silent);
        MHD_run(daemon_.get());
    }

    HttpLimits limits_;
    ListenAddress address_;
    Fd listener_;
    Fd stop_;
    HttpPages pages_;
    std::list<Connection> open_;    // the oldest first
    Clock::time_point accept_from_; // when the descriptors have run out: not before
    mutable std::mutex mutex_;
    HttpCounts counts_;
    std::unique_ptr<MHD_Daemon, StopDaemon> daemon_; // after what its callbacks use
    std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}

HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const ListenAddress &address, const HttpLimits &limits) {
    auto implementation = std::make_unique<Implementation>(limits);
    if (Result<void> listening = implementation->listen(address); !listening)
        return tl::unexpected(listening.error());
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(implementation)));
}

Result<void> HttpServer::serve(HttpPages pages) {
    return implementation_->serve(std::move(pages));
}

const ListenAddress &HttpServer::address() const {
    return implementation_->address();
}

HttpCounts HttpServer::counts() const {
    return implementation_->counts();
}

} // namespace vethtrace
