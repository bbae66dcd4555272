// SPDX-License-Identifier: GPL-2.0-only
//
// The tables are those of a 6.18 on which each of these sockets was made; `ss -tuna` says the same of them.
#include "watch/unread.hpp"

#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

namespace vethtrace {
namespace {

namespace fs = std::filesystem;

// 7777 listens, full; 8080 listens and has 5 bytes from 43924; from 43942 10 and the end; from 43928 the end alone.
const std::string tcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode   \n"
    "   0: 0100007F:1E61 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 94063 2 0 100 0 0 10 "
    "0\n"
    "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 94046 1 0 100 0 0 10 "
    "0\n"
    "   2: 0100007F:AB94 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 94047 1 0 20 0 0 11 "
    "-1\n"
    "   7: 0100007F:AB5A 0100007F:1E61 02 00000001:00000000 01:00000042 00000002     0        0 94065 2 0 100 0 0 1 "
    "-1\n"
    "  10: 0100007F:1F90 0100007F:AB94 01 00000000:00000005 00:00000000 00000000     0        0 94048 1 0 20 4 30 10 "
    "-1\n"
    "  12: 0100007F:1F90 0100007F:ABA6 08 00000000:0000000B 00:00000000 00000000     0        0 94052 1 0 20 4 28 10 "
    "-1\n"
    "  13: 0100007F:1F90 0100007F:AB98 08 00000000:00000001 00:00000000 00000000     0        0 94050 1 0 20 4 0 10 "
    "-1\n";
// 8081 of ::1 has 300 bytes from 50976; 8082 of ::ffff:127.0.0.1 has 7 from 49178.
const std::string tcp6 = "  sl  local_address                         remote_address                        st "
                         "tx_queue rx_queue tr tm->when\n"
                         "   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A "
                         "00000000:00000000 00:00000000\n"
                         "   2: 00000000000000000000000001000000:1F91 00000000000000000000000001000000:C720 01 "
                         "00000000:0000012C 00:00000000\n"
                         "   3: 00000000000000000000000001000000:C720 00000000000000000000000001000000:1F91 01 "
                         "00000000:00000000 00:00000000\n"
                         "   4: 0000000000000000FFFF00000100007F:1F92 0000000000000000FFFF00000100007F:C01A 01 "
                         "00000000:00000007 00:00000000\n";
// 5353 has one datagram; 47741 sends only.
const std::string udp =
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer "
    "drops\n"
    " 8476: 00000000:BA7D 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 94060 2 0 0         \n"
    "15240: 0100007F:14E9 00000000:0000 07 00000000:00000340 00:00000000 00000000     0        0 94059 2 0 0         "
    "\n";
// 5354 has two; 51863 is connected to it.
const std::string udp6 = "  sl  local_address                         remote_address                        st "
                         "tx_queue rx_queue tr tm->when\n"
                         "12598: 00000000000000000000000001000000:CA97 00000000000000000000000001000000:14EA 01 "
                         "00000000:00000000 00:00000000\n"
                         "15241: 00000000000000000000000000000000:14EA 00000000000000000000000000000000:0000 07 "
                         "00000000:00000680 00:00000000\n";

TEST(Unread, ListsConnectionsWithTheBytesThatWait) {
    std::vector<SocketLine> expected = {{{IPPROTO_TCP, 43924, 8080}, 0},
                                        {{IPPROTO_TCP, 43866, 7777}, 0},
                                        {{IPPROTO_TCP, 8080, 43924}, 5},
                                        {{IPPROTO_TCP, 8080, 43942}, 10},
                                        {{IPPROTO_TCP, 8080, 43928}, 0}};
    EXPECT_EQ(parse_sockets(tcp, IPPROTO_TCP), expected) << "no listeners, and an end of stream is not data";
}

TEST(Unread, ReadsIpv6AndMappedAddresses) {
    std::vector<SocketLine> expected = {
        {{IPPROTO_TCP, 8081, 50976}, 300}, {{IPPROTO_TCP, 50976, 8081}, 0}, {{IPPROTO_TCP, 8082, 49178}, 7}};
    EXPECT_EQ(parse_sockets(tcp6, IPPROTO_TCP), expected);
    expected = {{{IPPROTO_UDP, 51863, 5354}, 0}, {{IPPROTO_UDP, 5354, 0}, 1664}};
    EXPECT_EQ(parse_sockets(udp6, IPPROTO_UDP), expected);
}

TEST(Unread, SkipsALineThatIsCutOff) {
    std::string cut = tcp.substr(0, tcp.size() - 3);
    EXPECT_EQ(parse_sockets(cut, IPPROTO_TCP).size(), 4);
    EXPECT_TRUE(parse_sockets("", IPPROTO_TCP).empty());
    EXPECT_TRUE(parse_sockets("no table\n\n: : :\n", IPPROTO_UDP).empty());
}

TEST(Unread, FindsASocketByItsPorts) {
    std::vector<SocketLine> sockets = parse_sockets(udp, IPPROTO_UDP);
    sockets.push_back({{IPPROTO_TCP, 8080, 43924}, 5});
    sockets.push_back({{IPPROTO_UDP, 53, 1000}, 9});
    const std::array<SocketPorts, 6> asked = {{{IPPROTO_UDP, 5353, 47741},
                                               {IPPROTO_UDP, 5354, 47741},
                                               {IPPROTO_TCP, 8080, 43924},
                                               {IPPROTO_TCP, 8080, 43925},
                                               {IPPROTO_TCP, 5353, 47741},
                                               {IPPROTO_UDP, 53, 1001}}};
    std::vector<std::uint64_t> expected = {832, 0, 5, 0, 0, 0};
    EXPECT_EQ(unread_bytes(sockets, asked), expected) << "one that is not connected takes from any peer";
}

class UnreadOf : public testing::Test {
protected:
    UnreadOf() : top_(fs::path(testing::TempDir()) / fmt::format("unread.{}", getpid())) {
        fs::remove_all(top_);
        put("ns/net", "");
        target_.pid = 7;
        target_.netns = namespace_inode(roots(), top_ / "7/ns/net");
    }
    ~UnreadOf() override { fs::remove_all(top_); }

    void put(const std::string &name, const std::string &text) {
        fs::create_directories((top_ / "7" / name).parent_path());
        std::ofstream(top_ / "7" / name) << text;
    }
    [[nodiscard]] Roots roots() const { return {.proc = top_, .any_file = true}; }

    fs::path top_;
    Target target_;
};

TEST_F(UnreadOf, ATargetIsReadFromAllItsTables) {
    put("net/tcp", tcp);
    put("net/tcp6", tcp6);
    put("net/udp", udp); // and no IPv6 for it
    const std::array<SocketPorts, 4> asked = {
        {{IPPROTO_TCP, 8080, 43924}, {IPPROTO_TCP, 8082, 49178}, {IPPROTO_UDP, 5353, 9}, {IPPROTO_UDP, 5354, 9}}};
    auto bytes = read_unread(roots(), target_, asked);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, (std::vector<std::optional<std::uint64_t>>{5, 7, 832, 0}));
}

TEST_F(UnreadOf, WhatLiesBeyondTheBoundIsNotCalledRead) {
    std::string table = tcp;
    std::string line =
        "  99: 0100007F:0001 0100007F:0002 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n";
    while (table.size() < (2U << 20U))
        table += line;
    put("net/tcp", table + "  14: 0100007F:0051 0100007F:0052 01 00000000:00000003 00:00000000 00000000  0 0 1 1 0\n");
    const std::array<SocketPorts, 2> asked = {{{IPPROTO_TCP, 8080, 43924}, {IPPROTO_TCP, 0x51, 0x52}}};
    auto bytes = read_unread(roots(), target_, asked);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->at(0), 5);
    EXPECT_EQ(bytes->at(1), std::nullopt);
}

TEST_F(UnreadOf, ANamespaceWithoutItsProcessIsNotKnown) {
    put("net/tcp", tcp);
    const std::array<SocketPorts, 1> asked = {{{IPPROTO_TCP, 8080, 43924}}};
    Target other = target_;
    other.netns += 1; // the number is another process's now
    EXPECT_FALSE(read_unread(roots(), other, asked));
    other.pid = 0;
    EXPECT_FALSE(read_unread(roots(), other, asked));
    fs::remove_all(top_ / "7/net"); // it has just ended
    EXPECT_FALSE(read_unread(roots(), target_, asked));
}

} // namespace
} // namespace vethtrace
