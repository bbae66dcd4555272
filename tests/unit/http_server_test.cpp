// SPDX-License-Identifier: GPL-2.0-only
//
// The exporter's server on loopback, with good clients and bad ones.
#include "export/http_server.hpp"

#include "export/own_cost.hpp"
#include "support/http.hpp"
#include "watch/overhead.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <random>
#include <thread>
#include <vector>

namespace vethtrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ask;
using test::get;
using test::HttpAnswer;
using Clock = std::chrono::steady_clock;

constexpr const char *loopback = "127.0.0.1";

class HttpServerTest : public testing::Test {
protected:
    void start(const HttpLimits &limits = {}) {
        server_.reset();
        auto listening = HttpServer::listen(*parse_listen_address("127.0.0.1:0"), limits);
        ASSERT_TRUE(listening) << listening.error().text();
        server_ = std::move(*listening);
        ASSERT_TRUE(server_->serve([this](const std::string &path) -> std::optional<HttpPage> {
            if (path != "/metrics")
                return std::nullopt;
            return HttpPage{200, "text/plain; version=0.0.4", page_};
        }));
        port_ = ntohs(reinterpret_cast<const sockaddr_in *>(&server_->address().address)->sin_port);
    }

    [[nodiscard]] HttpAnswer scrape() const { return get(loopback, port_, "/metrics"); }
    [[nodiscard]] Fd connect() const { return test::connect_to(loopback, port_); }

    // As long as others do their worst, scrapes are answered within a second, and whole. On a machine that is busy with
    // something else a single one may take longer.
    void expect_scrapes(int times) {
        for (int i = 0; i < times; ++i) {
            Clock::time_point begun = Clock::now();
            HttpAnswer answer = scrape();
            late_ += Clock::now() - begun > seconds(1) ? 1 : 0;
            EXPECT_EQ(answer.status, 200) << i;
            EXPECT_EQ(answer.body.size(), page_->size()) << i;
        }
        EXPECT_LE(late_, 1);
    }

    int late_ = 0;
    std::shared_ptr<const std::string> page_ = std::make_shared<const std::string>("up 1\n");
    std::unique_ptr<HttpServer> server_;
    std::uint16_t port_ = 0;
};

TEST_F(HttpServerTest, ShowsItsPageAndNothingElse) {
    start();
    HttpAnswer answer = scrape();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "up 1\n");
    EXPECT_EQ(answer.headers["content-type"], "text/plain; version=0.0.4");
    EXPECT_EQ(answer.headers["content-length"], "5");
    EXPECT_EQ(answer.headers["connection"], "close");

    HttpAnswer head = ask(loopback, port_, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers["content-length"], "5");
    EXPECT_EQ(head.body, "");

    for (const char *path : {"/", "/metrics/", "//metrics", "/metrics?x=1", "/metrics?", "/%6detrics", "/../metrics",
                             "http://x/metrics", "*", "/metrics%00", "/metrics#x"})
        EXPECT_EQ(get(loopback, port_, path).status, 404) << path;
    EXPECT_EQ(server_->counts().answers, (std::map<int, std::uint64_t>{{200, 2}, {404, 11}}));
}

TEST_F(HttpServerTest, RefusesWhateverIsNotReading) {
    start();
    for (const char *method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"}) {
        HttpAnswer answer = ask(loopback, port_, std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(answer.status, 405) << method;
        EXPECT_EQ(answer.headers["allow"], "GET, HEAD") << method;
    }
    for (const char *header : {"Content-Length: 5\r\n\r\nhello", "Content-Length: 99999999999\r\n\r\n",
                               "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"})
        EXPECT_EQ(ask(loopback, port_, std::string("GET /metrics HTTP/1.1\r\nHost: x\r\n") + header).status, 400)
            << header;
}

TEST_F(HttpServerTest, AnswersOneRequestOfAConnection) {
    start();
    Fd socket = connect();
    std::string twice = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    ASSERT_TRUE(test::send_some(socket, twice + twice));
    std::string all = test::receive_all(socket);
    EXPECT_EQ(test::parse_answer(all).body, "up 1\n") << "and not a second answer after it";
}

TEST_F(HttpServerTest, TellsAPortThatIsTaken) {
    start();
    auto second = HttpServer::listen(server_->address());
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().text().find("127.0.0.1:"), std::string::npos);
    EXPECT_EQ(second.error().hint, "--listen chooses another one");
}

TEST_F(HttpServerTest, LosesPatienceWithAClientThatAsksForNothing) {
    start({.connections = 32, .for_request = milliseconds(200), .for_all = milliseconds(400)});
    Fd silent = connect();
    Fd trickling = connect();
    for (const char *bytes : {"GE", "T /metr", "ics HTTP/1.1\r\n"}) {
        ASSERT_TRUE(test::send_some(trickling, bytes));
        std::this_thread::sleep_for(milliseconds(30));
    }
    EXPECT_TRUE(test::closes(silent, seconds(5)));
    EXPECT_TRUE(test::closes(trickling, seconds(5)));
    for (int tries = 0; tries < 500 && server_->counts().cut < 2; ++tries) // it is counted after it was closed
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(server_->counts().cut, 2);
}

TEST_F(HttpServerTest, LosesPatienceWithAClientThatDoesNotTakeItsAnswer) {
    page_ = std::make_shared<const std::string>(std::size_t{20} << 20, 'x');
    start({.connections = 32, .for_request = milliseconds(200), .for_all = milliseconds(400)});
    Fd slow = connect();
    ASSERT_TRUE(test::send_some(slow, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int tries = 0; tries < 500 && server_->counts().cut == 0; ++tries)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(server_->counts().cut, 1);
    EXPECT_LT(test::receive_all(slow).size(), page_->size());
}

TEST_F(HttpServerTest, GoesOnUnderTwoHundredSlowClients) {
    page_ = std::make_shared<const std::string>(std::size_t{4} << 20, 'x');
    start();
    expect_scrapes(1);
    malloc_trim(0);
    std::uint64_t descriptors = read_own_cost().descriptors;
    [[maybe_unused]] std::uint64_t resident = resident_bytes();
    auto begun = Clock::now();
    {
        std::vector<Fd> clients;
        for (int i = 0; i < 200; ++i) {
            clients.push_back(connect());
            ASSERT_TRUE(clients.back()) << i;
            // Nothing at all; half a request; a request, whose answer nobody takes.
            if (i % 3 == 1)
                (void)test::send_some(clients.back(), "GET /metrics HTTP/1.1\r\nHost: ");
            else if (i % 3 == 2)
                (void)test::send_some(clients.back(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        for (int round = 0; round < 3; ++round) {
            for (const Fd &client : clients)
                (void)test::send_some(client, "x");
            expect_scrapes(2);
        }
        // No more connections are open than may be, the clients' own ends beside them.
        EXPECT_LE(read_own_cost().descriptors, descriptors + 200 + HttpLimits().connections + 1);
    }
    expect_scrapes(1);
    // Those of the clients that had asked may still be there, until their time is up.
    for (int tries = 0; tries < 1500 && read_own_cost().descriptors > descriptors; ++tries)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_LE(read_own_cost().descriptors, descriptors);
#ifndef __SANITIZE_ADDRESS__ // keeps freed memory
    malloc_trim(0);
    EXPECT_LT(resident_bytes(), resident + (std::size_t{8} << 20));
#endif
    EXPECT_GE(server_->counts().cut, 168);
    RecordProperty("seconds", std::to_string(std::chrono::duration<double>(Clock::now() - begun).count()));
}

// A request with something wrong in it, another one each time.
class Malformed {
public:
    std::string next() {
        std::string text = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
        switch (pick(8)) {
        case 0: // bytes that are anything
            text.assign(pick(300), '\0');
            std::generate(text.begin(), text.end(), [&] { return static_cast<char>(pick(256)); });
            break;
        case 1: // some of its bytes are others
            for (std::size_t i = 0, count = 1 + pick(8); i < count; ++i)
                text[pick(text.size())] = static_cast<char>(pick(256));
            break;
        case 2: // it ends early
            text.resize(pick(text.size()));
            break;
        case 3: // a part of it is there many times
            text.insert(pick(text.size()), std::string(pick(20'000), static_cast<char>(pick(256))));
            break;
        case 4: // many headers
            for (std::size_t i = 0, count = pick(2000); i < count; ++i)
                text.insert(text.size() - 2, "a:\r\n");
            break;
        case 5: // lengths that are none
            text = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                   std::vector<std::string>{"-1", "99999999999999999999", "0x10", "1,2", " ", "\r\n 5"}[pick(6)] +
                   "\r\n\r\nbody";
            break;
        case 6: // chunks that are none
            text =
                "PUT /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                std::vector<std::string>{"zz\r\n", "ffffffffffffffffff\r\n", "5\r\nhell", "-1\r\n", ";\r\n"}[pick(5)];
            break;
        default: // versions and lines that are none
            text = std::vector<std::string>{"GET /metrics HTTP/9.9\r\n\r\n",
                                            "GET /metrics\r\n\r\n",
                                            "GET\r\n\r\n",
                                            "\r\n\r\n\r\n",
                                            "GET  /metrics  HTTP/1.1\r\n\r\n",
                                            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                            "GET /metrics HTTP/1.1\r\n Host: x\r\n\r\n",
                                            "GET /metrics HTTP/1.1\nHost: x\n\n",
                                            "GET /%zz%%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                                            "GET /metrics HTTP/1.1\r\nHost\r\n: \r\n\r\n"}[pick(10)];
        }
        return text;
    }

private:
    std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

    std::mt19937 random_{20240229}; // the same each time
};

TEST_F(HttpServerTest, OutlivesTenThousandMalformedRequests) {
    start();
    expect_scrapes(1);
    std::uint64_t descriptors = read_own_cost().descriptors;
    [[maybe_unused]] std::uint64_t resident = resident_bytes();
    constexpr int all = 10'000;
    constexpr std::size_t at_once = 100;
    Malformed malformed;
    std::vector<Fd> clients;
    for (int i = 0; i < all; ++i) {
        if (clients.size() == at_once)
            clients.clear();
        clients.push_back(connect());
        ASSERT_TRUE(clients.back()) << i;
        (void)test::send_some(clients.back(), malformed.next());
        if (i % 1000 == 0)
            expect_scrapes(1);
    }
    clients.clear();
    expect_scrapes(1);
    for (int tries = 0; tries < 1500 && read_own_cost().descriptors > descriptors; ++tries)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_LE(read_own_cost().descriptors, descriptors);
#ifndef __SANITIZE_ADDRESS__
    malloc_trim(0);
    EXPECT_LT(resident_bytes(), resident + (std::size_t{8} << 20));
#endif
    std::map<int, std::uint64_t> answers = server_->counts().answers;
    EXPECT_GT(answers[405] + answers[400] + answers[404], 500) << "some of them are requests that can be understood";
}

} // namespace
} // namespace vethtrace
