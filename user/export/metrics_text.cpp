// SPDX-License-Identifier: GPL-2.0-only
#include "export/metrics_text.hpp"

#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sstream>
#include <utility>

namespace vethtrace {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double seconds(Nanoseconds ns) {
    return static_cast<double>(ns) / ns_per_s;
}

// The families in the order in which they are told.
class Families {
public:
    // One more metric of the family that was begun last.
    void add(Labels labels, double value) {
        ClientMetric &metric = all_.back().metric.emplace_back();
        metric.label = std::move(labels);
        if (all_.back().type == MetricType::Counter)
            metric.counter.value = value;
        else
            metric.gauge.value = value;
    }
    void add(Labels labels, const OctaveHistogram &times) {
        ClientMetric &metric = all_.back().metric.emplace_back();
        metric.label = std::move(labels);
        metric.histogram.sample_count = times.count();
        metric.histogram.sample_sum = seconds(times.sum());
        std::size_t index = 0;
        for (std::uint64_t count : times.cumulated())
            metric.histogram.bucket.push_back({count, seconds(OctaveHistogram::bound(index++))});
    }

    void begin(MetricType type, std::string name, std::string help) {
        all_.push_back({"vethtrace_" + std::move(name), std::move(help), type, {}});
    }
    void counter(std::string name, std::string help, std::uint64_t value) {
        begin(MetricType::Counter, std::move(name), std::move(help));
        add({}, static_cast<double>(value));
    }
    void gauge(std::string name, std::string help, double value) {
        begin(MetricType::Gauge, std::move(name), std::move(help));
        add({}, value);
    }

    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        prometheus::TextSerializer().Serialize(out, all_);
        return std::move(out).str();
    }

private:
    std::vector<MetricFamily> all_;
};

template<typename What>
Labels labels_of(const What &what) {
    return {{"container", what.container}, {"mode", what.mode}, {"direction", std::string(name_of(what.flow))}};
}

Labels labels_with_stage(const HopLabels &hop) {
    Labels labels = labels_of(hop);
    labels.push_back({"stage", std::string(name_of(hop.stage))});
    return labels;
}

void add_packets(const Exposition &exposition, Families &families) {
    families.begin(MetricType::Histogram, "hop_latency_seconds",
                   "Time that packets spent in a stage of their way, of all packets: with sampling each one that was "
                   "followed counts for as many as it stands for.");
    for (const auto &[hop, times] : exposition.hops())
        families.add(labels_with_stage(hop), times);
    families.begin(
        MetricType::Gauge, "unseen_stages",
        "Targets whose links and sockets promise that stage, and of which fewer than 99 % of the packets were "
        "seen there in the last window: what they spent there is in no histogram.");
    for (const auto &[stage, figures] : exposition.unseen())
        families.add(labels_with_stage(stage), static_cast<double>(figures.targets));
    families.begin(MetricType::Counter, "unseen_packets_total",
                   "Packets that should have been seen in that stage and were not, as far as it is known how many.");
    for (const auto &[stage, figures] : exposition.unseen())
        families.add(labels_with_stage(stage), static_cast<double>(figures.packets));
    families.begin(MetricType::Counter, "dropped_packets_total",
                   "Packets that the kernel dropped, by its reason and the station that saw them last; counted as in "
                   "vethtrace_hop_latency_seconds.");
    for (const auto &[drop, count] : exposition.drops()) {
        Labels labels = labels_of(drop);
        labels.push_back({"station", drop.station});
        labels.push_back({"reason", drop.reason});
        families.add(std::move(labels), std::round(count));
    }
}

// What has become of packets in the sockets of each container.
void add_sockets(const Exposition &exposition, Families &families) {
    struct Figure {
        MetricType type;
        const char *name;
        const char *help;
        double (*value)(const WatchSockets &sockets);
    };
    const std::array<Figure, Exposition::series_of_sockets> figures = {{
        {MetricType::Counter, "socket_delivered_total", "Packets with data that a socket has taken.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.delivered); }},
        {MetricType::Counter, "socket_read_total", "Reads that ended a socket's wait for its application.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.read); }},
        {MetricType::Gauge, "socket_unread_sockets", "Sockets with data that nobody has read.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.waiting); }},
        {MetricType::Gauge, "socket_unread_seconds", "For how long the longest of them has waited.",
         [](const WatchSockets &sockets) { return seconds(sockets.oldest); }},
        {MetricType::Counter, "socket_buffer_full_total", "Packets refused, because a socket's buffer was full.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.buffer_full); }},
        {MetricType::Counter, "listen_overflows_total", "Connections refused, because a listener's queue was full.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.listen_overflows); }},
        {MetricType::Counter, "retransmitted_segments_total", "Segments that TCP has sent again.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.retransmitted); }},
        {MetricType::Counter, "bad_checksums_total", "Packets refused, because their UDP or TCP checksum was wrong.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.bad_checksums); }},
        {MetricType::Counter, "throttled_periods_total",
         "Periods of cpu.max in which the processes of the container had to stop.",
         [](const WatchSockets &sockets) { return static_cast<double>(sockets.throttled_periods); }},
        {MetricType::Counter, "throttled_seconds_total", "For how long they had to stop.",
         [](const WatchSockets &sockets) { return seconds(sockets.throttled); }},
    }};
    for (const Figure &figure : figures) {
        families.begin(figure.type, figure.name, figure.help);
        for (const auto &[labels, sockets] : exposition.sockets())
            families.add({{"container", labels.container}, {"mode", labels.mode}}, figure.value(sockets));
    }
}

void add_targets(const Exposition &exposition, Families &families) {
    families.begin(MetricType::Gauge, "target_info", "What a name in the label container stands for.");
    for (const Target &target : exposition.targets())
        families.add({{"container", target.name},
                      {"kind", std::string(name_of(target.kind))},
                      {"runtime", target.runtime},
                      {"container_id", target.container_id},
                      {"pod", target.pod},
                      {"netns", std::to_string(target.netns)},
                      {"mode", target.mode ? std::string(name_of(*target.mode)) : "other"}},
                     1);
    families.begin(MetricType::Gauge, "targets", "Targets that are here now, by how they are connected.");
    for (const auto &[mode, count] : exposition.node().modes)
        families.add({{"mode", mode}}, static_cast<double>(count));
    families.gauge("unnamed_containers", "Containers that lately had packets, counted as container=\"other\".",
                   static_cast<double>(exposition.nameless()));
    families.gauge("max_series", "So many series are exposed at most.", static_cast<double>(exposition.most_series()));
}

// These are of the packets that were followed, unscaled: so they must balance to the last packet.
void add_books(const NodeFigures &node, Families &families) {
    const WatchConservation &books = node.conservation;
    families.counter("followed_packets_entered_total", "Packets that were followed from their first device on.",
                     books.entered);
    std::uint64_t told = books.left + books.delivered + books.control + books.to_host;
    families.begin(MetricType::Counter, "followed_packets_ended_total", "How the packets ended that were followed.");
    for (const auto &[how, count] : std::initializer_list<std::pair<const char *, std::uint64_t>>{
             {"left", books.left},
             {"delivered", books.delivered},
             {"control", books.control},
             {"to_host", books.to_host},
             {"completed", books.completed - std::min(told, books.completed)},
             {"dropped", books.dropped},
             {"merged", books.merged},
             {"segmented", books.segmented},
             {"consumed", books.consumed},
             {"stale", books.stale},
             {"evicted", books.evicted}})
        families.add({{"how", how}}, static_cast<double>(count));
    families.gauge("followed_packets_in_flight", "Packets that are followed and have not ended.",
                   static_cast<double>(books.in_flight));
    families.counter("followed_packets_discarded_total",
                     "Packets that TCP has let go of without harm: duplicates, and what ends a connection.",
                     books.discarded);
    families.gauge("books_balanced", "1 if all that entered has ended or is in flight, within one in 1,000.",
                   books.balanced() ? 1 : 0);
    families.counter("crowded_out_packets_total", "Packets that could not be followed: too many were in flight.",
                     books.crowded_out);
    families.counter("lost_waits_total",
                     "Waits of sockets for their applications that found no place; they are in no wakeup.",
                     books.waits_lost);
    families.counter("followed_hops_total", "Hops that were measured, each counted once.", node.followed_hops);
    families.counter("unplaced_hops_total", "Hops and drops that found no place in the kernel's tables.",
                     node.series_dropped);
}

void add_cost(const NodeFigures &node, const ExporterState &state, Families &families) {
    families.gauge("watching", "1 while packets are followed; 0 once it has given up because it cost too much.",
                   state.watching ? 1 : 0);
    families.gauge("sample_ratio", "The part of all packets that is followed.", 1 / node.sample_ratio);
    families.gauge("overhead_ratio", "The part of its time that the busiest CPU spent in tracing, in the last window.",
                   node.overhead);
    families.gauge("overhead_limit_ratio", "What it may be at most: fewer packets are followed before it is more.",
                   state.max_overhead);
    families.gauge("budget_exceeded", "1 if tracing took more than that in the last window.", node.over_budget ? 1 : 0);
    families.begin(MetricType::Counter, "overhead_seconds_total", "Time that the busiest CPU spent in tracing.");
    families.add({}, node.overhead_ns / ns_per_s);
    families.counter("missed_events_total", "Runs of tracing programs that the kernel suppressed.", state.missed);
    families.begin(MetricType::Counter, "cpu_seconds_total", "CPU time of the exporter's process.");
    families.add({}, state.cost.cpu_seconds);
    families.gauge("resident_memory_bytes", "Memory of the exporter's process.",
                   static_cast<double>(state.resident_bytes));
    families.gauge("open_fds", "Descriptors that the exporter's process has open.",
                   static_cast<double>(state.cost.descriptors));
    families.counter("windows_total", "Windows of time that were gathered.", node.windows);
    families.begin(MetricType::Gauge, "last_window_timestamp_seconds", "When the last window ended.");
    families.add({}, std::chrono::duration<double>(node.last_window.time_since_epoch()).count());
    families.counter("failed_looks_total", "Times that looking for containers has failed.", state.failed_looks);
    families.counter("failed_textfile_writes_total", "Times that the file of --textfile could not be written.",
                     state.failed_textfile_writes);
    families.begin(MetricType::Counter, "http_answers_total", "Answers to HTTP requests, by status.");
    for (const auto &[status, count] : state.answers)
        families.add({{"status", std::to_string(status)}}, static_cast<double>(count));
    families.counter("http_cut_connections_total", "Connections that were ended because they were slow, or too many.",
                     state.cut_connections);
}

void add_net_rx(const NodeFigures &node, Families &families) {
    families.counter("net_rx_runs_total", "NET_RX runs that received a packet that is followed.",
                     node.net_rx.net_rx_runs);
    families.counter("net_rx_ksoftirqd_runs_total", "Those of them that were left to ksoftirqd.",
                     node.net_rx.ksoftirqd_runs);
    families.counter("net_rx_packets_total", "Packets that NET_RX processed, of the whole node.", node.net_rx.packets);
    families.counter("net_rx_time_squeezed_total", "NET_RX runs that stopped with packets left, of the whole node.",
                     node.net_rx.time_squeezed);
    families.counter("net_rx_backlog_dropped_total", "Packets that found a CPU's backlog full, of the whole node.",
                     node.net_rx.backlog_dropped);
}

} // namespace

std::string metrics_text(const Exposition &exposition, const ExporterState &state) {
    Families families;
    families.begin(MetricType::Gauge, "build_info", "1; the labels tell what this is.");
    families.add({{"version", state.version}, {"libbpf", state.libbpf}, {"kernel", state.kernel}}, 1);
    add_targets(exposition, families);
    add_packets(exposition, families);
    add_sockets(exposition, families);
    add_books(exposition.node(), families);
    add_net_rx(exposition.node(), families);
    add_cost(exposition.node(), state, families);
    return families.text();
}

} // namespace vethtrace
