// SPDX-License-Identifier: GPL-2.0-only
//
// A real Prometheus with the rules of tools/deploy, for as long as this object lives.
#pragma once

#include "native/exporting.hpp"

#include <arpa/inet.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

namespace vethtrace::test {

class Prometheus {
public:
    struct Value {
        std::map<std::string, std::string> labels;
        double value = 0;
    };

    // `targets` as ADDRESS:PORT. Without a namespace it is on the machine's own loopback.
    explicit Prometheus(const std::vector<std::string> &targets, std::string netns = "") : netns_(std::move(netns)) {
        std::filesystem::create_directories(directory_);
        std::ofstream config(directory_ / "prometheus.yml");
        config << "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
               << "rule_files: [" << VETHTRACE_DEPLOY << "/prometheus/vethtrace.rules.yml]\n"
               << "scrape_configs:\n- job_name: vethtrace\n  static_configs:\n  - targets: [";
        for (const std::string &target : targets)
            config << "'" << target << "', ";
        config << "]\n";
        config.close();
        port_ = within([] { return free_port(); });
        std::vector<std::string> line = {"prometheus", "--config.file=" + (directory_ / "prometheus.yml").string(),
                                         "--storage.tsdb.path=" + (directory_ / "data").string(),
                                         fmt::format("--web.listen-address=127.0.0.1:{}", port_), "--log.level=warn"};
        process_ = std::make_unique<Process>(netns_.empty() ? line : Node::in(netns_, line));
    }
    Prometheus(const Prometheus &) = delete;
    Prometheus &operator=(const Prometheus &) = delete;
    ~Prometheus() {
        process_->signal(SIGTERM);
        (void)process_->wait();
        std::filesystem::remove_all(directory_);
    }

    [[nodiscard]] std::vector<Value> query(const std::string &expression) const {
        // By HTTP/1.0, so that the answer is in one piece.
        HttpAnswer answer = within([&] {
            return ask("127.0.0.1", port_,
                       fmt::format("GET /api/v1/query?query={} HTTP/1.0\r\n\r\n", url_encoded(expression)));
        });
        if (answer.status == 0 || answer.status == 503)
            return {}; // it is not ready yet
        EXPECT_EQ(answer.status, 200) << expression << "\n" << answer.body;
        nlohmann::json json = nlohmann::json::parse(answer.body, nullptr, false);
        EXPECT_FALSE(json.is_discarded()) << answer.body;
        std::vector<Value> values;
        if (answer.status != 200 || json.is_discarded())
            return values;
        EXPECT_EQ(json["data"]["resultType"], "vector") << expression;
        for (const nlohmann::json &one : json["data"]["result"])
            values.push_back({one["metric"], std::stod(one["value"][1].get<std::string>())});
        return values;
    }
    // Of a query with a single result; null: it has none, or several.
    [[nodiscard]] std::optional<double> number(const std::string &expression) const {
        std::vector<Value> values = query(expression);
        return values.size() == 1 ? std::optional(values.front().value) : std::nullopt;
    }
    // Until the query has this result.
    void await(const std::string &expression, double wanted) const {
        std::optional<double> now;
        for (int tries = 0; tries < 600; ++tries) {
            if (now = number(expression); now && *now == wanted)
                return;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        ADD_FAILURE() << expression << " is " << now.value_or(std::nan("")) << ", and not " << wanted;
    }
    // Until what is scraped now has been through the rules.
    void await_rules(const std::string &recorded) const {
        double now = number("vector(time())").value_or(0);
        for (int tries = 0; tries < 300; ++tries) {
            std::optional<double> evaluated = number("min(timestamp(" + recorded + "))");
            if (evaluated && *evaluated > now + 1)
                return;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        ADD_FAILURE() << recorded << " is not recorded";
    }

private:
    template<typename What>
    std::invoke_result_t<What> within(const What &what) const {
        return netns_.empty() ? what() : inside(netns_, what);
    }

    static std::uint16_t free_port() {
        Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in any = {};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(any);
        EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr *>(&any), size), 0);
        EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr *>(&any), &size), 0);
        return ntohs(any.sin_port);
    }

    std::string netns_;
    std::filesystem::path directory_ = testing::TempDir() + fmt::format("prometheus-{}", getpid());
    std::uint16_t port_ = 0;
    std::unique_ptr<Process> process_;
};

// The bucket of `vethtrace_hop_latency_seconds` that holds a latency, as everybody's bounds are.
struct Octave {
    double low = 0;
    double high = 0;
    [[nodiscard]] double width() const { return high - low; }
};
inline Octave octave_of(double seconds) {
    constexpr double ns = 1e9;
    double high = 127;
    while (high < seconds * ns)
        high = 2 * high + 1;
    return {high > 127 ? (high - 1) / 2 / ns : 0, high / ns};
}

} // namespace vethtrace::test
