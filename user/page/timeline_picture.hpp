// SPDX-License-Identifier: GPL-2.0-only
//
// A single packet or transaction as a picture: a row for each CPU and task, and in it the stretches that ended there.
#pragma once

#include "core/result.hpp"
#include "core/watch.hpp"
#include "page/html.hpp"

#include <string>
#include <vector>

namespace vethtrace {

struct Moment {
    std::string station;
    std::string stage; // of the stretch that ended here; empty: it is the first, or of no known stage
    Nanoseconds since_first = 0;
    int cpu = 0;
    std::string task;       // "nginx (4711)"
    std::string context;    // "process", or how its NET_RX run came about
    std::string queue = {}; // "3 queued"; empty: nothing was
};

// The stages are those of the run's hops.
[[nodiscard]] std::vector<Moment> moments_of(const Timeline &timeline, const std::vector<Hop> &hops);
[[nodiscard]] std::vector<Moment> moments_of(const SlowPacket &packet);

// Times are percents of the width, so that letters need not shrink with it; heights are pixels.
struct MomentLayout {
    struct Row {
        std::string name; // "CPU 1  nginx (4711)"
        double y = 0;     // of its pieces' upper edge
    };
    struct Piece { // the stretch before a moment, in the row of that moment
        std::size_t moment = 0;
        double x = 0;
        double width = 0;
        double y = 0;
    };
    double height = 0;
    std::vector<Row> rows;
    std::vector<Piece> pieces;
};
[[nodiscard]] MomentLayout lay_out_moments(const std::vector<Moment> &moments);

// The picture, and a table of the same.
void draw_moments(Html &html, const std::vector<Moment> &moments);

} // namespace vethtrace
