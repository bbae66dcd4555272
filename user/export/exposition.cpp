// SPDX-License-Identifier: GPL-2.0-only
#include "export/exposition.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {

// All that came, for so many that were followed.
std::uint64_t rounded_all(const WatchWindow &window, std::uint64_t count) {
    return static_cast<std::uint64_t>(std::llround(window.all_of(count)));
}

constexpr std::size_t series_of_hop = Exposition::series_of_hop;
constexpr std::size_t series_of_gap = Exposition::series_of_gap;
constexpr std::size_t series_of_sockets = Exposition::series_of_sockets;

// What tells of the node and of the exporter itself, with room to spare.
constexpr std::size_t of_the_node = 150;

// Where nothing else has room: of no container and no mode, each stage in either direction, seen or not, a drop for no
// reason, and sockets.
constexpr std::size_t stages = static_cast<std::size_t>(Stage::unforeseen) + 1;
constexpr std::size_t last_resort = 2 * (stages * (series_of_hop + series_of_gap) + 1) + series_of_sockets;

// Kept free for packets that are nobody's, and for those of all that have no name: the usual stages of a mode in either
// direction, some drops and gaps, and sockets. They may take more, if there is.
constexpr std::size_t of_any = std::size_t{12} * series_of_hop + std::size_t{4} * series_of_gap + series_of_sockets;
constexpr std::size_t of_the_nameless = of_any + 26;
constexpr std::size_t of_a_name = of_any + 6;

static_assert(Exposition::least_series >= of_the_node + last_resort + 2 * of_the_nameless + of_a_name);

constexpr const char *any = "other";

void fold(HopLabels &labels) {
    labels.mode = any;
}

void fold(SocketLabels &labels) {
    labels.mode = any;
}

void fold(DropLabels &labels) {
    labels.mode = labels.station = labels.reason = any;
}

} // namespace

Exposition::Exposition(std::size_t most_series) : most_(most_series) {
    for (const char *label : {other_containers, nobody}) {
        shares_[label] = {of_the_nameless, 0};
        shared_ += of_the_nameless;
    }
}

void Exposition::add(const WatchWindow &window) {
    for (const Target &target : window.arrived) {
        Target &known = known_[target.name] = target;
        known.devices.clear();
    }
    names_.look(window);
    choose_names();
    for (const WatchSeries &series : window.series)
        place(hops_, HopLabels{label_of(series.target), mode_of(series.target), series.flow, series.stage},
              series_of_hop)
            .add(series.time, window.sample_ratio);
    for (const WatchDrop &drop : window.drops)
        place(drops_,
              DropLabels{label_of(drop.target), mode_of(drop.target), drop.flow, name_of(drop.last), drop.reason}, 1) +=
            window.all_of(drop.count);
    add_unseen(window);
    add_sockets(window);
    for (const std::string &gone : window.gone) {
        bool is_back = std::any_of(window.arrived.begin(), window.arrived.end(),
                                   [&](const Target &target) { return target.name == gone; });
        if (!is_back && !names_.has(gone))
            known_.erase(gone);
    }
    add_node(window);
}

void Exposition::choose_names() {
    for (const std::string &container : names_.over()) {
        take_name(container);
        known_.erase(container);
    }
    if (std::optional<std::string> least = has_room_for_a_name() ? std::nullopt : names_.least())
        take_name(*least);
    while (has_room_for_a_name()) {
        std::optional<std::string> next = names_.next();
        if (!next)
            break;
        give_name(*next);
    }
}

bool Exposition::has_room_for_a_name() const {
    return shared_ + of_a_name <= most_ - of_the_node - last_resort;
}

void Exposition::give_name(const std::string &container) {
    names_.give(container);
    shares_[container] = {of_a_name, 1}; // which is what tells of the target itself
    shared_ += of_a_name;
}

void Exposition::take_name(const std::string &container) {
    names_.take(container);
    auto is_its = [&](const auto &entry) { return entry.first.container == container; };
    std::erase_if(hops_, is_its);
    std::erase_if(drops_, is_its);
    std::erase_if(unseen_, is_its);
    std::erase_if(sockets_, is_its);
    shared_ -= shares_.at(container).size();
    shares_.erase(container);
}

// Whether there is room for so many more series of that container. Within what is kept for it there always is.
bool Exposition::take_room(const std::string &container, std::size_t series) {
    Share &share = shares_.at(container);
    Share larger = {share.kept, share.used + series};
    std::size_t all = shared_ - share.size() + larger.size();
    if (all > most_ - of_the_node - last_resort)
        return false;
    share = larger;
    shared_ = all;
    return true;
}

// The count under these labels, or, where there is no room for them, under others that say less.
template<typename Labels, typename Value>
Value &Exposition::place(std::map<Labels, Value> &counts, Labels labels, std::size_t series) {
    for (;;) {
        if (auto known = counts.find(labels); known != counts.end())
            return known->second;
        if (take_room(labels.container, series))
            return counts[labels];
        if (labels.container == other_containers) {
            fold(labels);
            return counts[labels]; // for which room is kept
        }
        labels.container = other_containers;
    }
}

std::string Exposition::label_of(const std::string &target) const {
    if (target.empty())
        return nobody;
    return target == nobody || names_.has(target) ? target : other_containers;
}

std::string Exposition::mode_of(const std::string &target) const {
    auto known = known_.find(target);
    return known != known_.end() && known->second.mode ? std::string(name_of(*known->second.mode)) : any;
}

std::vector<Target> Exposition::targets() const {
    std::vector<Target> targets;
    for (const auto &[name, target] : known_)
        if (names_.has(name))
            targets.push_back(target);
    return targets;
}

void Exposition::add_unseen(const WatchWindow &window) {
    for (auto &[labels, figures] : unseen_)
        figures.targets = 0;
    for (const WatchUnseen &one : window.unseen) {
        UnseenFigures &figures =
            place(unseen_, HopLabels{label_of(one.target), mode_of(one.target), one.flow, one.stage}, series_of_gap);
        ++figures.targets;
        if (one.promised > one.seen)
            figures.packets += rounded_all(window, one.promised - one.seen);
    }
}

void Exposition::add_sockets(const WatchWindow &window) {
    for (auto &[labels, sockets] : sockets_) {
        sockets.waiting = 0;
        sockets.oldest = 0;
    }
    for (WatchSockets sockets : window.sockets) {
        sockets.delivered = rounded_all(window, sockets.delivered);
        sockets.read = rounded_all(window, sockets.read);
        add_up(place(sockets_, SocketLabels{label_of(sockets.target), mode_of(sockets.target)}, series_of_sockets),
               sockets);
    }
}

void Exposition::add_node(const WatchWindow &window) {
    ++node_.windows;
    node_.last_window = window.begun + std::chrono::nanoseconds(window.duration_ns);
    for (const WatchSeries &series : window.series)
        node_.followed_hops += series.time.count();
    node_.overhead = window.overhead;
    node_.overhead_ns += window.overhead * static_cast<double>(window.duration_ns);
    node_.sample_ratio = window.sample_ratio;
    node_.over_budget = window.over_budget;
    node_.targets = window.targets;
    node_.modes = window.modes;
    node_.conservation = window.conservation;
    node_.series_dropped = window.series_dropped;
    for (const NodeCounters::Cpu &cpu : window.node.cpus) {
        node_.net_rx.net_rx_runs += cpu.net_rx_runs;
        node_.net_rx.ksoftirqd_runs += cpu.ksoftirqd_runs;
        node_.net_rx.packets += cpu.packets;
        node_.net_rx.time_squeezed += cpu.time_squeezed;
        node_.net_rx.backlog_dropped += cpu.backlog_dropped;
    }
}

} // namespace vethtrace
