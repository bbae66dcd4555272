// SPDX-License-Identifier: GPL-2.0-only
//
// TCP_RR: a client sends a request, the server answers it, and the client sends the next one when the answer is there.
// Each flow is a connection with a blocking thread at either end, in the namespaces that it is told.
#pragma once

#include "core/error.hpp"
#include "core/histogram.hpp"
#include "core/notes.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

struct LoadOptions {
    std::uint32_t flows = 1;
    std::uint32_t request_bytes = 1;
    std::uint32_t response_bytes = 1;
    int client_cpu = 0;
    int server_cpu = 0;
    std::chrono::milliseconds timeout = std::chrono::seconds(5); // longest wait for one answer
};

// One uninterrupted piece of load. The warm-up comes first and is not counted.
struct Stretch {
    std::uint64_t warmup = 0;            // transactions of all flows together
    std::optional<std::uint64_t> count;  // transactions of all flows together ...
    std::chrono::nanoseconds duration{}; // ... or, without a count, how long
    bool traced = false;
};

// A hop that ends in user space: its time, and how many tracing events of this CPU fell into it.
struct UserHop {
    Histogram time;
    std::uint64_t events = 0;
    std::uint64_t other_cpu = 0; // how often it began on another CPU; that one's events are not in `events`

    void merge(const UserHop &other) {
        time.merge(other.time);
        events += other.events;
        other_cpu += other.other_cpu;
    }
};

struct StretchResult {
    Histogram rtt;            // ns, from before send() to after recv(), by a clock of its own
    Nanoseconds duration = 0; // of the slowest flow

    // Only of a traced stretch, and of those transactions that are followed:
    Histogram followed_rtt;
    std::array<UserHop, layout::ENDS> wakeup; // by the end that wakes up
    UserHop application;                      // the server's time between recv() and send()
    std::uint64_t missed = 0;                 // messages whose data_ready was not seen

    // Adds a later stretch of the same load.
    void merge(const StretchResult &later);
};

struct FlowCookies {
    std::array<std::uint64_t, layout::ENDS> cookie;
};

class TcpRr {
public:
    // Connects all flows. `stop` ends a stretch early, between two transactions.
    [[nodiscard]] static Result<std::unique_ptr<TcpRr>> connect(int client_netns, int server_netns,
                                                                const std::string &server_address,
                                                                const LoadOptions &options,
                                                                const std::atomic<bool> &stop);
    TcpRr(const TcpRr &) = delete;
    TcpRr &operator=(const TcpRr &) = delete;
    // Closes the connections and waits for the threads; the server ends by itself.
    ~TcpRr();

    [[nodiscard]] const std::vector<FlowCookies> &cookies() const;

    // Where a traced stretch reads and leaves its notes; must outlive it.
    void set_notes(const Notes &notes);

    // Runs one stretch and waits for its end. Fails when the server does not answer in time.
    [[nodiscard]] Result<StretchResult> run(const Stretch &stretch);

private:
    class Implementation;
    explicit TcpRr(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

} // namespace vethtrace
