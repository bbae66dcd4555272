// SPDX-License-Identifier: GPL-2.0-only
//
// The check of a window, as the ledger is that of a run: of the packets that passed one stage, were there enough that
// passed the next?
#pragma once

#include "core/watch.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace vethtrace {

class SeenStages {
public:
    // Of one target, by its number, in one direction.
    struct Path {
        std::uint32_t target = 0;
        Flow flow = Flow::out;

        friend bool operator<(Path a, Path b) { return std::tie(a.target, a.flow) < std::tie(b.target, b.flow); }
    };
    // Data for a target's sockets, and what of it they took. TCP can join packets before it looks at them, so that
    // there are fewer of them, but not fewer bytes.
    struct ToSockets {
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        std::uint64_t packets_seen = 0;
        std::uint64_t bytes_seen = 0;
    };
    struct Gap {
        Path path;
        Stage stage = Stage::unforeseen;
        std::uint64_t promised = 0;
        std::uint64_t seen = 0;
        std::string why;
    };

    // So many packets passed that hop.
    void passed(Path path, Station from, Station to, Stage stage, std::uint64_t packets);
    // So many were not seen again after that station.
    void lost(Path path, Station last, std::uint64_t packets);
    void to_sockets(Path path, const ToSockets &grown);

    // Stages that fewer than 99 % of the packets were seen in which should have been. What is too little to tell is
    // kept until there is more, or it is the last time.
    [[nodiscard]] std::vector<Gap> gaps(const std::function<bool(std::uint32_t target)> &is_bridged, bool is_last);

    void forget(const std::function<bool(std::uint32_t target)> &is_gone);

private:
    struct Next {
        std::map<Stage, std::uint64_t> stages; // after that station, with packets
        std::uint64_t lost = 0;
    };

    std::map<std::pair<Path, Station>, Next> after_;
    std::map<Path, ToSockets> to_sockets_;
};

} // namespace vethtrace
