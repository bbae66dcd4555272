// SPDX-License-Identifier: GPL-2.0-only
#include "watch/watcher.hpp"

#include "core/drops.hpp"
#include "hooks/features.hpp"
#include "hooks/programs.hpp"
#include "privileges/privileges.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <malloc.h>

namespace vethtrace {

namespace {

constexpr std::uint32_t reported_at_most = 20; // packets beyond --slower-than, on each CPU and window

// As the programs have them, by the number that this kernel gives a reason.
std::array<std::uint8_t, layout::DROP_REASONS> harmless_reasons(const std::vector<std::string> &names) {
    std::array<std::uint8_t, layout::DROP_REASONS> all = {};
    for (std::size_t reason = 0; reason <= layout::DROP_UNNAMED; ++reason) {
        HarmlessWhen when = harmless_when(drop_reason_name(names, reason));
        all.at(reason) = static_cast<std::uint8_t>((when.without_payload ? watch_layout::HARMLESS_WITHOUT_PAYLOAD : 0) |
                                                   (when.always_tcp ? watch_layout::HARMLESS_TCP : 0) |
                                                   (when.icmp ? watch_layout::HARMLESS_ICMP : 0) |
                                                   (when.multicast ? watch_layout::HARMLESS_MULTICAST : 0));
    }
    return all;
}

Result<std::unique_ptr<WatchEngine>> load_engine(const WatchOptions &options) {
    Result<Features> features = Features::read();
    if (!features)
        return tl::unexpected(features.error());
    std::vector<Choice> choices = features->choose_all(ladders_for_watching(), options.denied);
    if (Result<void> complete = check_required(choices); !complete)
        return tl::unexpected(complete.error());
    WatchEngineOptions engine{.filter = options.filter,
                              .can_cast = features->can_cast(),
                              .sample = options.sample,
                              .series = options.series,
                              .slower_than = 0,
                              .reported_at_most = reported_at_most,
                              .harmless = harmless_reasons(features->drop_reasons())};
    if (options.slower_than)
        engine.slower_than = static_cast<std::uint64_t>(options.slower_than->count());
    return WatchEngine::load(engine, choices, features->drop_reasons());
}

watch_layout::watch_group group_of(Grouping grouping) {
    switch (grouping) {
    case Grouping::cpu:
        return watch_layout::GROUP_CPU;
    case Grouping::interface:
        return watch_layout::GROUP_INTERFACE;
    case Grouping::container:
    case Grouping::direction:
        break;
    }
    return watch_layout::GROUP_NONE;
}

} // namespace

Watcher::Watcher(const WatchOptions &options, std::unique_ptr<TargetFinder> finder, std::unique_ptr<WatchEngine> engine)
    : options_(options), finder_(std::move(finder)), engine_(std::move(engine)), registry_(*engine_),
      windows_(*engine_, registry_), overhead_(*engine_, options.max_overhead, options.sample),
      begun_(std::chrono::steady_clock::now()), begun_wall_(std::chrono::system_clock::now()) {
    engine_->set_grouping(group_of(options.grouping));
}

Result<std::unique_ptr<Watcher>> Watcher::open(const WatchOptions &options) {
    // The targets first: a wrong name is told before anything is loaded.
    auto finder = std::make_unique<TargetFinder>(options.selection);
    Result<Found> found = finder->find();
    if (!found)
        return tl::unexpected(found.error());
    Result<std::unique_ptr<WatchEngine>> engine = load_engine(options);
    malloc_trim(0); // the kernel's BTF took some 30 MB for a moment
    if (!engine)
        return tl::unexpected(engine.error());
    std::unique_ptr<Watcher> watcher(new Watcher(options, std::move(finder), std::move(*engine)));
    Result<TargetChanges> changes = watcher->registry_.update(*found);
    if (!changes)
        return tl::unexpected(changes.error());
    watcher->take(std::move(*changes));
    watcher->windows_.begin_to_count();
    if (Result<void> attached = watcher->engine_->attach(); !attached)
        return tl::unexpected(attached.error());
    watcher->overhead_.begin();
    watcher->engine_->follow();
    watcher->softnet_ = read_softnet().value_or(SoftnetReading());
    watcher->begun_ = std::chrono::steady_clock::now();
    watcher->begun_wall_ = std::chrono::system_clock::now();
    return watcher;
}

Result<void> Watcher::refresh() {
    return finder_->find()
        .and_then([&](const Found &found) { return registry_.update(found); })
        .map([&](TargetChanges changes) {
            take(std::move(changes));
            windows_.begin_to_count();
        });
}

void Watcher::take(TargetChanges changes) {
    auto append = [](auto &to, auto &from) { std::move(from.begin(), from.end(), std::back_inserter(to)); };
    append(changes_.arrived, changes.arrived);
    append(changes_.gone, changes.gone);
    append(changes_.notes, changes.notes);
}

void Watcher::poll(const std::function<void(const SlowPacket &)> &each) {
    engine_->poll_reported([&](const watch_layout::journey &journey) { each(to_slow_packet(journey, registry_)); });
    if (!gave_up_)
        overhead_.look();
}

void Watcher::set_grouping(Grouping grouping) {
    if (grouping == options_.grouping)
        return;
    options_.grouping = grouping;
    engine_->set_grouping(group_of(grouping));
}

Result<WatchWindow> Watcher::next_window() {
    // What comes while it is read may be the next window's, so the time of reading is as well.
    auto now = std::chrono::steady_clock::now();
    auto now_wall = std::chrono::system_clock::now();
    Result<WatchWindow> window = windows_.close(options_.slowest, options_.grouping, is_detached_);
    if (!window)
        return window;
    window->duration_ns = static_cast<Nanoseconds>(std::chrono::nanoseconds(now - begun_).count());
    window->begun = begun_wall_;
    begun_ = now;
    begun_wall_ = now_wall;
    Overhead::Window cost = overhead_.end_window();
    window->sample = cost.sample;
    window->sample_ratio = cost.sample_ratio;
    window->overhead = cost.overhead;
    window->over_budget = cost.over_budget;
    TargetChanges changes = std::exchange(changes_, {});
    window->arrived = std::move(changes.arrived);
    window->gone = std::move(changes.gone);
    window->notes = std::move(changes.notes);
    add_node(*window);
    if (!gave_up_)
        keep_budget(cost);
    return window;
}

void Watcher::give_up(std::string why) {
    gave_up_ = std::move(why);
    detach();
}

void Watcher::keep_budget(const Overhead::Window &window) {
    constexpr unsigned patience = 3; // windows, and seconds: by then the prices have been measured anew
    auto now = std::chrono::steady_clock::now();
    constexpr double mebibyte = 1 << 20;
    if (std::uint64_t resident = resident_bytes(); resident > options_.max_memory)
        return give_up(fmt::format("it has come to {:.1f} MiB of memory, and may have {:.1f}",
                                   static_cast<double>(resident) / mebibyte,
                                   static_cast<double>(options_.max_memory) / mebibyte));
    if (!window.is_hopeless)
        hopeless_ = 0;
    else if (hopeless_++ == 0)
        hopeless_since_ = now;
    if (hopeless_ >= patience && now - hopeless_since_ >= std::chrono::seconds(patience - 1))
        give_up(fmt::format("the budget of {:.1f} % of a CPU's time cannot be kept: with one packet in {} it is "
                            "{:.1f} %",
                            options_.max_overhead * 100, window.sample, window.overhead * 100));
}

void Watcher::add_node(WatchWindow &window) {
    Result<SoftnetReading> now = read_softnet();
    if (!now)
        return;
    for (const auto &[id, grown] : difference(softnet_, *now)) {
        auto known = std::find_if(window.node.cpus.begin(), window.node.cpus.end(),
                                  [&, cpu = id](const NodeCounters::Cpu &each) { return each.id == cpu; });
        if (known == window.node.cpus.end())
            known = window.node.cpus.insert(known, NodeCounters::Cpu{.id = id});
        known->packets = grown.processed;
        known->time_squeezed = grown.time_squeezed;
        known->backlog_dropped = grown.dropped;
    }
    softnet_ = std::move(*now);
}

void Watcher::detach() {
    engine_->detach();
    is_detached_ = true;
}

} // namespace vethtrace
