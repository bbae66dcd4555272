// SPDX-License-Identifier: GPL-2.0-only
#include "cli/watch_options.hpp"

#include "cli/validators.hpp"
#include "core/units.hpp"
#include "input/filter.hpp"
#include "input/target.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <netinet/in.h>

namespace vethtrace {

namespace {

std::chrono::nanoseconds seconds(double number) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(number));
}

// Each word by `parse`, into `into`; the first that is wrong is the error.
template<typename Parse, typename Value>
Result<void> parse_each(const std::vector<std::string> &words, Parse parse, std::vector<Value> &into) {
    for (const std::string &word : words) {
        auto value = parse(word);
        if (!value)
            return tl::unexpected(value.error());
        into.push_back(std::move(*value));
    }
    return {};
}

} // namespace

void WatchParser::describe(CLI::App &app) {
    constexpr std::size_t most_slowest = 8;
    describe_traffic(app, "--max-series");
    app.add_option("--by", by_, "what the table is grouped by")
        ->check(CLI::IsMember({"container", "interface", "cpu", "direction"}))
        ->capture_default_str();
    app.add_option("--slowest", plan_.watch.slowest, "show this many of the slowest packets of each window")
        ->type_name("K")
        ->check(within(std::size_t{0}, most_slowest))
        ->capture_default_str();
    app.add_option("--slower-than", slower_than_, "print each packet that takes longer, as in 1ms (so many at most)")
        ->type_name("TIME");
    app.add_option("--record", plan_.record, "keep the windows in this file, for `vethtrace report`")
        ->type_name("FILE");
    app.footer("Nothing is built and no traffic is made: it watches what is there, and changes nothing.\n"
               "Keys: q quit, space freeze, b group by, s sort.");
}

void WatchParser::describe_traffic(CLI::App &app, const std::string &histograms) {
    constexpr double shortest_interval = 0.1;
    constexpr double longest_interval = 3600;
    constexpr double longest_duration = 30 * 86400;
    constexpr std::uint64_t most_memory = 1 << 20; // a TiB
    constexpr std::uint32_t most_sample = 4096;
    constexpr std::uint32_t least_histograms = 64;
    constexpr std::uint32_t most_histograms = 1 << 20;
    auto repeatable = [](CLI::Option *option, const char *type) { option->type_name(type)->allow_extra_args(false); };
    repeatable(app.add_option("--container", containers_, "a container, by name or identifier (repeatable)"),
               "ID-OR-NAME");
    repeatable(app.add_option("--pod", pods_, "a pod's containers (repeatable)"), "[NAMESPACE/]NAME");
    repeatable(app.add_option("-n,--netns", netns_, "a network namespace: NAME, PID, PATH or inode:N (repeatable)"),
               "NETNS");
    repeatable(app.add_option("--pid", pids_, "the network namespace of a process (repeatable)"), "PID");
    repeatable(
        app.add_option("-I,--interface", interfaces_,
                       "an interface of the host, or of the namespace given by --netns, but not lo (repeatable)"),
        "NAME");
    app.add_flag("--all", all_, "every network namespace but the host's (default, without any of the above)");
    app.add_option("--port", ports_, "only packets from or to these ports, as in 80,443,8000-8080")->type_name("PORTS");
    app.add_option("--peer", peer_, "only packets whose other end has such an address")->type_name("ADDRESS[/LEN]");
    app.add_option("--proto", protocol_, "only packets of this protocol")->check(CLI::IsMember({"tcp", "udp"}));
    app.add_option("-i,--interval", interval_, "seconds of a window")
        ->type_name("SECONDS")
        ->check(within(shortest_interval, longest_interval))
        ->capture_default_str();
    CLI::Option *duration = app.add_option("-d,--duration", duration_, "stop after so many seconds")
                                ->type_name("SECONDS")
                                ->check(within(shortest_interval, longest_duration));
    app.add_flag("--forever", forever_, "until Ctrl-C (default)")->excludes(duration);
    app.add_option("--sample", plan_.watch.sample, "follow one packet in so many, or fewer")
        ->type_name("N")
        ->check(within(std::uint32_t{1}, most_sample))
        ->capture_default_str();
    app.add_option("--max-overhead", max_overhead_,
                   "follow as many packets as cost at most this part of a CPU's time, in percent")
        ->type_name("PCT")
        ->check(within(0.01, percent))
        ->capture_default_str();
    app.add_option("--max-memory", max_memory_, "detach when it has come to more memory than this, in MiB")
        ->type_name("MIB")
        ->check(within(std::uint64_t{1}, most_memory))
        ->capture_default_str();
    app.add_option(histograms, plan_.watch.series, "keep so many histograms at most, 4 KiB of kernel memory each")
        ->type_name("N")
        ->check(within(least_histograms, most_histograms))
        ->capture_default_str();
}

Result<WatchPlan> WatchParser::plan() const {
    WatchPlan plan = plan_;
    plan.interval = seconds(interval_);
    if (duration_ > 0)
        plan.duration = seconds(duration_);
    plan.watch.grouping = *grouping_named(by_); // the parser has let only known names through
    plan.watch.max_overhead = max_overhead_ / percent;
    plan.watch.max_memory = max_memory_ << 20;
    if (!slower_than_.empty()) {
        Result<std::chrono::nanoseconds> limit = parse_duration(slower_than_);
        if (!limit)
            return tl::unexpected(limit.error());
        plan.watch.slower_than = *limit;
    }
    return set_selection(plan.watch.selection).and_then([&] { return set_filter(plan); }).map([&] { return plan; });
}

Result<void> WatchParser::set_selection(Selection &selection) const {
    selection.pids = pids_;
    selection.pods = pods_;
    Result<void> parsed = parse_each(containers_, parse_container, selection.containers)
                              .and_then([&] { return parse_each(netns_, parse_netns, selection.netns); })
                              .and_then([&] { return parse_each(interfaces_, parse_interface, selection.interfaces); });
    if (!parsed)
        return parsed;
    bool named = !(containers_.empty() && pods_.empty() && netns_.empty() && pids_.empty() && interfaces_.empty());
    if (named && all_)
        return tl::unexpected(Error{"--all", "excludes what is named beside it",
                                    "leave --all out, or --container, --pod, --netns, --pid and --interface",
                                    Exit::usage});
    selection.all = !named;
    return {};
}

Result<void> WatchParser::set_filter(WatchPlan &plan) const {
    watch_layout::watch_filter &filter = plan.watch.filter;
    if (!ports_.empty()) {
        Result<std::vector<PortRange>> ports = parse_ports(ports_);
        if (!ports)
            return tl::unexpected(ports.error());
        static_assert(sizeof(filter.ports) / sizeof(filter.ports[0]) == watch_layout::PORT_RANGES);
        for (const PortRange &range : *ports)
            filter.ports[filter.port_ranges++] = {range.first, range.last};
        plan.filter_text += " --port " + ports_;
    }
    if (!peer_.empty()) {
        Result<Prefix> peer = parse_prefix(peer_);
        if (!peer)
            return tl::unexpected(peer.error());
        filter.peer_family = static_cast<__u8>(peer->family);
        filter.peer_bits = static_cast<__u8>(peer->bits);
        std::copy(peer->address.begin(), peer->address.end(), filter.peer);
        plan.filter_text += " --peer " + peer_;
    }
    if (!protocol_.empty()) {
        filter.protocol = protocol_ == "tcp" ? IPPROTO_TCP : IPPROTO_UDP;
        plan.filter_text += " --proto " + protocol_;
    }
    if (!plan.filter_text.empty())
        plan.filter_text.erase(0, 1);
    return {};
}

} // namespace vethtrace
