// SPDX-License-Identifier: GPL-2.0-only
#include "run/netfilter.hpp"

#include "lab/counting.hpp"
#include "lab/lab.hpp"

#include <chrono>
#include <optional>
#include <thread>

namespace vethtrace {

namespace {

using Counts = std::vector<CountingRules::Count>;

struct Reading {
    Counts client;
    Counts host;
};

// Both at a time when no packet is under way: the end of a connection, and its last acknowledgements, take a while.
Result<Reading> read_settled(const CountingRules &client, const CountingRules &host) {
    constexpr int tries = 40;
    constexpr std::chrono::milliseconds pause(50);
    for (int i = 0; i < tries; ++i) {
        Result<Counts> before = client.read();
        std::this_thread::sleep_for(pause);
        Result<Counts> at_host = host.read();
        Result<Counts> after = client.read();
        for (const Result<Counts> *read : {&before, &at_host, &after})
            if (!*read)
                return tl::unexpected(read->error());
        if (*before == *after)
            return Reading{std::move(*after), std::move(*at_host)};
    }
    return fail("nftables (counting rules)", "packets do not cease to come after the connection was closed");
}

} // namespace

Result<NetfilterCount> count_netfilter(Mode mode, Topology topology, const LoadOptions &load,
                                       std::uint64_t transactions, const std::atomic<bool> &stop) {
    Result<std::unique_ptr<Lab>> lab = Lab::build(mode, topology);
    if (!lab)
        return tl::unexpected(lab.error());
    // Rules come after the connection: on a busy machine a lab that was just built may lose the answer to the first SYN
    // behind the host, before the container's device has it, and that packet would be seen on one side only.
    Result<std::unique_ptr<TcpRr>> rr =
        TcpRr::connect((*lab)->client().fd(), (*lab)->server().fd(), (*lab)->server_address(), load, stop);
    if (!rr)
        return tl::unexpected(rr.error());
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
    Result<StretchResult> ran = (*rr)->run({0, transactions});
    rr->reset(); // closes the connection
    if (!ran)
        return tl::unexpected(ran.error());

    NetfilterCount result;
    result.transactions = ran->rtt.count();
    Result<Reading> reading = read_settled(container ? *container : *host, *host);
    if (!reading)
        return tl::unexpected(reading.error());
    for (const CountingRules::Count &count : reading->host)
        result.host.push_back({count.hook, count.to_server, count.from_server});
    for (const CountingRules::Count &count : reading->client) {
        if (count.hook == "output")
            result.sent = count.to_server;
        if (count.hook == "input")
            result.received = count.from_server;
    }
    return result;
}

} // namespace vethtrace
