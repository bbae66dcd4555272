// SPDX-License-Identifier: GPL-2.0-only
#include "report/watch_json.hpp"

#include "core/units.hpp"
#include "core/utc.hpp"
#include "report/distribution.hpp"
#include "report/watch_words.hpp"

#include <fmt/format.h>

namespace vethtrace {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char *watch_schema = "vethtrace.watch/2";

double rounded_rate(double packets, Nanoseconds duration) {
    return rounded(per_second(packets, duration).value_or(0));
}

Json series_json(const WatchSeries &series, const WatchWindow &window) {
    Json json = {{"target", series.target},
                 {"direction", name_of(series.flow)},
                 {"from", name_of(series.from)},
                 {"to", name_of(series.to)},
                 {"stage", name_of(series.stage)},
                 {"group", series.group},
                 {"rate_per_s", rounded_rate(window.all_of(series.time.count()), window.duration_ns)},
                 {"count", series.time.count()},
                 {"sum_ns", series.time.sum()}};
    add_distribution(json, series.time);
    return json;
}

Json drop_json(const std::string &target, Flow flow, Station last, const std::string &reason, std::uint64_t count) {
    return {{"target", target},
            {"direction", name_of(flow)},
            {"last", name_of(last)},
            {"reason", reason},
            {"count", count}};
}

Json node_json(const NodeCounters &node) {
    Json cpus = Json::array();
    for (const NodeCounters::Cpu &cpu : node.cpus)
        cpus.push_back({{"id", cpu.id},
                        {"net_rx_runs", cpu.net_rx_runs},
                        {"ksoftirqd_runs", cpu.ksoftirqd_runs},
                        {"packets", cpu.packets},
                        {"time_squeezed", cpu.time_squeezed},
                        {"backlog_dropped", cpu.backlog_dropped}});
    return {{"cpus", std::move(cpus)}};
}

Json conservation_json(const WatchConservation &books) {
    return {{"entered", books.entered},
            {"completed", books.completed},
            {"left", books.left},
            {"delivered", books.delivered},
            {"control", books.control},
            {"to_host", books.to_host},
            {"dropped", books.dropped},
            {"merged", books.merged},
            {"segmented", books.segmented},
            {"consumed", books.consumed},
            {"stale", books.stale},
            {"evicted", books.evicted},
            {"crowded_out", books.crowded_out},
            {"in_flight", books.in_flight},
            {"discarded", books.discarded},
            {"read", books.read},
            {"waits_lost", books.waits_lost},
            {"balanced", books.balanced()}};
}

Json advice_json(const std::vector<Advice> &advice) {
    Json json = Json::array();
    for (const Advice &piece : advice)
        json.push_back({{"rule", piece.rule},
                        {"what", piece.what},
                        {"evidence", piece.evidence},
                        {"setting", piece.setting},
                        {"page", piece.page}});
    return json;
}

template<typename Items, typename ToJson>
Json array_of(const Items &items, ToJson to) {
    Json json = Json::array();
    for (const auto &item : items)
        json.push_back(to(item));
    return json;
}

Json unseen_json(const WatchUnseen &unseen) {
    return {{"target", unseen.target},
            {"direction", name_of(unseen.flow)},
            {"stage", name_of(unseen.stage)},
            {"promised", unseen.promised},
            {"seen", unseen.seen},
            {"why", unseen.why}};
}

Json sockets_json(const WatchSockets &sockets) {
    return {{"target", sockets.target},
            {"delivered", sockets.delivered},
            {"read", sockets.read},
            {"waiting", sockets.waiting},
            {"oldest_ns", sockets.oldest},
            {"listen_overflows", sockets.listen_overflows},
            {"buffer_full", sockets.buffer_full},
            {"retransmitted", sockets.retransmitted},
            {"sent_segments", sockets.sent_segments},
            {"bad_checksums", sockets.bad_checksums},
            {"throttled_periods", sockets.throttled_periods},
            {"throttled_ns", sockets.throttled},
            {"quota", sockets.quota}};
}

// Texts that there are none of are empty, and so is its mode if it is connected by nothing that is known here.
Json target_json(const Target &target) {
    Json devices = array_of(target.devices, [](const WatchedDevice &device) -> Json {
        return {{"name", device.name},          {"ifindex", device.ifindex}, {"netns", device.netns},
                {"role", name_of(device.role)}, {"is_last", device.is_last}, {"is_entry", device.is_entry}};
    });
    Json unseen = array_of(target.unseen, [](const UnseenStage &one) -> Json {
        return {{"direction", name_of(one.flow)}, {"stage", name_of(one.stage)}, {"why", one.why}};
    });
    return {{"name", target.name},
            {"kind", name_of(target.kind)},
            {"runtime", target.runtime},
            {"container_id", target.container_id},
            {"pod", target.pod},
            {"netns", target.netns},
            {"pid", target.pid},
            {"mode", target.mode ? name_of(*target.mode) : ""},
            {"devices", std::move(devices)},
            {"unseen", std::move(unseen)}};
}

} // namespace

Json to_json(const SlowPacket &packet) {
    Json marks = array_of(packet.marks, [](const PacketMark &mark) -> Json {
        return {{"station", name_of(mark.station)},
                {"stage", mark.stage ? Json(name_of(*mark.stage)) : Json()},
                {"since_first_ns", mark.since_first},
                {"cpu", mark.cpu},
                {"pid", mark.pid},
                {"comm", mark.comm},
                {"context", mark.context},
                {"queue", mark.queue}};
    });
    return {{"target", packet.target},
            {"direction", name_of(packet.flow)},
            {"protocol", packet.protocol},
            {"source", packet.source},
            {"destination", packet.destination},
            {"translated_source", packet.translated_source},
            {"translated_destination", packet.translated_destination},
            {"bytes", packet.bytes},
            {"total_ns", packet.total},
            {"marks", std::move(marks)}};
}

Json to_json(const WatchWindow &window, const std::vector<Advice> &advice) {
    return {{"schema", watch_schema},
            {"final", false},
            {"number", window.number},
            {"begun", utc_text(window.begun)},
            {"duration_ns", window.duration_ns},
            {"sample", window.sample},
            {"sample_ratio", window.sample_ratio},
            {"overhead_ratio", window.overhead},
            {"over_budget", window.over_budget},
            {"grouping", name_of(window.grouping)},
            {"targets", window.targets},
            {"modes", window.modes},
            {"arrived", array_of(window.arrived, target_json)},
            {"gone", window.gone},
            {"series", array_of(window.series, [&](const WatchSeries &series) { return series_json(series, window); })},
            {"drops", array_of(window.drops,
                               [](const WatchDrop &drop) {
                                   return drop_json(drop.target, drop.flow, drop.last, drop.reason, drop.count);
                               })},
            {"slowest", array_of(window.slowest, [](const SlowPacket &packet) { return to_json(packet); })},
            {"unseen", array_of(window.unseen, unseen_json)},
            {"sockets", array_of(window.sockets, sockets_json)},
            {"node", node_json(window.node)},
            {"conservation", conservation_json(window.conservation)},
            {"series_dropped", window.series_dropped},
            {"slow_suppressed", window.slow_suppressed},
            {"advice", advice_json(advice)},
            {"notes", window.notes}};
}

Json final_json(const WatchTotals &totals, const std::vector<Advice> &advice, const std::string &ended,
                const Environment &environment) {
    Json series = Json::array();
    for (const auto &[key, total] : totals.series()) {
        const auto &[target, flow, from, to] = key;
        Json json = {{"target", target},
                     {"direction", name_of(flow)},
                     {"from", name_of(from)},
                     {"to", name_of(to)},
                     {"stage", name_of(total.stage)},
                     {"packets", total.packets},
                     {"rate_per_s", rounded_rate(static_cast<double>(total.packets), totals.duration_ns())},
                     {"count", total.time.count()},
                     {"sum_ns", total.time.sum()}};
        add_distribution(json, total.time);
        series.push_back(std::move(json));
    }
    Json drops = Json::array();
    for (const auto &[key, count] : totals.drops())
        drops.push_back(drop_json(std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key), count));
    return {{"schema", watch_schema},
            {"final", true},
            {"tool", {{"version", environment.tool}, {"libbpf", environment.libbpf}}},
            {"kernel", environment.kernel},
            {"begun", utc_text(totals.begun())},
            {"duration_ns", totals.duration_ns()},
            {"windows", totals.windows()},
            {"windows_over_budget", totals.windows_over_budget()},
            {"ended", ended},
            {"overhead_ratio", totals.mean_overhead()},
            {"series", std::move(series)},
            {"drops", std::move(drops)},
            {"unseen", array_of(unseen_of(totals), unseen_json)},
            {"sockets", array_of(totals.sockets(), [](const auto &entry) { return sockets_json(entry.second); })},
            {"conservation", conservation_json(totals.conservation())},
            {"series_dropped", totals.series_dropped()},
            {"slow_suppressed", totals.slow_suppressed()},
            {"advice", advice_json(advice)}};
}

} // namespace vethtrace
