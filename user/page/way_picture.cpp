// SPDX-License-Identifier: GPL-2.0-only
#include "page/way_picture.hpp"

#include "page/figures.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>

namespace vethtrace {

namespace {

using namespace layout;

// From the client down to the server.
constexpr std::array<role, 7> devices_in_order = {ROLE_CONTAINER, ROLE_HOST, ROLE_BRIDGE, ROLE_UPLINK,
                                                  ROLE_HOST2,     ROLE_FAR,  ROLE_PEER};

// Lengths in pixels of CSS.
constexpr double wide_width = 560;
constexpr double narrow_width = 344;
constexpr double wide_inset = 96; // room for the stations' names
constexpr double narrow_inset = 20;
constexpr double within_band = 38;   // from station to station
constexpr double between_bands = 54; // from the last station of one to the first of the next
constexpr double between_boxes = 88; // the same, with two edges and a title in between
constexpr double band_padding = 13;  // around the stations of a band
constexpr double box_padding = 10;   // around the bands of a box
constexpr double box_title = 20;     // above them
constexpr double head = 26;          // above all: which side is which
constexpr double turn_room = 20;     // below the server's stations, where its own time is told
constexpr double thinnest_arrow = 3;
constexpr double thickest_arrow = 16;

constexpr const char *load = "TCP_RR"; // the kind of an application

enum class Machine { client, host, server };

// Where stations are: the application, its socket or a device, numbered from the client to the server.
class Places {
public:
    Places(const Way &way, const std::vector<NumberedHop> &hops) : way_(way) {
        for (const NumberedHop &each : hops)
            for (Station station : {each.hop->name.from, each.hop->name.to})
                passed_[rank_of(station)] = station;
    }

    struct Place {
        int rank = 0;
        Machine machine = Machine::host;
        std::string name;
        std::string kind;
    };
    [[nodiscard]] std::vector<Place> in_order() const {
        std::vector<Place> places;
        for (const auto &[rank, station] : passed_)
            places.push_back({rank, machine_of(station), place_name(station), kind_of(station)});
        return places;
    }

    [[nodiscard]] static int rank_of(Station station) {
        constexpr int server_socket = 2 + static_cast<int>(devices_in_order.size());
        if (is_at_device(station)) {
            auto place = std::find(devices_in_order.begin(), devices_in_order.end(), role_of(station));
            return 2 + static_cast<int>(place - devices_in_order.begin());
        }
        if (end_of(station) == END_CLIENT)
            return is_application(station) ? 0 : 1;
        return is_application(station) ? server_socket + 1 : server_socket;
    }

private:
    static end end_of(Station station) { return static_cast<end>((station.id - FIRST_END_STATION) / MOMENTS); }
    static bool is_application(Station station) {
        auto moment = static_cast<layout::moment>((station.id - FIRST_END_STATION) % MOMENTS);
        return moment == MOMENT_APP_SEND || moment == MOMENT_APP_RECV;
    }
    [[nodiscard]] Machine machine_of(Station station) const {
        if (is_at_device(station)) {
            if (role_of(station) == ROLE_PEER)
                return Machine::server;
            return role_of(station) == ROLE_CONTAINER ? Machine::client : Machine::host;
        }
        if (end_of(station) == END_SERVER)
            return Machine::server;
        return way_.mode() == Mode::host ? Machine::host : Machine::client;
    }
    static std::string place_name(Station station) {
        if (is_at_device(station))
            return std::string(name_of(role_of(station)));
        if (!is_application(station))
            return "socket";
        return end_of(station) == END_CLIENT ? "client" : "server";
    }
    [[nodiscard]] std::string kind_of(Station station) const {
        if (is_at_device(station))
            return std::string(name_of(way_.kind_of(role_of(station))));
        return is_application(station) ? load : "";
    }

    const Way &way_;
    std::map<int, Station> passed_;
};

std::string title_of(Machine machine, const Way &way) {
    switch (machine) {
    case Machine::client:
        return "container";
    case Machine::host:
        return "host";
    case Machine::server:
        return way.topology() == Topology::wire ? "peer, another machine" : "peer, a second container";
    }
    return {};
}

double mean_of(const Hop &hop, std::uint64_t transactions) {
    return transactions == 0 ? 0 : static_cast<double>(hop.time.sum()) / static_cast<double>(transactions);
}

class Arranger {
public:
    Arranger(const Way &way, std::vector<NumberedHop> hops, std::uint64_t transactions, double thickest_ns,
             PictureSize size)
        : way_(way), hops_(std::move(hops)), transactions_(transactions), thickest_ns_(thickest_ns) {
        layout_.size = size;
        layout_.width = size == PictureSize::wide ? wide_width : narrow_width;
        layout_.inset = size == PictureSize::wide ? wide_inset : narrow_inset;
    }

    WayLayout arrange() {
        collect_stations();
        place_bands();
        place_stretches();
        return std::move(layout_);
    }

private:
    // A station as often as the way comes past it, by direction.
    struct Visit {
        Station station;
        double y = 0;
    };
    std::vector<Visit> &visits(Direction direction) { return direction == Direction::request ? down_ : up_; }

    void collect_stations() {
        down_.push_back({hops_.front().hop->name.from});
        for (const NumberedHop &each : hops_)
            visits(each.hop->name.direction).push_back({each.hop->name.to});
    }

    void place_bands() {
        std::vector<Places::Place> places = Places(way_, hops_).in_order();
        double y = head + box_title + box_padding + band_padding;
        for (std::size_t i = 0; i < places.size(); ++i) {
            const Places::Place &place = places[i];
            bool begins_box = i == 0 || places[i - 1].machine != place.machine;
            if (i > 0)
                y += begins_box ? between_boxes : between_bands;
            if (begins_box)
                layout_.boxes.push_back({title_of(place.machine, way_), y - band_padding - box_padding - box_title, 0});
            std::size_t slots = std::max<std::size_t>({count_at(down_, place.rank), count_at(up_, place.rank), 1});
            double length = static_cast<double>(slots - 1) * within_band;
            layout_.bands.push_back({place.name, place.kind, y - band_padding, length + 2 * band_padding});
            put_stations(down_, place.rank, y, length, false);
            put_stations(up_, place.rank, y, length, true);
            y += length;
            if (i + 1 == places.size()) {
                layout_.bands.back().height += turn_room;
                y += turn_room;
            }
            WayLayout::Box &box = layout_.boxes.back();
            box.height = y + band_padding + box_padding - box.y;
        }
        layout_.height = y + band_padding + box_padding + 1; // an edge is drawn half outside
    }

    static std::size_t count_at(const std::vector<Visit> &visits, int rank) {
        return static_cast<std::size_t>(std::count_if(visits.begin(), visits.end(), [rank](const Visit &visit) {
            return Places::rank_of(visit.station) == rank;
        }));
    }

    // In the middle of the band, if there are fewer of them than on the other side.
    static void put_stations(std::vector<Visit> &visits, int rank, double y, double length, bool upwards) {
        std::size_t count = count_at(visits, rank);
        if (count == 0)
            return;
        double own_length = static_cast<double>(count - 1) * within_band;
        double next = upwards ? y + (length + own_length) / 2 : y + (length - own_length) / 2;
        for (Visit &visit : visits)
            if (Places::rank_of(visit.station) == rank) {
                visit.y = next;
                next += upwards ? -within_band : within_band;
            }
    }

    void place_stretches() {
        for (Direction direction : {Direction::request, Direction::response})
            for (const Visit &visit : visits(direction))
                layout_.dots.push_back({point_name(visit.station), direction, visit.y});
        std::size_t down = 0;
        std::size_t up = 0;
        double before = down_.front().y;
        for (const NumberedHop &each : hops_) {
            bool requests = each.hop->name.direction == Direction::request;
            double y = requests ? down_[++down].y : up_[up++].y;
            double mean = mean_of(*each.hop, transactions_);
            double share = thickest_ns_ > 0 ? std::min(mean / thickest_ns_, 1.0) : 0;
            layout_.stretches.push_back({each.number, each.hop, mean, before, y,
                                         thinnest_arrow + (thickest_arrow - thinnest_arrow) * share,
                                         !requests && up == 1});
            before = y;
        }
    }

    // Of "xmit@container" only the first part: the band tells the rest.
    static std::string point_name(Station station) {
        std::string name = name_of(station);
        return name.substr(0, name.find('@'));
    }

    const Way &way_;
    std::vector<NumberedHop> hops_;
    std::uint64_t transactions_;
    double thickest_ns_;
    WayLayout layout_;
    std::vector<Visit> down_; // request
    std::vector<Visit> up_;   // response, beginning at the bottom
};

// Those hops and no others; what only messages of several segments have may be among them.
bool follows_way(const Way &way, const std::vector<NumberedHop> &hops) {
    auto next = hops.begin();
    for (const HopName &expected : way.hops()) {
        const HopName *name = next == hops.end() ? nullptr : &next->hop->name;
        if (name != nullptr && name->from == expected.from && name->to == expected.to &&
            name->stage == expected.stage && name->direction == expected.direction)
            ++next;
        else if (expected.every_message)
            return false;
    }
    return next == hops.end();
}

// ---- drawing

constexpr double label_distance = 16; // from the track

void draw_frame(Html &html, const WayLayout &layout) {
    constexpr double edge = 0.5;
    bool wide = layout.size == PictureSize::wide;
    double side = wide ? 4 : edge;
    for (const WayLayout::Box &box : layout.boxes) {
        html.shape("rect", {{"class", "machine"},
                            {"x", px(side)},
                            {"y", px(box.y)},
                            {"width", px(layout.width - 2 * side)},
                            {"height", px(box.height)},
                            {"rx", "8"}});
        html.element("text", box.title,
                     {{"class", "machine-name"}, {"x", px(layout.width / 2)}, {"y", px(box.y + box_title - 4)}});
    }
    double margin = wide ? 12 : 5;
    for (const WayLayout::Band &band : layout.bands) {
        html.shape("rect", {{"class", band.kind.empty()   ? "socket"
                                      : band.kind == load ? "application"
                                                          : "device"},
                            {"x", px(side + margin)},
                            {"y", px(band.y)},
                            {"width", px(layout.width - 2 * (side + margin))},
                            {"height", px(band.height)},
                            {"rx", "5"}});
        if (&band == &layout.bands.back())
            continue; // the turn tells its name
        constexpr double baseline = 4;
        constexpr double half_line = 7;
        double middle = band.y + band.height / 2 + baseline;
        bool two_lines = band.height > 2 * band_padding;
        auto write = [&](const char *kind, const std::string &text, double y) {
            html.element("text", text, {{"class", kind}, {"x", px(layout.width / 2)}, {"y", px(y)}});
        };
        write("place", band.name, two_lines ? middle - half_line : middle);
        if (two_lines)
            write("kind", band.kind, middle + half_line);
    }
}

// The time of a hop stands beside the middle of its stretch; under a track that turns it stands in the middle.
void draw_label(Html &html, const WayLayout &layout, const WayLayout::Stretch &stretch) {
    constexpr double line = 14;
    bool requests = stretch.hop->name.direction == Direction::request;
    double x = requests ? layout.track(Direction::request) + label_distance
                        : layout.track(Direction::response) - label_distance;
    double y = (stretch.from_y + stretch.to_y) / 2;
    std::string anchor = requests ? "label" : "label response";
    std::string name = fmt::format("{} {}", stretch.number, name_of(stretch.hop->name.stage));
    html.element("text", name, {{"class", anchor + " stage-name"}, {"x", px(x)}, {"y", px(y - 2)}});
    html.element("text", time_text(stretch.mean_ns),
                 {{"class", anchor + " time"}, {"x", px(x)}, {"y", px(y - 2 + line)}});
}

void draw_stretch(Html &html, const WayLayout &layout, const WayLayout::Stretch &stretch) {
    std::string stage(name_of(stretch.hop->name.stage));
    Direction end = stretch.hop->name.direction;
    Direction begin = stretch.turns ? Direction::request : end;
    Html::Element group = html.open("g", {{"class", "hop"}, {"data-hop", std::to_string(stretch.number)}});
    html.element("title", fmt::format("{} {}: {} to {}, {} a transaction", stretch.number, stage,
                                      name_of(stretch.hop->name.from), name_of(stretch.hop->name.to),
                                      time_text(stretch.mean_ns)));
    html.shape("line", {{"class", "stretch stage-" + stage},
                        {"x1", px(layout.track(begin))},
                        {"y1", px(stretch.from_y)},
                        {"x2", px(layout.track(end))},
                        {"y2", px(stretch.to_y)},
                        {"stroke-width", px(stretch.thickness)}});
    if (!stretch.turns)
        draw_label(html, layout, stretch);
}

// The server's own time runs from one side to the other, through the middle of its band.
void draw_turn(Html &html, const WayLayout &layout, const WayLayout::Stretch &stretch) {
    constexpr double below = 17;
    html.element("text",
                 fmt::format("{}: {} {} {}", layout.bands.back().name, stretch.number, name_of(stretch.hop->name.stage),
                             time_text(stretch.mean_ns)),
                 {{"class", "turn"}, {"x", px(layout.width / 2)}, {"y", px(stretch.to_y + below)}});
}

void draw_dots(Html &html, const WayLayout &layout) {
    constexpr double radius = 4.5;
    constexpr double beside = 12;
    constexpr double baseline = 3.5;
    for (const WayLayout::Dot &dot : layout.dots) {
        double x = layout.track(dot.direction);
        html.shape("circle", {{"class", "station"}, {"cx", px(x)}, {"cy", px(dot.y)}, {"r", px(radius)}});
        if (layout.size != PictureSize::wide)
            continue; // the table names them
        bool requests = dot.direction == Direction::request;
        html.element("text", dot.name,
                     {{"class", requests ? "station-name response" : "station-name"},
                      {"x", px(requests ? x - beside : x + beside)},
                      {"y", px(dot.y + baseline)}});
    }
}

} // namespace

std::vector<NumberedHop> numbered_hops(const RunResult &result) {
    std::vector<NumberedHop> hops;
    for (const Hop &hop : result.hops)
        if (hop.name.every_message || hop.time.count() != 0)
            hops.push_back({hops.size() + 1, &hop});
    return hops;
}

double longest_hop_ns(const RunResult &result) {
    double longest = 0;
    for (const Hop &hop : result.hops)
        longest = std::max(longest, mean_of(hop, result.load.followed()));
    return longest;
}

std::optional<WayLayout> lay_out_way(const RunResult &result, PictureSize size, std::optional<double> thickest_ns) {
    Result<Way> way = Way::of(result.mode, result.topology);
    if (!way)
        return std::nullopt;
    for (const StationResult &station : result.stations) // which rung saw that the data had come
        for (end end : {END_CLIENT, END_SERVER})
            if (station.station == at(MOMENT_TCP_RCV, end))
                way->replace(at(MOMENT_DATA_READY, end), station.station);
    std::vector<NumberedHop> hops = numbered_hops(result);
    std::erase_if(hops, [](const NumberedHop &each) { return each.hop->name.stage == Stage::unforeseen; });
    if (hops.empty() || !follows_way(*way, hops))
        return std::nullopt;
    return Arranger(*way, std::move(hops), result.load.followed(), thickest_ns.value_or(longest_hop_ns(result)), size)
        .arrange();
}

void draw_way(Html &html, const WayLayout &layout) {
    constexpr std::array<const char *, 3> kinds = {"way wide", "way narrow", "way small"};
    Html::Element svg = html.open("svg", {{"class", kinds.at(static_cast<std::size_t>(layout.size))},
                                          {"viewBox", fmt::format("0 0 {} {}", px(layout.width), px(layout.height))},
                                          {"role", "img"},
                                          {"aria-label", "The packet's way, hop by hop, with the mean time of each"}});
    constexpr double baseline = 14;
    for (Direction direction : {Direction::request, Direction::response}) {
        bool requests = direction == Direction::request;
        html.element(
            "text", requests ? "\u2193 request" : "response \u2191",
            {{"class", requests ? "side" : "side response"},
             {"x", px(requests ? layout.inset - label_distance / 2 : layout.width - layout.inset + label_distance / 2)},
             {"y", px(baseline)}});
    }
    draw_frame(html, layout);
    for (const WayLayout::Stretch &stretch : layout.stretches)
        draw_stretch(html, layout, stretch);
    for (const WayLayout::Stretch &stretch : layout.stretches)
        if (stretch.turns)
            draw_turn(html, layout, stretch);
    draw_dots(html, layout);
}

} // namespace vethtrace
