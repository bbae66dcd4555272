// SPDX-License-Identifier: GPL-2.0-only
#include "export/names.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {

// So long ago, packets count half.
constexpr double half_life_ns = 60e9;
// Below that, a container is not busy at all.
constexpr double hardly_any = 0.5;
// So much busier must one be for another to lose its name.
constexpr double by_far = 2;

} // namespace

void Names::look(const WatchWindow &window) {
    now_ += window.duration_ns;
    double kept = std::exp2(-static_cast<double>(window.duration_ns) / half_life_ns);
    for (auto &[name, container] : containers_)
        container.packets *= kept;
    auto count = [&](const std::string &name, std::uint64_t packets) {
        if (name.empty() || name == other_containers || name == nobody)
            return;
        Container &container = containers_[name];
        container.packets += window.all_of(packets);
        container.gone.reset(); // or there is another one of that name
    };
    for (const WatchSeries &series : window.series)
        count(series.target, series.time.count());
    for (const WatchDrop &drop : window.drops)
        count(drop.target, drop.count);
    for (const std::string &name : window.gone)
        if (auto known = containers_.find(name); known != containers_.end())
            known->second.gone = now_;
    for (const Target &target : window.arrived) // what comes back within a window is in both lists
        if (auto known = containers_.find(target.name); known != containers_.end())
            known->second.gone.reset();
    forget();
}

// Those of which nothing is left to know.
void Names::forget() {
    std::erase_if(containers_, [&](const auto &entry) {
        const Container &container = entry.second;
        return !container.named && container.packets < hardly_any &&
               (!container.nameless || is_past(container.nameless));
    });
}

bool Names::has(const std::string &container) const {
    auto known = containers_.find(container);
    return known != containers_.end() && known->second.named;
}

std::size_t Names::nameless() const {
    return static_cast<std::size_t>(std::count_if(containers_.begin(), containers_.end(), [](const auto &entry) {
        return !entry.second.named && entry.second.packets >= hardly_any;
    }));
}

std::optional<std::string> Names::next() const {
    const std::string *busiest = nullptr;
    double packets = hardly_any;
    for (const auto &[name, container] : containers_) {
        bool may = !container.named && !container.gone && (!container.nameless || is_past(container.nameless));
        if (!may || container.packets <= packets)
            continue;
        busiest = &name;
        packets = container.packets;
    }
    return busiest == nullptr ? std::nullopt : std::optional(*busiest);
}

std::vector<std::string> Names::over() const {
    std::vector<std::string> over;
    for (const auto &[name, container] : containers_)
        if (container.named && container.gone && is_past(container.gone))
            over.push_back(name);
    return over;
}

std::optional<std::string> Names::least() const {
    std::optional<std::string> busiest = next();
    if (!busiest)
        return std::nullopt;
    const std::string *least = nullptr;
    double packets = containers_.at(*busiest).packets / by_far;
    for (const auto &[name, container] : containers_) {
        if (!container.named || !is_past(container.named) || container.packets >= packets)
            continue;
        least = &name;
        packets = container.packets;
    }
    return least == nullptr ? std::nullopt : std::optional(*least);
}

void Names::give(const std::string &container) {
    containers_[container].named = now_;
    containers_[container].nameless.reset();
    ++named_;
}

void Names::take(const std::string &container) {
    Container &known = containers_.at(container);
    known.named.reset();
    known.nameless = now_;
    --named_;
}

} // namespace vethtrace
