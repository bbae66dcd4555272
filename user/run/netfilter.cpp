// SPDX-License-Identifier: GPL-2.0-only
#include "run/netfilter.hpp"

#include "lab/counting.hpp"
#include "lab/lab.hpp"

#include <chrono>
#include <optional>
#include <thread>

namespace vethtrace {

namespace {

// Once nothing is added any more: the end of a connection takes a moment.
Result<std::vector<CountingRules::Count>> read_settled(const CountingRules &rules) {
    constexpr int tries = 50;
    constexpr std::chrono::milliseconds pause(20);
    Result<std::vector<CountingRules::Count>> before = rules.read();
    for (int i = 0; i < tries && before; ++i) {
        std::this_thread::sleep_for(pause);
        Result<std::vector<CountingRules::Count>> now = rules.read();
        if (!now || *now == *before)
            return now;
        before = std::move(now);
    }
    return before;
}

} // namespace

Result<NetfilterCount> count_netfilter(Mode mode, Topology topology, const LoadOptions &load,
                                       std::uint64_t transactions, const std::atomic<bool> &stop) {
    Result<std::unique_ptr<Lab>> lab = Lab::build(mode, topology);
    if (!lab)
        return tl::unexpected(lab.error());
    Result<CountingRules> host = CountingRules::install((*lab)->host().fd(), (*lab)->server_address());
    if (!host)
        return tl::unexpected(host.error());
    // In mode host the two are one namespace, which is counted already.
    std::optional<CountingRules> container;
    if (mode != Mode::host) {
        Result<CountingRules> installed = CountingRules::install((*lab)->client().fd(), (*lab)->server_address());
        if (!installed)
            return tl::unexpected(installed.error());
        container = std::move(*installed);
    }

    Result<std::unique_ptr<TcpRr>> rr =
        TcpRr::connect((*lab)->client().fd(), (*lab)->server().fd(), (*lab)->server_address(), load, stop);
    if (!rr)
        return tl::unexpected(rr.error());
    Result<StretchResult> ran = (*rr)->run({0, transactions});
    rr->reset(); // closes the connection: no packet comes after
    if (!ran)
        return tl::unexpected(ran.error());

    NetfilterCount result;
    result.transactions = ran->rtt.count();
    Result<std::vector<CountingRules::Count>> at_client = read_settled(container ? *container : *host);
    Result<std::vector<CountingRules::Count>> at_host = host->read();
    if (!at_host)
        return tl::unexpected(at_host.error());
    if (!at_client)
        return tl::unexpected(at_client.error());
    for (const CountingRules::Count &count : *at_host)
        result.host.push_back({count.hook, count.to_server, count.from_server});
    for (const CountingRules::Count &count : *at_client) {
        if (count.hook == "output")
            result.sent = count.to_server;
        if (count.hook == "input")
            result.received = count.from_server;
    }
    return result;
}

} // namespace vethtrace
