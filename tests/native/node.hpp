// SPDX-License-Identifier: GPL-2.0-only
//
// A node as `watch` finds one: a namespace that plays the host, with a bridge, and containers on it that are namespaces
// with a veth pair each. Container i has the address 10.99.0.i (and fd99::i), counted on in the third byte.
#pragma once

#include "native/native.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>

namespace vethtrace::test {

// For a program that watches: it would give up, since most of the memory is the sanitizer's.
inline void allow_sanitizers([[maybe_unused]] std::vector<std::string> &words) {
#ifdef __SANITIZE_ADDRESS__
    words.insert(words.end(), {"--max-memory", "4096"});
#endif
}

class Node {
public:
    // With a tag there can be several nodes.
    explicit Node(int containers, const std::string &tag = "") : prefix_(fmt::format("vtn{}{}", getpid(), tag)) {
        std::string script = fmt::format("ip netns add {0} && ip -n {0} link add br0 type bridge && "
                                         "ip -n {0} link set br0 up && ip -n {0} addr add 10.99.255.254/16 dev br0 && "
                                         "ip -n {0} link set lo up\n",
                                         host());
        run_script(script);
        for (int i = 1; i <= containers; ++i)
            add(i);
    }
    Node(const Node &) = delete;
    Node &operator=(const Node &) = delete;
    ~Node() { run_script(fmt::format("for n in $(ls /run/netns | grep '^{}-'); do ip netns del $n; done", prefix_)); }

    void add(int i) {
        run_script("ip netns add " + container(i));
        connect(i);
    }
    // A container that is there already, by one of its processes.
    void adopt(int i, pid_t pid) {
        run_script(fmt::format("ip netns attach {} {}", container(i), pid));
        connect(i);
    }
    void connect(int i) {
        run_script(fmt::format("ip -n {1} link add v{2} type veth peer name eth0 netns {0} && "
                               "ip -n {1} link set v{2} master br0 up && ip -n {0} link set lo up && "
                               "ip -n {0} addr add {3}/16 dev eth0 && "
                               "(ip -n {0} addr add fd99::{2}/64 dev eth0 nodad || true) && "
                               "ip -n {0} link set eth0 up\n",
                               container(i), host(), i, address(i)));
        last_ = std::max(last_, i);
    }
    void remove(int i) { run_script("ip netns del " + container(i)); }

    // From now on neither of them, nor the host, sends anything of its own accord to the other.
    void settle(int one, int other) const {
        std::string script;
        for (int i : {one, other})
            script +=
                fmt::format("ip netns exec {0} sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || true'; "
                            "ip netns exec {1} sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || true'; "
                            "ip -n {0} neigh replace {2} dev eth0 nud permanent lladdr "
                            "$(ip netns exec {3} cat /sys/class/net/eth0/address)\n",
                            container(i), host(), address(i == one ? other : one), container(i == one ? other : one));
        run_script(script);
    }

    [[nodiscard]] std::string host() const { return prefix_ + "-host"; }
    [[nodiscard]] std::string container(int i) const { return fmt::format("{}-{}", prefix_, i); }
    [[nodiscard]] static std::string address(int i) { return fmt::format("10.99.{}.{}", i / 200, i % 200 + 1); }

    // A command in a namespace.
    [[nodiscard]] static std::vector<std::string> in(const std::string &netns, const std::vector<std::string> &words) {
        std::vector<std::string> line = {"ip", "netns", "exec", netns};
        line.insert(line.end(), words.begin(), words.end());
        return line;
    }
    // Every packet is followed, however busy the machine is, unless the words say otherwise.
    [[nodiscard]] std::vector<std::string> watch_line(std::vector<std::string> words) const {
        if (std::find(words.begin(), words.end(), "--max-overhead") == words.end())
            words.insert(words.end(), {"--max-overhead", "100"});
        words.insert(words.begin(), "watch");
        return in(host(), vethtrace_line(words));
    }
    // What `watch` prints, of which every line follows the schema.
    [[nodiscard]] std::vector<nlohmann::json> watch(std::vector<std::string> words) const {
        words.emplace_back("--json");
        Finished finished = run(watch_line(words));
        EXPECT_EQ(finished.status, 0) << finished.err;
        return lines(finished.out);
    }
    [[nodiscard]] static std::vector<nlohmann::json> lines(const std::string &text) {
        std::vector<nlohmann::json> all;
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);) {
            nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
            if (json.is_discarded()) {
                ADD_FAILURE() << "no JSON: " << line;
                return {};
            }
            if (json["schema"] == "vethtrace.watch/2") {
                EXPECT_EQ(schema_errors("watch-2", json), "");
            }
            all.push_back(std::move(json));
        }
        return all;
    }

    // TCP_RR from one container to another until this object goes, or for so many transactions.
    [[nodiscard]] std::vector<std::string> client_line(int from, int to, const std::vector<std::string> &more) const {
        std::vector<std::string> words = {"rr", "run", address(to)};
        words.insert(words.end(), more.begin(), more.end());
        return in(container(from), vethtrace_line(words));
    }
    [[nodiscard]] std::unique_ptr<Process> serve(int i) const {
        auto server = std::make_unique<Process>(in(container(i), vethtrace_line({"rr", "serve"})));
        for (int tries = 0; tries < 200; ++tries) { // until it listens
            Finished sockets = run(in(container(i), {"sh", "-c", "grep -c ' 0A ' /proc/net/tcp /proc/net/tcp6"}));
            if (sockets.out.find(":1\n") != std::string::npos)
                break;
            usleep(10'000);
        }
        return server;
    }

    static void run_script(const std::string &script) {
        Finished finished = run({"sh", "-c", script});
        EXPECT_EQ(finished.status, 0) << script << finished.err;
    }

private:
    std::string prefix_;
    int last_ = 0;
};

} // namespace vethtrace::test
