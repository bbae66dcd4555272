// SPDX-License-Identifier: GPL-2.0-only
#include "watch/seen_stages.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <optional>

namespace vethtrace {

namespace {

using namespace layout;

constexpr std::uint64_t enough_packets = 100; // for a share of 1 %

// Whether more than one in a hundred is missing, as far as can be told; null: not yet.
std::optional<bool> is_gap(std::uint64_t promised, std::uint64_t missing, bool is_last) {
    constexpr std::uint64_t at_a_time = 3; // packets that may be between two stages when a window ends
    bool too_many = missing * enough_packets > promised;
    if (too_many && (missing >= at_a_time || is_last))
        return true;
    if (promised >= enough_packets || is_last)
        return false;
    return std::nullopt;
}

// What comes after that station, where no packet tells.
Stage stage_after(Station station, bool is_bridged) {
    switch (point_of(station)) {
    case POINT_QUEUE:
        return stage_of_hop(station, at(POINT_XMIT, role_of(station)), is_bridged);
    case POINT_XMIT:
        return role_of(station) == ROLE_TUNNEL ? Stage::encap : Stage::device_xmit;
    case POINT_NETIF_RX:
        return Stage::backlog;
    case POINT_GRO:
        return Stage::gro;
    case POINT_RECEIVE:
    case POINTS:
        break;
    }
    switch (role_of(station)) {
    case ROLE_CONTAINER:
    case ROLE_PEER:
        return Stage::stack_rx;
    case ROLE_TUNNEL:
        return Stage::host_forward;
    default:
        return is_bridged ? Stage::bridge : Stage::host_forward;
    }
}

} // namespace

void SeenStages::passed(Path path, Station from, Station to, Stage stage, std::uint64_t packets) {
    if (is_at_device(from) && is_at_device(to))
        after_[{path, from}].stages[stage] += packets;
}

void SeenStages::lost(Path path, Station last, std::uint64_t packets) {
    after_[{path, last}].lost += packets;
}

void SeenStages::to_sockets(Path path, const ToSockets &grown) {
    ToSockets &all = to_sockets_[path];
    all.packets += grown.packets;
    all.bytes += grown.bytes;
    all.packets_seen += grown.packets_seen;
    all.bytes_seen += grown.bytes_seen;
}

std::vector<SeenStages::Gap> SeenStages::gaps(const std::function<bool(std::uint32_t target)> &is_bridged,
                                              bool is_last) {
    std::vector<Gap> found;
    std::erase_if(after_, [&](const auto &entry) {
        const auto &[where, next] = entry;
        const auto &[path, station] = where;
        std::uint64_t seen = std::accumulate(next.stages.begin(), next.stages.end(), std::uint64_t{0},
                                             [](std::uint64_t sum, const auto &stage) { return sum + stage.second; });
        std::optional<bool> gap = is_gap(seen + next.lost, next.lost, is_last);
        if (gap == true) {
            auto most = std::max_element(next.stages.begin(), next.stages.end(),
                                         [](const auto &a, const auto &b) { return a.second < b.second; });
            Stage stage = most != next.stages.end() ? most->first : stage_after(station, is_bridged(path.target));
            found.push_back({path, stage, seen + next.lost, seen,
                             fmt::format("the others were not seen again after {}", name_of(station))});
        }
        return gap.has_value();
    });
    std::erase_if(to_sockets_, [&](const auto &entry) {
        const auto &[path, all] = entry;
        auto missing = [](std::uint64_t promised, std::uint64_t seen) { return promised - std::min(promised, seen); };
        std::optional<bool> packets = is_gap(all.packets, missing(all.packets, all.packets_seen), is_last);
        bool bytes = missing(all.bytes, all.bytes_seen) * enough_packets > all.bytes;
        if (packets == true && bytes)
            found.push_back({path, Stage::stack_rx, all.packets, std::min(all.packets, all.packets_seen),
                             "the others were received, and no socket was seen to take them"});
        return packets.has_value();
    });
    return found;
}

void SeenStages::forget(const std::function<bool(std::uint32_t target)> &is_gone) {
    std::erase_if(after_, [&](const auto &entry) { return is_gone(entry.first.first.target); });
    std::erase_if(to_sockets_, [&](const auto &entry) { return is_gone(entry.first.target); });
}

} // namespace vethtrace
