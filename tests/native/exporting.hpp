// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace export` in a namespace that plays a node's host, and clients of it.
#pragma once

#include "native/node.hpp"
#include "netns/netns.hpp"
#include "support/http.hpp"
#include "support/metrics.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

namespace vethtrace::test {

// What `what` returns, by a thread inside that namespace.
template<typename What>
auto inside(const std::string &netns, const What &what) {
    std::optional<std::invoke_result_t<What>> result;
    std::thread([&] {
        Result<Netns> opened = Netns::open(netns);
        ASSERT_TRUE(opened) << netns;
        Result<InNamespace> entered = InNamespace::enter(opened->fd());
        ASSERT_TRUE(entered) << entered.error().text();
        entered->stay();
        result = what();
    }).join();
    return std::move(result.value());
}

class Exporting {
public:
    static constexpr std::uint16_t port = 9954;

    // `listens` is where, other than on loopback.
    Exporting(const std::string &host, std::vector<std::string> words, std::string listens = "127.0.0.1")
        : host_(host), address_(std::move(listens)) {
        words.insert(words.begin(), {"export", "--listen", fmt::format("{}:{}", address_, port)});
        allow_sanitizers(words);
        process_ = std::make_unique<Process>(Node::in(host, vethtrace_line(words)));
    }

    // Once it answers; it listens before it has anything to say.
    void expect_ready() const {
        for (int tries = 0; tries < 1000; ++tries) {
            if (get("/healthz").status == 200)
                return;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        ADD_FAILURE() << "does not answer";
    }

    [[nodiscard]] pid_t pid() const { return process_->pid(); }
    [[nodiscard]] const std::string &host() const { return host_; }
    [[nodiscard]] HttpAnswer get(const std::string &path) const {
        return inside(host_, [&] { return test::get(address_, port, path); });
    }
    [[nodiscard]] Metrics metrics() const {
        HttpAnswer answer = get("/metrics");
        EXPECT_EQ(answer.status, 200);
        return Metrics(answer.body);
    }
    [[nodiscard]] double windows() const { return metrics().value("vethtrace_windows_total"); }
    // After so many windows.
    [[nodiscard]] Metrics metrics_after(double windows) const {
        for (int tries = 0; tries < 1000; ++tries) {
            if (Metrics then = metrics(); then.value("vethtrace_windows_total") >= windows)
                return then;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        ADD_FAILURE() << "no window ends";
        return metrics();
    }
    // With all that has happened until now: one window is under way, and one may be being closed.
    [[nodiscard]] Metrics metrics_after_now() const { return metrics_after(windows() + 2); }
    [[nodiscard]] Finished stop() {
        process_->signal(SIGTERM);
        return process_->wait();
    }

private:
    std::string host_;
    std::string address_;
    std::unique_ptr<Process> process_;
};

} // namespace vethtrace::test
