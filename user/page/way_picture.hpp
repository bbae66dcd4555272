// SPDX-License-Identifier: GPL-2.0-only
//
// The packet's way through the lab as a picture: machines are boxes, devices bands in them. The request runs down the
// left side, the response back up the right one, and each stretch is as thick as its time is long.
#pragma once

#include "core/result.hpp"
#include "page/html.hpp"

#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

// A hop as the tables number it: from 1, without those that no message had.
struct NumberedHop {
    std::size_t number = 0;
    const Hop *hop = nullptr;
};
[[nodiscard]] std::vector<NumberedHop> numbered_hops(const RunResult &result);

// Of a run both are in its page, and the style sheet shows the one that there is room for; small ones are as narrow,
// and stand beside one another.
enum class PictureSize { wide, narrow, small };

struct WayLayout {
    struct Box { // a machine, or a container
        std::string title;
        double y = 0;
        double height = 0;
    };
    struct Band { // an application, a socket or a device
        std::string name;
        std::string kind;
        double y = 0;
        double height = 0;
    };
    struct Dot { // a station
        std::string name;
        Direction direction = Direction::request;
        double y = 0;
    };
    struct Stretch { // a hop
        std::size_t number = 0;
        const Hop *hop = nullptr;
        double mean_ns = 0; // a transaction
        double from_y = 0;
        double to_y = 0;
        double thickness = 0;
        bool turns = false; // from one side to the other: the server's own time
    };

    PictureSize size = PictureSize::wide;
    double width = 0;
    double height = 0;
    double inset = 0; // of both tracks from the edges
    std::vector<Box> boxes;
    std::vector<Band> bands;
    std::vector<Dot> dots;
    std::vector<Stretch> stretches;

    [[nodiscard]] double track(Direction direction) const {
        return direction == Direction::request ? inset : width - inset;
    }
};

// Null if the hops are not those of the mode's table, as in a result that is not valid they may be. `thickest_ns`: the
// time of the thickest stretch, where pictures stand beside one another; by default that of the longest hop.
[[nodiscard]] std::optional<WayLayout> lay_out_way(const RunResult &result, PictureSize size,
                                                   std::optional<double> thickest_ns = std::nullopt);
// The mean of the longest hop, a transaction.
[[nodiscard]] double longest_hop_ns(const RunResult &result);

void draw_way(Html &html, const WayLayout &layout);

} // namespace vethtrace
