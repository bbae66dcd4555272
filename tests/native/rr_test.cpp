// SPDX-License-Identifier: GPL-2.0-only
//
// The load generator alone: over loopback, and between two namespaces of a kept lab.
#include "core/fd.hpp"
#include "native/native.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

Fd connected_to(std::uint16_t port) {
    Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(port);
    if (connect(client.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
        return Fd();
    return client;
}

// A server on a port of its own.
class Rr : public testing::Test {
protected:
    void SetUp() override { start(); }

    void start() {
        server_ = std::make_unique<Process>(vethtrace_line({"rr", "serve", "--port", port()}));
        for (int i = 0; i < 200 && !connected_to(port_); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }

    [[nodiscard]] std::string port() const { return std::to_string(port_); }
    [[nodiscard]] std::vector<std::string> line(std::vector<std::string> more,
                                                const std::string &server = "127.0.0.1") const {
        std::vector<std::string> words = {"rr", "run", server, "--port", port()};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }

    std::uint16_t port_ = static_cast<std::uint16_t>(20000 + getpid() % 10000);
    std::unique_ptr<Process> server_;
};

TEST_F(Rr, CountsItsTransactions) {
    Finished finished = vethtrace(line({"-c", "1000", "--json"}));
    ASSERT_EQ(finished.status, 0) << finished.err;
    Json json = Json::parse(finished.out);
    EXPECT_EQ(schema_errors("rr-1", json), "");
    EXPECT_EQ(json["load"]["transactions"], 1000);
    EXPECT_EQ(json["load"]["rtt"]["count"], 1000);
    EXPECT_GT(json["load"]["rtt"]["mean_ns"], 0);
    EXPECT_FALSE(json["interrupted"]);
    Finished shown = vethtrace(line({"-c", "1000"}));
    EXPECT_NE(shown.out.find("1,000 transactions"), std::string::npos) << shown.out;
}

TEST_F(Rr, HasFlowsAndMessagesOfAnySize) {
    Finished finished =
        vethtrace(line({"--flows", "8", "--request", "4096", "--response", "100000", "-d", "0.3", "--json"}));
    ASSERT_EQ(finished.status, 0) << finished.err;
    Json load = Json::parse(finished.out)["load"];
    EXPECT_EQ(load["flows"], 8);
    EXPECT_GE(load["transactions"], 8);
    EXPECT_GE(load["duration_ns"], 290'000'000);
}

TEST_F(Rr, SpeaksIpv6AndResolvesNames) {
    if (run({"sh", "-c", "grep -qs 0 /proc/sys/net/ipv6/conf/lo/disable_ipv6"}).status == 0) {
        Finished finished = vethtrace(line({"-c", "100"}, "::1"));
        EXPECT_EQ(finished.status, 0) << finished.err;
    }
    Finished finished = vethtrace(line({"-c", "100"}, "localhost"));
    EXPECT_EQ(finished.status, 0) << finished.err;
    Finished unknown = vethtrace(line({"-c", "100"}, "no.such.host.invalid"));
    EXPECT_EQ(unknown.status, 1);
    EXPECT_NE(unknown.err.find("no.such.host.invalid"), std::string::npos) << unknown.err;
}

TEST_F(Rr, SurvivesWhatIsNoClientOfIts) {
    for (const std::string &nonsense : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(16, '\xff'),
                                        std::string("vt-rr/1\n\xff\xff\xff\xff\xff\xff\xff\xff"), std::string("x")}) {
        Fd client = connected_to(port_);
        ASSERT_TRUE(client);
        EXPECT_GT(send(client.get(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL), 0);
        shutdown(client.get(), SHUT_WR);
        char answer = 0;
        EXPECT_LE(recv(client.get(), &answer, 1, 0), 0) << "no echo for strangers";
    }
    EXPECT_EQ(vethtrace(line({"-c", "100"})).status, 0);
}

TEST_F(Rr, SaysWhatIsWrongWithItsServer) {
    Finished second = vethtrace({"rr", "serve", "--port", port()});
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.err.find("--port"), std::string::npos) << second.err;

    server_->signal(SIGTERM);
    EXPECT_EQ(server_->wait().status, 0);
    Finished refused = vethtrace(line({"-c", "100"}));
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("`vethtrace rr serve` must run there"), std::string::npos) << refused.err;

    // Somebody else's service, which hangs up.
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(port_);
    int on = 1;
    (void)setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    std::thread stranger([&] { Fd accepted(accept(listener.get(), nullptr, nullptr)); });
    Finished other = vethtrace(line({"-c", "100"}));
    stranger.join();
    EXPECT_EQ(other.status, 1);
    EXPECT_NE(other.err.find("is no `vethtrace rr serve`"), std::string::npos) << other.err;
}

TEST_F(Rr, GivesUpOnAServerThatStalls) {
    Process client(vethtrace_line(line({"-d", "60", "--timeout", "0.5"})));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    server_->signal(SIGSTOP);
    Finished finished = client.wait();
    server_->signal(SIGCONT);
    EXPECT_EQ(finished.status, 1);
    EXPECT_NE(finished.err.find("has not answered for 500 ms"), std::string::npos) << finished.err;
}

TEST_F(Rr, WhenStoppedShowsWhatItHas) {
    Process client(vethtrace_line(line({"-d", "60", "--json"})));
    std::this_thread::sleep_for(std::chrono::seconds(1));
    client.signal(SIGINT);
    Finished finished = client.wait();
    EXPECT_EQ(finished.status, 0) << finished.err;
    Json json = Json::parse(finished.out);
    EXPECT_TRUE(json["interrupted"]);
    EXPECT_GT(json["load"]["transactions"], 0);
}

using RrInLab = Native;

TEST_F(RrInLab, RunsBetweenTwoNamespaces) {
    KeptLab lab;
    Process server(vethtrace_line({"lab", "exec", "peer", VETHTRACE_BINARY, "rr", "serve"}));
    Finished finished;
    for (int i = 0; i < 100; ++i) { // until it listens
        finished = vethtrace({"lab", "exec", "container", VETHTRACE_BINARY, "rr", "run", "198.18.2.2", "-c", "1000"});
        if (finished.status == 0)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_NE(finished.out.find("to 198.18.2.2, port 12866"), std::string::npos) << finished.out;
    server.signal(SIGINT);
    EXPECT_EQ(server.wait().status, 0);
}

} // namespace
} // namespace vethtrace::test
