// SPDX-License-Identifier: GPL-2.0-only
#include "watch/windows.hpp"

#include "core/printable.hpp"
#include "privileges/privileges.hpp"
#include "watch/unread.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <bit>
#include <fmt/format.h>
#include <numeric>
#include <set>
#include <tuple>

namespace vethtrace {

using namespace watch_layout;

namespace {

std::string address_text(const __u8 (&address)[16], int family, std::uint16_t port) {
    std::array<char, INET6_ADDRSTRLEN> text = {};
    constexpr int ipv6 = 6;
    inet_ntop(family == ipv6 ? AF_INET6 : AF_INET, address, text.data(), text.size());
    if (port == 0)
        return text.data();
    return family == ipv6 ? fmt::format("[{}]:{}", text.data(), port) : fmt::format("{}:{}", text.data(), port);
}

std::pair<std::string, std::string> ends_text(const packet_names &names) {
    return {address_text(names.source, names.family, names.source_port),
            address_text(names.dest, names.family, names.dest_port)};
}

std::string protocol_text(std::uint8_t protocol) {
    switch (protocol) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return "icmp";
    default:
        return fmt::format("protocol {}", protocol);
    }
}

// `comm`: the task that held the CPU. Threads of NAPI and of the backlog poll outside of any softirq.
std::string context_text(std::uint8_t context, const std::string &comm) {
    switch (context) {
    case 0:
        return comm.starts_with("napi/") || comm.starts_with("backlog_napi/") ? "thread " + comm : "process";
    case TALLY_NET_RX_INLINE:
        return "inline";
    case TALLY_NET_RX_KSOFTIRQD:
        return "ksoftirqd";
    case TALLY_NET_RX_OTHER_CPU:
        return "other_cpu";
    default:
        return "other";
    }
}

std::string target_text(const journey &journey, const Registry &registry) {
    const Target *first = registry.target(journey.target);
    const Target *second = registry.target(journey.second_target);
    std::string text = first == nullptr ? "" : first->name;
    return second == nullptr || second == first ? text : fmt::format("{} -> {}", text, second->name);
}

std::uint64_t as_number(const drop_key &key) {
    return std::bit_cast<std::uint64_t>(key);
}

} // namespace

SlowPacket to_slow_packet(const journey &journey, const Registry &registry) {
    SlowPacket packet;
    packet.target = target_text(journey, registry);
    packet.flow = static_cast<Flow>(journey.flow);
    packet.protocol = protocol_text(journey.names.protocol);
    std::tie(packet.source, packet.destination) = ends_text(journey.names);
    if (journey.is_translated != 0) {
        auto [source, destination] = ends_text(journey.after);
        packet.translated_source = source == packet.source ? "" : source;
        packet.translated_destination = destination == packet.destination ? "" : destination;
    }
    packet.bytes = journey.bytes;
    packet.total = journey.total;
    const Target *target = registry.target(journey.target);
    bool bridged = target != nullptr && target->mode == Mode::bridge;
    for (std::size_t i = 0; i < std::min<std::size_t>(journey.marks, JOURNEY_MARKS); ++i) {
        const packet_mark &mark = journey.at[i];
        std::string comm = printable({mark.comm, strnlen(mark.comm, sizeof(mark.comm))}); // a task names itself
        std::optional<Stage> stage;
        if (i > 0)
            stage = stage_of_hop({journey.at[i - 1].station}, {mark.station}, bridged);
        packet.marks.push_back({{mark.station},
                                stage,
                                mark.when - journey.at[0].when,
                                mark.cpu,
                                mark.pid,
                                comm,
                                context_text(mark.context, comm),
                                mark.queue});
    }
    return packet;
}

bool Windows::Key::operator==(const Key &other) const {
    const series_key &its = other.key;
    return key.target == its.target && key.group == its.group && key.flow == its.flow && key.from == its.from &&
           key.to == its.to;
}

std::size_t Windows::Hash::operator()(const Key &key) const {
    std::uint64_t stations = (std::uint64_t{key.key.flow} << STATION_BITS | key.key.from) << STATION_BITS | key.key.to;
    std::uint64_t mixed = (std::uint64_t{key.key.target} << 32 | key.key.group) * 0x9e3779b97f4a7c15ULL + stations;
    return std::hash<std::uint64_t>()(mixed);
}

Result<WatchWindow> Windows::close(std::size_t slowest, Grouping grouping, bool is_last) {
    WatchWindow window;
    window.grouping = grouping;
    std::uint64_t number = engine_.next_window();
    window.number = number;
    Result<void> read =
        engine_.read_series([&](const series_key &key, const series &now) { add_series(key, now, number, window); });
    if (!read)
        return tl::unexpected(read.error());
    if (Result<void> dropped = add_drops(window); !dropped)
        return tl::unexpected(dropped.error());
    add_books(window);
    add_sockets(window);
    add_unseen(window, is_last);
    add_slowest(number, slowest, window); // last, when nothing is under way any more in what has ended
    window.targets = registry_.size();
    window.modes = registry_.modes();
    forget_gone();
    return window;
}

void Windows::add_series(const series_key &key, const series &now, std::uint64_t number, WatchWindow &into) {
    std::optional<SparseHistogram> time = before_[{key}].grown(now, number);
    if (!time)
        return;
    WatchSeries series;
    const Target *target = registry_.target(key.target);
    series.target = target == nullptr ? "" : target->name;
    series.flow = static_cast<Flow>(key.flow);
    series.from = {key.from};
    series.to = {key.to};
    series.stage = stage_of_hop(series.from, series.to, target != nullptr && target->mode == Mode::bridge);
    if (into.grouping == Grouping::cpu)
        series.group = fmt::format("cpu {}", key.group);
    else if (into.grouping == Grouping::interface)
        series.group = key.group == 0 ? "socket" : registry_.device_name(key.target, series.to, key.group);
    series.time = std::move(*time);
    if (target != nullptr)
        seen_.passed({key.target, series.flow}, series.from, series.to, series.stage, series.time.count());
    into.series.push_back(std::move(series));
}

// What has become of the packets for each target's sockets.
void Windows::add_sockets(WatchWindow &into) {
    std::map<std::uint32_t, WatchSockets> all;
    for (const auto &[number, index] : registry_.books()) {
        target_books now = engine_.books(index);
        target_books &before = books_before_.try_emplace(number, now).first->second;
        if (now.for_sockets == before.for_sockets && now.delivered == before.delivered)
            continue;
        all[number].delivered = now.delivered - before.delivered;
        seen_.to_sockets({number, Flow::in}, {.packets = now.for_sockets - before.for_sockets,
                                              .bytes = now.for_sockets_bytes - before.for_sockets_bytes,
                                              .packets_seen = now.delivered - before.delivered,
                                              .bytes_seen = now.delivered_bytes - before.delivered_bytes});
        before = now;
    }
    add_unread(all);
    add_counters(all);
    std::map<std::string_view, std::uint64_t> read;
    for (const WatchSeries &series : into.series)
        if (series.stage == Stage::wakeup)
            read[series.target] += series.time.count();
    for (auto &[number, sockets] : all) {
        const Target *target = registry_.target(number);
        if (target == nullptr)
            continue;
        sockets.target = target->name;
        if (auto known = read.find(target->name); known != read.end())
            sockets.read = known->second;
        into.sockets.push_back(std::move(sockets));
    }
}

// What waits to be read. A wait that is long is held against the kernel's own tables: nothing tells the programs that a
// socket of UDP is closed, or that its data were taken by splice().
void Windows::add_unread(std::map<std::uint32_t, WatchSockets> &all) const {
    constexpr Nanoseconds long_wait = 1'000'000'000;
    struct Waiting {
        std::vector<SocketPorts> ports;
        std::vector<Nanoseconds> ages;
    };
    std::map<std::uint32_t, Waiting> long_ones;
    RaisedPrivileges raised(Purpose::looking);
    auto add = [&](std::uint32_t number, Nanoseconds age) {
        WatchSockets &sockets = all[number];
        ++sockets.waiting;
        sockets.oldest = std::max(sockets.oldest, age);
    };
    std::uint64_t now = WatchEngine::now();
    for (const unread &socket : engine_.unread()) {
        if (registry_.target(socket.target) == nullptr)
            continue;
        Nanoseconds age = now - std::min<std::uint64_t>(now, socket.since);
        if (age < long_wait) {
            add(socket.target, age);
            continue;
        }
        Waiting &waiting = long_ones[socket.target];
        waiting.ports.push_back({socket.protocol, socket.port, socket.peer_port});
        waiting.ages.push_back(age);
    }
    for (const auto &[number, waiting] : long_ones) {
        auto bytes = read_unread({}, *registry_.target(number), waiting.ports);
        for (std::size_t i = 0; i < waiting.ages.size(); ++i)
            if (!bytes || !(*bytes)[i] || *(*bytes)[i] != 0)
                add(number, waiting.ages[i]);
    }
}

void Windows::begin_to_count() {
    constexpr std::size_t at_a_time = 64; // 0.1 ms each, and the others' turn comes with the windows
    std::size_t begun = 0;
    RaisedPrivileges raised(Purpose::looking);
    for (const auto &[number, index] : registry_.books()) {
        const Target &target = *registry_.target(number);
        if (begun == at_a_time || !counted_.insert(number).second)
            continue;
        WatchSockets nothing_yet;
        counters_.add_growth(target, nothing_yet);
        ++begun;
    }
}

// What the kernel counts for their namespaces and control groups: of a few targets in each window, by turns, since
// reading takes some 0.1 ms each. What has grown is told when it is read.
void Windows::add_counters(std::map<std::uint32_t, WatchSockets> &all) {
    constexpr std::size_t at_a_time = 32;
    std::map<std::uint32_t, std::uint32_t> books = registry_.books();
    std::vector<std::uint32_t> numbers(books.size());
    std::transform(books.begin(), books.end(), numbers.begin(), [](const auto &each) { return each.first; });
    if (numbers.empty())
        return;
    RaisedPrivileges raised(Purpose::looking);
    for (std::size_t i = 0; i < std::min(at_a_time, numbers.size()); ++i) {
        std::uint32_t number = numbers[next_counted_++ % numbers.size()];
        WatchSockets grown;
        if (!counters_.add_growth(*registry_.target(number), grown))
            continue;
        if (grown.listen_overflows + grown.buffer_full + grown.retransmitted + grown.bad_checksums +
                grown.throttled_periods !=
            0)
            all[number];
        if (auto known = all.find(number); known != all.end()) {
            grown.delivered = known->second.delivered;
            grown.waiting = known->second.waiting;
            grown.oldest = known->second.oldest;
            known->second = grown;
        }
    }
}

// Stages that a target's links and sockets promise, as far as it had packets.
void Windows::add_unseen(WatchWindow &into, bool is_last) {
    auto bridged = [&](std::uint32_t number) {
        const Target *target = registry_.target(number);
        return target != nullptr && target->mode == Mode::bridge;
    };
    for (const SeenStages::Gap &gap : seen_.gaps(bridged, is_last))
        if (const Target *target = registry_.target(gap.path.target))
            into.unseen.push_back({target->name, gap.path.flow, gap.stage, gap.promised, gap.seen, gap.why});
    std::set<std::string> busy;
    for (const WatchSeries &series : into.series)
        busy.insert(series.target);
    for (const auto &[number, index] : registry_.books())
        if (const Target *target = registry_.target(number); target != nullptr && busy.contains(target->name))
            for (const UnseenStage &stage : target->unseen)
                into.unseen.push_back({target->name, stage.flow, stage.stage, 0, 0, stage.why});
}

Result<void> Windows::add_drops(WatchWindow &into) {
    Result<std::vector<WatchEngine::Drop>> drops = engine_.drops();
    if (!drops)
        return tl::unexpected(drops.error());
    for (const auto &[key, count] : *drops) {
        std::uint64_t &before = drops_before_[as_number(key)];
        if (count == before)
            continue;
        const Target *target = registry_.target(key.target);
        if (key.reason == DROP_UNSEEN) {
            if (target != nullptr)
                seen_.lost({key.target, static_cast<Flow>(key.flow)}, {key.station}, count - before);
            before = count;
            continue;
        }
        into.drops.push_back({target == nullptr ? "" : target->name,
                              static_cast<Flow>(key.flow),
                              {key.station},
                              engine_.reason_name(key.reason),
                              count - before});
        before = count;
    }
    return {};
}

void Windows::add_slowest(std::uint64_t number, std::size_t most, WatchWindow &into) {
    std::vector<journey> journeys = engine_.slowest(number);
    std::sort(journeys.begin(), journeys.end(), [](const journey &a, const journey &b) { return a.total > b.total; });
    // One that was judged on two CPUs is there twice, and the longer one has more of its way.
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    for (const journey &journey : journeys) {
        if (into.slowest.size() == most)
            break;
        if (journey.marks != 0 && seen.emplace(journey.skb, journey.at[0].when).second)
            into.slowest.push_back(to_slow_packet(journey, registry_));
    }
}

void Windows::add_books(WatchWindow &into) {
    std::vector<WatchEngine::Tallies> tallies = engine_.tallies();
    auto sum = [&](std::uint32_t which) {
        return std::accumulate(
            tallies.begin(), tallies.end(), std::uint64_t{0},
            [&](std::uint64_t before, const WatchEngine::Tallies &cpu) { return before + cpu.at(which); });
    };
    into.conservation = {.entered = sum(TALLY_ENTERED),
                         .completed = sum(TALLY_COMPLETED),
                         .left = sum(WATCH_TALLY_LEFT),
                         .delivered = sum(WATCH_TALLY_DELIVERED),
                         .control = sum(WATCH_TALLY_CONTROL),
                         .to_host = sum(WATCH_TALLY_TO_HOST),
                         .dropped = sum(WATCH_TALLY_DROPPED),
                         .merged = sum(TALLY_MERGED),
                         .segmented = sum(TALLY_SEGMENTED),
                         .consumed = sum(WATCH_TALLY_CONSUMED),
                         .stale = sum(TALLY_STALE),
                         .evicted = sum(TALLY_EVICTED),
                         .crowded_out = sum(TALLY_CROWDED_OUT),
                         .in_flight = engine_.in_flight(),
                         .discarded = sum(WATCH_TALLY_DISCARDED),
                         .read = sum(WATCH_TALLY_READ),
                         .waits_lost = sum(WATCH_TALLY_WAITS_LOST)};
    into.series_dropped = sum(WATCH_TALLY_SERIES_OVERFLOW) + sum(WATCH_TALLY_DROPS_OVERFLOW);
    into.slow_suppressed = sum(WATCH_TALLY_SUPPRESSED);
    tallies_before_.resize(tallies.size());
    for (std::size_t i = 0; i < tallies.size(); ++i) {
        auto grown = [&](std::uint32_t which) { return tallies[i].at(which) - tallies_before_[i].at(which); };
        if (grown(TALLY_NET_RX_RUNS) != 0)
            into.node.cpus.push_back({.id = static_cast<int>(i),
                                      .net_rx_runs = grown(TALLY_NET_RX_RUNS),
                                      .ksoftirqd_runs = grown(TALLY_NET_RX_KSOFTIRQD)});
    }
    tallies_before_ = std::move(tallies);
}

void Windows::forget_gone() {
    registry_.forget_gone();
    // By what is there and not by who has gone just now: a packet that was under way then may still have been counted.
    auto is_forgotten = [&](std::uint32_t target) { return target != 0 && registry_.target(target) == nullptr; };
    std::erase_if(before_, [&](const auto &series) {
        bool forgotten = is_forgotten(series.first.key.target);
        if (forgotten)
            engine_.remove_series(series.first.key);
        return forgotten;
    });
    std::erase_if(books_before_, [&](const auto &books) { return is_forgotten(books.first); });
    seen_.forget(is_forgotten);
    std::erase_if(counted_, is_forgotten);
    std::erase_if(drops_before_, [&](const auto &drop) {
        auto key = std::bit_cast<drop_key>(drop.first);
        bool forgotten = is_forgotten(key.target);
        if (forgotten)
            engine_.remove_drop(key);
        return forgotten;
    });
}

} // namespace vethtrace
