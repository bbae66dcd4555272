// SPDX-License-Identifier: GPL-2.0-only
#include "vm/witness.hpp"

#include "support/process.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

namespace vethtrace::test {

namespace {

// "43.090997060:" in ns.
std::optional<std::int64_t> parse_time(const std::string &word) {
    constexpr std::int64_t per_second = 1'000'000'000;
    const char *end = word.data() + word.size();
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    auto [dot, error] = std::from_chars(word.data(), end, seconds);
    if (error != std::errc() || dot == end || *dot != '.')
        return std::nullopt;
    if (std::from_chars(dot + 1, end, nanoseconds).ec != std::errc())
        return std::nullopt;
    return seconds * per_second + nanoseconds;
}

// "  rr-client-289   [000]    43.090997060: kfree_skb:   skbaddr=..."
std::optional<TraceEvent> parse(const std::string &line) {
    std::size_t cpu = line.find(" [0");
    std::size_t begin = line.find_first_not_of(' ');
    if (cpu == std::string::npos || begin > cpu)
        return std::nullopt;
    std::istringstream rest(line.substr(cpu));
    std::string word;
    TraceEvent event;
    rest >> word >> word >> event.name;
    std::optional<std::int64_t> when = parse_time(word);
    if (!when || event.name.empty())
        return std::nullopt;
    event.when = *when;
    event.name.pop_back(); // the colon
    event.task = line.substr(begin, line.find_last_not_of(' ', cpu) - begin + 1);
    std::getline(rest >> std::ws, event.fields);
    return event;
}

bool attaches(const TraceEvent &event) {
    // BPF_RAW_TRACEPOINT_OPEN and BPF_LINK_CREATE of enum bpf_cmd
    return event.name == "sys_enter_bpf" &&
           (event.field("cmd: ") == "0x00000011" || event.field("cmd: ") == "0x0000001c");
}

bool is_system_call(const TraceEvent &event) {
    return event.name.rfind("sys_enter_", 0) == 0;
}

// The point of vethtrace that a tracepoint is.
std::string point_of(const TraceEvent &event) {
    if (event.name == "net_dev_queue")
        return "queue";
    if (event.name == "net_dev_start_xmit")
        return "xmit";
    if (event.name == "netif_rx")
        return "netif_rx";
    return event.name == "netif_receive_skb" ? "receive" : "";
}

// Follows the packets of one slice. The load has one packet on its way at any time.
class Walk {
public:
    Walk(std::uint64_t warmup, std::map<std::string, Mean> &hops) : warmup_(warmup), hops_(hops) {}

    void pass(const TraceEvent &event) {
        if (event.name == "sk_data_ready" && event.field("family=") == "2") {
            if (station_ == "receive@peer")
                arrive("data_ready@server", event.when);
            if (station_ == "receive@container")
                arrive("data_ready@client", event.when);
            station_.clear();
            return;
        }
        std::string point = point_of(event);
        if (point.empty())
            return;
        std::string station = point + "@" + event.field("dev=");
        std::string skb = event.field("skbaddr=");
        if (station == "queue@container" || station == "queue@peer") {
            sent_ += station == "queue@container" ? 1 : 0;
            station_ = station;
            skb_ = skb;
            when_ = event.when;
        } else if (skb == skb_ && !station_.empty()) {
            arrive(station, event.when);
        }
    }

private:
    void arrive(const std::string &station, std::int64_t when) {
        if (sent_ > warmup_)
            hops_[station_ + " -> " + station].add(static_cast<double>(when - when_));
        station_ = station;
        when_ = when;
    }

    std::uint64_t warmup_;
    std::map<std::string, Mean> &hops_;
    std::uint64_t sent_ = 0;
    std::string skb_;
    std::string station_;
    std::int64_t when_ = 0;
};

// Requests and responses of one slice take turns, so the messages that become ready do, too.
class Wait {
public:
    Wait(std::uint64_t warmup, std::map<std::string, Mean> &delays) : warmup_(warmup), delays_(delays) {}

    void pass(const TraceEvent &event) {
        if (event.name == "sk_data_ready" && event.field("family=") == "2") {
            thread_ = messages_ % 2 == 0 ? "rr-server:" : "rr-client:";
            ++messages_;
            since_ = event.when;
        } else if (thread_.empty()) {
            return;
        } else if (event.name == "sched_wakeup" && event.fields.rfind(thread_, 0) == 0) {
            since_ = event.when;
        } else if (event.name == "sched_switch" && event.fields.find("==> " + thread_) != std::string::npos) {
            if (messages_ > 2 * warmup_)
                delays_[thread_].add(static_cast<double>(event.when - since_));
            thread_.clear();
        }
    }

private:
    std::uint64_t warmup_;
    std::map<std::string, Mean> &delays_;
    std::uint64_t messages_ = 0;
    std::string thread_; // which waits; empty: none
    std::int64_t since_ = 0;
};

} // namespace

std::string TraceEvent::field(const std::string &key) const {
    std::size_t at = fields.find(key);
    if (at == std::string::npos)
        return {};
    at += key.size();
    return fields.substr(at, fields.find_first_of(" ,", at) - at);
}

void Mean::add(double value) {
    sum += value;
    ++count;
}

Witness::Witness(const std::string &file) {
    std::istringstream lines(run({"trace-cmd", "report", "-t", file}).out);
    for (std::string line; std::getline(lines, line);)
        if (std::optional<TraceEvent> event = parse(line))
            events_.push_back(std::move(*event));
}

std::vector<std::vector<TraceEvent>> Witness::traced_slices() const {
    std::vector<std::vector<TraceEvent>> slices;
    std::vector<TraceEvent> slice;
    std::string tracer; // who has attached something
    for (const TraceEvent &event : events_) {
        if (!is_system_call(event)) {
            if (!tracer.empty())
                slice.push_back(event);
            continue;
        }
        bool ends = event.task == tracer;
        if (!ends && !attaches(event))
            continue;
        // While it looks for hooks it attaches programs too, and nothing runs.
        auto of_load = [](const TraceEvent &seen) { return seen.task.rfind("rr-", 0) == 0; };
        if (std::any_of(slice.begin(), slice.end(), of_load))
            slices.push_back(slice);
        slice.clear();
        tracer = attaches(event) ? event.task : "";
    }
    return slices;
}

std::map<std::string, Mean> Witness::hops(std::uint64_t warmup) const {
    std::map<std::string, Mean> hops;
    for (const std::vector<TraceEvent> &slice : traced_slices()) {
        Walk walk(warmup, hops);
        for (const TraceEvent &event : slice)
            walk.pass(event);
    }
    return hops;
}

std::map<std::string, Mean> Witness::runnable_delays(std::uint64_t warmup) const {
    std::map<std::string, Mean> delays;
    for (const std::vector<TraceEvent> &slice : traced_slices()) {
        Wait wait(warmup, delays);
        for (const TraceEvent &event : slice)
            wait.pass(event);
    }
    return delays;
}

} // namespace vethtrace::test
