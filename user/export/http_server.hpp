// SPDX-License-Identifier: GPL-2.0-only
//
// A read-only HTTP server for few pages that somebody else has made already. It trusts no client: connections are
// bounded in number and in time, one request each, and when they are too many, the one that has kept its request to
// itself for the longest makes room for the next. So a scrape gets through whatever the others do.
#pragma once

#include "core/error.hpp"
#include "core/fd.hpp"
#include "input/listen.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace vethtrace {

struct HttpPage {
    int status = 200;
    std::string content_type;
    std::shared_ptr<const std::string> body;
};

// By the path: what is there now; null: nothing. It is called from the server's thread.
using HttpPages = std::function<std::optional<HttpPage>(const std::string &path)>;

struct HttpLimits {
    std::size_t connections = 32;
    std::chrono::milliseconds for_request = std::chrono::seconds(5); // since the connection
    std::chrono::milliseconds for_all = std::chrono::seconds(10);
};

struct HttpCounts {
    std::map<int, std::uint64_t> answers; // by status, of requests that could be understood
    std::uint64_t cut = 0;                // connections that were slow, or one too many
};

class HttpServer {
public:
    // From here on clients can connect; they are served after serve().
    [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(const ListenAddress &address,
                                                                    const HttpLimits &limits = {});
    HttpServer(const HttpServer &) = delete;
    HttpServer &operator=(const HttpServer &) = delete;
    ~HttpServer();

    // By a thread without privileges, until this object goes.
    [[nodiscard]] Result<void> serve(HttpPages pages);

    [[nodiscard]] const ListenAddress &address() const;
    [[nodiscard]] HttpCounts counts() const;

private:
    class Implementation;
    explicit HttpServer(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

} // namespace vethtrace
