// SPDX-License-Identifier: GPL-2.0-only
//
// A window of `watch`, made up: web on a bridge sends and receives, and db receives.
#pragma once

#include "core/watch.hpp"

#include <string>

namespace vethtrace::test {

inline constexpr Nanoseconds second_ns = 1'000'000'000;

inline SparseHistogram times(std::uint64_t count, Nanoseconds each) {
    SparseHistogram histogram;
    for (std::uint64_t i = 0; i < count; ++i)
        histogram.add(each);
    return histogram;
}

inline WatchSeries series_of(const std::string &target, Flow flow, Stage stage, std::uint64_t count, Nanoseconds each) {
    using namespace layout;
    bool is_wakeup = stage == Stage::wakeup;
    return {target,
            flow,
            is_wakeup ? at(MOMENT_DATA_READY, END_CONTAINER) : at(POINT_NETIF_RX, ROLE_HOST),
            is_wakeup ? at(MOMENT_APP_RECV, END_CONTAINER) : at(POINT_RECEIVE, ROLE_HOST),
            stage,
            "",
            times(count, each)};
}

inline Target target_named(const std::string &name) {
    Target target;
    target.kind = TargetKind::container;
    target.name = name;
    target.runtime = "docker";
    target.container_id = std::string(64, 'a');
    target.netns = 4026532000;
    target.pid = 4711;
    target.mode = Mode::bridge;
    target.devices = {{4026532000, 2, "eth0", layout::ROLE_CONTAINER, false},
                      {4026531840, 7, "veth1", layout::ROLE_HOST, false}};
    return target;
}

inline SlowPacket slow_packet(Nanoseconds total) {
    using namespace layout;
    SlowPacket packet;
    packet.target = "web";
    packet.protocol = "tcp";
    packet.source = "10.0.0.2:4711";
    packet.destination = "[fd00::2]:80";
    packet.bytes = 66;
    packet.total = total;
    packet.marks = {{at(POINT_QUEUE, ROLE_CONTAINER), std::nullopt, 0, 1, 4711, "nginx", "process", 3},
                    {at(POINT_XMIT, ROLE_CONTAINER), Stage::qdisc, total - 100, 0, 0, "swapper/0", "ksoftirqd", 0},
                    {at(POINT_NETIF_RX, ROLE_HOST), Stage::device_xmit, total, 0, 0, "swapper/0", "inline", 0}};
    return packet;
}

inline WatchWindow window_of(std::uint64_t number) {
    WatchWindow window;
    window.number = number;
    window.begun = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'795'478'400'123 + number * 1000));
    window.duration_ns = second_ns;
    window.overhead = 0.0125;
    window.series = {series_of("web", Flow::out, Stage::backlog, 2000, 1500),
                     series_of("web", Flow::in, Stage::wakeup, 1000, 20'000),
                     series_of("db", Flow::in, Stage::backlog, 500, 700)};
    window.drops = {{"web", Flow::out, at(layout::POINT_RECEIVE, layout::ROLE_HOST), "NETFILTER_DROP", 3}};
    window.slowest = {slow_packet(65'000)};
    window.node.cpus = {{0, 900, 10, 3000, 0, 0}, {1, 800, 0, 2900, 0, 0}};
    window.conservation.entered = 3500 * number;
    window.conservation.completed = 3497 * number;
    window.conservation.dropped = 3 * number;
    window.targets = 2;
    window.modes = {{"bridge", 2}};
    if (number == 1)
        window.arrived = {target_named("web"), target_named("db")};
    return window;
}

// The same where not all is well: a backlog and a qdisc that nobody sees, an application that does not read, packets
// that NAT has translated, and more tracing than is allowed.
inline WatchWindow troubled_window_of(std::uint64_t number) {
    WatchWindow window = window_of(number);
    window.sample_ratio = 1.25;
    window.over_budget = true;
    window.unseen = {
        {"db", Flow::in, Stage::backlog, 1204, 4, "tap0 is fed by a user-mode network"},
        {"web", Flow::out, Stage::qdisc, 0, 0, "the other end of eth0 is in a namespace that is not watched"}};
    window.sockets = {{.target = "web",
                       .delivered = 1000,
                       .read = 980,
                       .waiting = 3,
                       .oldest = 4'200'000'000,
                       .listen_overflows = 12,
                       .buffer_full = 1,
                       .retransmitted = 18,
                       .throttled_periods = 9,
                       .throttled = 812'000'000}};
    window.slowest.front().translated_destination = "10.9.0.2:12866";
    WatchConservation &books = window.conservation;
    books.left = 2000 * number;
    books.delivered = 1000 * number;
    books.control = 400 * number;
    books.to_host = 90 * number;
    books.discarded = 5 * number;
    books.read = 980 * number;
    for (Target &target : window.arrived) {
        target.devices.front().is_entry = true;
        target.unseen = {{Flow::in, Stage::backlog, "tap0 is fed by a user-mode network"}};
    }
    return window;
}

} // namespace vethtrace::test
