// SPDX-License-Identifier: GPL-2.0-only
#include "input/recording.hpp"

#include "core/utc.hpp"
#include "input/document.hpp"
#include "input/parts.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

namespace vethtrace {

namespace {

using Json = nlohmann::json;

constexpr std::string_view watch_schema = "vethtrace.watch/";
// The first version knows nothing of stages that were not seen, of sockets and of translated addresses.
constexpr int first_version = 1;
constexpr int newest_version = 2;

int read_version(const Node &schema) {
    std::string found = schema.text();
    for (int version = first_version; version <= newest_version; ++version)
        if (found == fmt::format("{}{}", watch_schema, version))
            return version;
    if (!schema.failed() && found.starts_with(watch_schema))
        schema.refuse(fmt::format("is {}, which this version does not know; it reads {}{} and {}{}", found,
                                  watch_schema, first_version, watch_schema, newest_version));
    schema.refuse(fmt::format("is not {}{}", watch_schema, newest_version));
    return newest_version;
}

// In the first version the watched container's socket is the client's, also where it serves.
Station read_watch_station(const Node &node) {
    Station station = read_station(node);
    for (layout::moment moment :
         {layout::MOMENT_APP_SEND, layout::MOMENT_DATA_READY, layout::MOMENT_APP_RECV, layout::MOMENT_TCP_RCV})
        if (station == at(moment, layout::END_CLIENT))
            return at(moment, layout::END_CONTAINER);
    return station;
}

constexpr std::uint64_t longest_ns = 400ULL * 86400 * 1'000'000'000;

int read_cpu(const Node &node) {
    constexpr std::uint64_t most_cpus = 1 << 20;
    return static_cast<int>(node.count(most_cpus));
}

Flow read_flow(const Node &node) {
    return node.one_of([](const std::string &name) { return flow_named(name); }, "out or in");
}

std::chrono::system_clock::time_point read_time(const Node &node) {
    std::string text = node.text();
    std::optional<std::chrono::system_clock::time_point> when = utc_from(text);
    if (!when && !node.failed())
        node.refuse("is no time in UTC, as in 2026-01-31T12:00:00.000Z");
    return when.value_or(std::chrono::system_clock::time_point());
}

template<typename Read>
auto read_all_of(const Node &from, Read read) {
    std::vector<Node> nodes = from.items();
    std::vector<decltype(read(from))> values;
    values.reserve(nodes.size());
    std::transform(nodes.begin(), nodes.end(), std::back_inserter(values), read);
    return values;
}

Stage read_stage(const Node &node) {
    return node.one_of([](const std::string &name) { return stage_named(name); }, "a stage");
}

WatchSeries read_series(const Node &from) {
    WatchSeries series;
    series.target = from["target"].text();
    series.flow = read_flow(from["direction"]);
    series.from = read_watch_station(from["from"]);
    series.to = read_watch_station(from["to"]);
    series.stage = read_stage(from["stage"]);
    series.group = from["group"].text();
    Buckets read = read_buckets(from);
    if (!read.buckets.empty())
        series.time = SparseHistogram(read.totals, std::move(read.buckets));
    return series;
}

WatchDrop read_drop(const Node &from) {
    return {from["target"].text(), read_flow(from["direction"]), read_watch_station(from["last"]),
            from["reason"].text(), from["count"].count()};
}

PacketMark read_mark(const Node &from) {
    PacketMark mark;
    mark.station = read_watch_station(from["station"]);
    if (!from["stage"].is_null())
        mark.stage = read_stage(from["stage"]);
    mark.since_first = from["since_first_ns"].count();
    mark.cpu = read_cpu(from["cpu"]);
    mark.pid = read_count32(from["pid"]);
    mark.comm = from["comm"].text();
    mark.context = from["context"].text();
    mark.queue = read_count32(from["queue"]);
    return mark;
}

SlowPacket read_packet(const Node &from, int version) {
    SlowPacket packet;
    packet.target = from["target"].text();
    packet.flow = read_flow(from["direction"]);
    packet.protocol = from["protocol"].text();
    packet.source = from["source"].text();
    packet.destination = from["destination"].text();
    if (version > first_version) {
        packet.translated_source = from["translated_source"].text();
        packet.translated_destination = from["translated_destination"].text();
    }
    packet.bytes = read_count32(from["bytes"]);
    packet.total = from["total_ns"].count();
    packet.marks = read_all_of(from["marks"], read_mark);
    auto earlier = [](const PacketMark &a, const PacketMark &b) { return a.since_first < b.since_first; };
    if (!std::is_sorted(packet.marks.begin(), packet.marks.end(), earlier))
        from["marks"].refuse("are not in the order of time");
    return packet;
}

Target read_target(const Node &from, int version) {
    Target target;
    target.name = from["name"].text();
    target.kind =
        from["kind"].one_of([](const std::string &name) { return target_kind_named(name); }, "a kind of target");
    target.runtime = from["runtime"].text();
    target.container_id = from["container_id"].text();
    target.pod = from["pod"].text();
    target.netns = read_count32(from["netns"]);
    target.pid = static_cast<pid_t>(from["pid"].count(std::numeric_limits<pid_t>::max()));
    if (std::string mode = from["mode"].text(); !mode.empty())
        target.mode = from["mode"].one_of([](const std::string &name) { return mode_named(name); }, "a mode");
    target.devices = read_all_of(from["devices"], [version](const Node &device) {
        WatchedDevice read;
        read.name = device["name"].text();
        read.ifindex = static_cast<int>(device["ifindex"].count(std::numeric_limits<int>::max()));
        read.netns = read_count32(device["netns"]);
        read.role = device["role"].one_of([](const std::string &name) { return role_named(name); }, "a role");
        if (version > first_version) {
            read.is_last = device["is_last"].flag();
            read.is_entry = device["is_entry"].flag();
        }
        return read;
    });
    if (version > first_version)
        target.unseen = read_all_of(from["unseen"], [](const Node &stage) {
            return UnseenStage{read_flow(stage["direction"]), read_stage(stage["stage"]), stage["why"].text()};
        });
    return target;
}

NodeCounters::Cpu read_cpu_counters(const Node &from) {
    return {read_cpu(from["id"]),    from["net_rx_runs"].count(),   from["ksoftirqd_runs"].count(),
            from["packets"].count(), from["time_squeezed"].count(), from["backlog_dropped"].count()};
}

WatchUnseen read_unseen(const Node &from) {
    return {from["target"].text(),    read_flow(from["direction"]), read_stage(from["stage"]),
            from["promised"].count(), from["seen"].count(),         from["why"].text()};
}

WatchSockets read_sockets(const Node &from) {
    WatchSockets sockets;
    sockets.target = from["target"].text();
    sockets.delivered = from["delivered"].count();
    sockets.read = from["read"].count();
    sockets.waiting = from["waiting"].count();
    sockets.oldest = from["oldest_ns"].count();
    sockets.listen_overflows = from["listen_overflows"].count();
    sockets.buffer_full = from["buffer_full"].count();
    sockets.retransmitted = from["retransmitted"].count();
    sockets.sent_segments = from["sent_segments"].count();
    sockets.bad_checksums = from["bad_checksums"].count();
    sockets.quota = from["quota"].text();
    sockets.throttled_periods = from["throttled_periods"].count();
    sockets.throttled = from["throttled_ns"].count();
    return sockets;
}

WatchConservation read_watch_conservation(const Node &from, int version) {
    WatchConservation books;
    books.entered = from["entered"].count();
    books.completed = from["completed"].count();
    books.dropped = from["dropped"].count();
    books.merged = from["merged"].count();
    books.segmented = from["segmented"].count();
    books.consumed = from["consumed"].count();
    books.stale = from["stale"].count();
    books.evicted = from["evicted"].count();
    books.crowded_out = from["crowded_out"].count();
    books.in_flight = from["in_flight"].count();
    if (version > first_version) {
        books.left = from["left"].count();
        books.delivered = from["delivered"].count();
        books.control = from["control"].count();
        books.to_host = from["to_host"].count();
        books.discarded = from["discarded"].count();
        books.read = from["read"].count();
        books.waits_lost = from["waits_lost"].count();
        if (books.left + books.delivered + books.control + books.to_host > books.completed)
            from["completed"].refuse("is less than its parts");
    }
    if (from["balanced"].flag() != books.balanced())
        from["balanced"].refuse("does not agree with the counts beside it");
    return books;
}

WatchTotals::Summary read_summary(const Node &from, int version) {
    WatchTotals::Summary summary;
    for (const Node &node : from["series"].items()) {
        WatchTotals::Key key(node["target"].text(), read_flow(node["direction"]), read_watch_station(node["from"]),
                             read_watch_station(node["to"]));
        WatchTotal total;
        total.stage = read_stage(node["stage"]);
        total.packets = node["packets"].count();
        Buckets read = read_buckets(node);
        if (!read.buckets.empty())
            total.time = SparseHistogram(read.totals, std::move(read.buckets));
        if (total.packets < total.time.count())
            node["packets"].refuse("are fewer than were followed");
        if (!summary.series.emplace(key, std::move(total)).second)
            node.refuse("is there twice");
    }
    for (const Node &node : from["drops"].items()) {
        WatchDrop drop = read_drop(node);
        summary.drops[{drop.target, drop.flow, drop.last, drop.reason}] += drop.count;
    }
    if (version > first_version) {
        for (const Node &node : from["unseen"].items()) {
            WatchUnseen unseen = read_unseen(node);
            WatchTotals::UnseenKey key(unseen.target, unseen.flow, unseen.stage);
            if (!summary.unseen.emplace(key, UnseenTotal{unseen.promised, unseen.seen, unseen.why}).second)
                node.refuse("is there twice");
        }
        for (const Node &node : from["sockets"].items()) {
            WatchSockets sockets = read_sockets(node);
            if (!summary.sockets.emplace(sockets.target, sockets).second)
                node.refuse("is there twice");
        }
        summary.windows_over_budget = from["windows_over_budget"].count();
    }
    summary.begun = read_time(from["begun"]);
    summary.duration_ns = from["duration_ns"].count(longest_ns);
    summary.windows = from["windows"].count();
    summary.mean_overhead = from["overhead_ratio"].ratio();
    if (summary.mean_overhead < 0)
        from["overhead_ratio"].refuse("is negative");
    summary.conservation = read_watch_conservation(from["conservation"], version);
    summary.series_dropped = from["series_dropped"].count();
    summary.slow_suppressed = from["slow_suppressed"].count();
    return summary;
}

// The advice in it is for other programs: here it follows from the rest once more.
WatchWindow read_window(const Node &from, int version) {
    WatchWindow window;
    window.number = from["number"].count();
    window.begun = read_time(from["begun"]);
    window.duration_ns = from["duration_ns"].count(longest_ns);
    window.sample = read_count32(from["sample"]);
    window.sample_ratio = from.has("sample_ratio") ? from["sample_ratio"].number() : window.sample;
    window.overhead = from["overhead_ratio"].ratio();
    window.grouping = from["grouping"].one_of([](const std::string &name) { return grouping_named(name); },
                                              "container, interface, cpu or direction");
    window.targets = from["targets"].count();
    for (const auto &[mode, count] : from["modes"].members())
        window.modes[mode] = count.count();
    window.arrived = read_all_of(from["arrived"], [&](const Node &target) { return read_target(target, version); });
    window.gone = read_all_of(from["gone"], read_text);
    window.series = read_all_of(from["series"], read_series);
    window.drops = read_all_of(from["drops"], read_drop);
    window.slowest = read_all_of(from["slowest"], [&](const Node &packet) { return read_packet(packet, version); });
    window.sample_ratio = window.sample;
    if (version > first_version) {
        window.sample_ratio = from["sample_ratio"].number();
        window.over_budget = from["over_budget"].flag();
        window.unseen = read_all_of(from["unseen"], read_unseen);
        window.sockets = read_all_of(from["sockets"], read_sockets);
    }
    window.node.cpus = read_all_of(from["node"]["cpus"], read_cpu_counters);
    window.conservation = read_watch_conservation(from["conservation"], version);
    window.series_dropped = from["series_dropped"].count();
    window.slow_suppressed = from["slow_suppressed"].count();
    window.notes = read_all_of(from["notes"], read_text);
    if (window.sample == 0)
        from["sample"].refuse("is 0");
    if (window.sample_ratio < 1)
        from["sample_ratio"].refuse("is less than 1");
    if (window.overhead < 0)
        from["overhead_ratio"].refuse("is negative");
    return window;
}

} // namespace

Result<WatchRecording> WatchRecording::read(std::string name, std::unique_ptr<std::istream> lines,
                                            const std::function<void(const WatchWindow &)> &each) {
    WatchRecording recording(std::move(name), std::move(lines));
    if (Result<void> read = recording.read_all(each); !read)
        return tl::unexpected(read.error());
    return recording;
}

Result<WatchRecording> WatchRecording::open(const std::string &path,
                                            const std::function<void(const WatchWindow &)> &each) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return fail(path, "is a directory", rewrite_hint);
    auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
    if (!*file)
        return fail_errno(path, errno, rewrite_hint);
    return read(path, std::move(file), each);
}

// Without its line end; it may lack one only at the end of the file.
Result<std::string> WatchRecording::next_line(std::size_t number) {
    std::string line;
    char letter = 0;
    std::streambuf &buffer = *lines_->rdbuf();
    for (int next = buffer.sbumpc(); next != std::char_traits<char>::eof(); next = buffer.sbumpc()) {
        letter = static_cast<char>(next);
        if (letter == '\n')
            return line;
        if (line.size() == most_document_bytes)
            return fail(fmt::format("{}:{}", name_, number),
                        fmt::format("is longer than {} MiB", most_document_bytes >> 20), rewrite_hint);
        line += letter;
    }
    lines_->setstate(std::ios::eofbit);
    return line;
}

Result<void> WatchRecording::read_all(const std::function<void(const WatchWindow &)> &each) {
    for (std::size_t number = 1;; ++number) {
        Place place{lines_->rdbuf()->pubseekoff(0, std::ios::cur, std::ios::in), number, 0};
        Result<std::string> line = next_line(number);
        if (!line)
            return tl::unexpected(line.error());
        bool cut_off = lines_->eof();
        if (cut_off && line->empty())
            break;
        if (!ended_.empty())
            return fail(fmt::format("{}:{}", name_, number), "comes after the line that sums up", rewrite_hint);
        Result<std::optional<WatchWindow>> window = take(*line, place);
        if (!window && cut_off && number > 1) {
            remarks_.push_back(fmt::format("{}:{} was cut off; what comes before it is shown", name_, number));
            break;
        }
        if (!window)
            return tl::unexpected(window.error());
        if (!*window)
            continue;
        place.number = (*window)->number;
        places_.push_back(place);
        totals_.add(**window);
        each(**window);
    }
    lines_->clear();
    if (version_ == first_version)
        remarks_.push_back(
            fmt::format("{} is of {}{}, which does not tell what was not seen", name_, watch_schema, first_version));
    if (places_.empty())
        return ended_.empty() ? fail(name_, "has no window", rewrite_hint) : Result<void>();
    if (ended_.empty()) {
        ended_ = "not known: its recorder was killed, or is still at work";
        remarks_.push_back(fmt::format("{} has no line that sums up", name_));
    } else if (windows_ != totals_.windows()) {
        remarks_.push_back(fmt::format("{} had {} windows, and {} of them are there", name_, *windows_, size()));
    }
    return {};
}

// Null: it was the line that sums up.
Result<std::optional<WatchWindow>> WatchRecording::take(const std::string &line, const Place &place) {
    std::string name = fmt::format("{}:{}", name_, place.line);
    Result<Json> json = parse_json(name, line);
    if (!json)
        return tl::unexpected(json.error());
    std::optional<Error> wrong;
    Node document(&*json, "", &wrong, name);
    version_ = read_version(document["schema"]);
    std::optional<WatchWindow> window;
    if (document["final"].flag()) {
        take_end(document);
    } else {
        window = read_window(document, version_);
        if (window->number <= last_number_)
            document["number"].refuse("is not above that of the window before it");
        last_number_ = window->number;
    }
    if (wrong)
        return tl::unexpected(*wrong);
    return window;
}

void WatchRecording::take_end(const Node &document) {
    environment_.tool = document["tool"]["version"].text();
    environment_.libbpf = document["tool"]["libbpf"].text();
    environment_.kernel = document["kernel"].text();
    windows_ = document["windows"].count();
    ended_ = document["ended"].text();
    if (ended_.empty())
        document["ended"].refuse("is empty");
    if (document.has("lab")) {
        Node lab = document["lab"];
        lab_ = {lab["mode"].text(), lab["topology"].text(), lab["cmd"].text(), lab["peer_cmd"].text()};
    }
    if (places_.empty())
        totals_ = WatchTotals::of(read_summary(document, version_));
}

std::size_t WatchRecording::index_of(std::uint64_t number) const {
    auto found = std::lower_bound(places_.begin(), places_.end(), number,
                                  [](const Place &place, std::uint64_t wanted) { return place.number < wanted; });
    return static_cast<std::size_t>(found - places_.begin());
}

Result<WatchWindow> WatchRecording::window(std::size_t index) {
    const Place &place = places_.at(index);
    lines_->rdbuf()->pubseekpos(place.offset, std::ios::in);
    Result<std::string> line = next_line(place.line);
    lines_->clear();
    if (!line)
        return tl::unexpected(line.error());
    last_number_ = 0;
    return take(*line, place).and_then([&](std::optional<WatchWindow> window) -> Result<WatchWindow> {
        if (!window)
            return fail(fmt::format("{}:{}", name_, place.line), "has changed meanwhile");
        return std::move(*window);
    });
}

bool is_recording(const std::string &path) {
    constexpr std::size_t enough = 256;
    std::error_code error;
    std::ifstream file;
    if (std::filesystem::is_regular_file(path, error)) // what is read from a pipe would be lost
        file.open(path, std::ios::binary);
    std::string begin(enough, '\0');
    file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
    std::size_t word = begin.find("\"vethtrace.watch/");
    return word != std::string::npos && begin.find_first_of('}') > word;
}

} // namespace vethtrace
