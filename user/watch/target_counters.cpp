// SPDX-License-Identifier: GPL-2.0-only
#include "watch/target_counters.hpp"

#include "watch/bounded_file.hpp"
#include "watch/interfaces.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace vethtrace {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_bytes = 64UL * 1024;

std::string_view take(std::string_view &text, char until) {
    std::size_t end = text.find(until);
    std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

using Counters = std::map<std::string_view, std::uint64_t>;

// Of the two lines that begin with `prefix`: names, then values in the same order.
Counters pair_of_lines(std::string_view text, std::string_view prefix) {
    Counters counters;
    std::string_view names;
    while (!text.empty()) {
        std::string_view line = take(text, '\n');
        if (!line.starts_with(prefix))
            continue;
        line.remove_prefix(prefix.size());
        if (names.empty()) {
            names = line;
            continue;
        }
        for (std::string_view name = next_column(names); !name.empty(); name = next_column(names))
            counters[name] = number(next_column(line));
        break;
    }
    return counters;
}

// A name and a value on each line.
Counters named_values(std::string_view text) {
    Counters counters;
    while (!text.empty()) {
        std::string_view line = take(text, '\n');
        std::string_view name = next_column(line);
        counters[name] = number(next_column(line));
    }
    return counters;
}

std::uint64_t sum_of(const Counters &counters, std::initializer_list<std::string_view> names) {
    std::uint64_t sum = 0;
    for (std::string_view name : names)
        if (auto known = counters.find(name); known != counters.end())
            sum += known->second;
    return sum;
}

bool lists(std::string_view commas, std::string_view name) {
    while (!commas.empty())
        if (take(commas, ',') == name)
            return true;
    return false;
}

// Kubernetes and podman put the containers of a pod into a group of their own each, side by side in the pod's.
bool is_pod(std::string_view group) {
    std::string_view step = group.substr(group.rfind('/') + 1);
    return step.starts_with("pod") || step.find("-pod") != std::string_view::npos ||
           step.find("libpod_pod_") != std::string_view::npos;
}

std::string parent_of(const std::string &group) {
    std::size_t slash = group.rfind('/');
    return slash == std::string::npos || slash == 0 ? "" : group.substr(0, slash);
}

std::optional<NetCounters> net_counters_in(const fs::path &directory) {
    std::optional<BoundedText> netstat = read_bounded(directory / "netstat", most_bytes);
    std::optional<BoundedText> snmp = read_bounded(directory / "snmp", most_bytes);
    if (!netstat || !snmp)
        return std::nullopt;
    std::optional<BoundedText> snmp6 = read_bounded(directory / "snmp6", most_bytes);
    return parse_net_counters(netstat->text, snmp->text, snmp6 ? std::string_view(snmp6->text) : "");
}

} // namespace

NetCounters parse_net_counters(std::string_view netstat, std::string_view snmp, std::string_view snmp6) {
    Counters ext = pair_of_lines(netstat, "TcpExt:");
    Counters tcp = pair_of_lines(snmp, "Tcp:");
    Counters udp = pair_of_lines(snmp, "Udp:");
    Counters six = named_values(snmp6);
    return {.listen_overflows = sum_of(ext, {"ListenOverflows", "TCPReqQFullDrop"}),
            .buffer_full = sum_of(ext, {"TCPBacklogDrop", "TCPRcvQDrop"}) + sum_of(udp, {"RcvbufErrors", "MemErrors"}) +
                           sum_of(six, {"Udp6RcvbufErrors", "Udp6MemErrors"}),
            .retransmitted = sum_of(tcp, {"RetransSegs"}),
            .sent_segments = sum_of(tcp, {"OutSegs"}),
            .udp_bad_checksums = sum_of(udp, {"InCsumErrors"}) + sum_of(six, {"Udp6InCsumErrors"}),
            .tcp_bad_checksums = sum_of(tcp, {"InCsumErrors"})};
}

std::optional<GroupMount> parse_group_mount(std::string_view mountinfo) {
    std::optional<GroupMount> unified;
    while (!mountinfo.empty()) {
        // 36 35 98:0 /root /point options [optional ...] - type source super-options
        std::string_view line = take(mountinfo, '\n');
        std::size_t dash = line.find(" - ");
        if (dash == std::string_view::npos)
            continue;
        std::string_view rest = line.substr(dash + 3);
        std::string_view type = next_column(rest);
        next_column(rest);
        std::string_view options = next_column(rest);
        for (int skipped = 0; skipped < 3; ++skipped)
            next_column(line);
        // Blanks and the like stand as "\040".
        std::string root = unescaped(next_column(line), "\\", 3, 8);
        std::string point = unescaped(next_column(line), "\\", 3, 8);
        // Where there are both, the controller is in one of them only.
        if (type == "cgroup" && lists(options, "cpu"))
            return GroupMount{std::move(point), std::move(root), false};
        if (type == "cgroup2" && !unified)
            unified = GroupMount{std::move(point), std::move(root), true};
    }
    return unified;
}

std::optional<std::string> parse_group(std::string_view cgroup, const GroupMount &mount) {
    while (!cgroup.empty()) {
        std::string_view line = take(cgroup, '\n');
        std::string_view hierarchy = take(line, ':');
        std::string_view controllers = take(line, ':');
        if (mount.unified ? hierarchy != "0" : !lists(controllers, "cpu"))
            continue;
        // Of a control group namespace that is not this one's: a path from its root up, and down by other names.
        if (line.find("/..") != std::string_view::npos)
            return std::nullopt;
        std::string_view root = mount.root == "/" ? "" : std::string_view(mount.root);
        if (!line.starts_with(root) || (line.size() > root.size() && line[root.size()] != '/'))
            return std::nullopt;
        line.remove_prefix(root.size());
        return line == "/" ? std::string() : std::string(line);
    }
    return std::nullopt;
}

std::optional<Throttling> parse_throttling(std::string_view cpu_stat) {
    constexpr Nanoseconds ns_of_us = 1000;
    Counters counters = named_values(cpu_stat);
    if (!counters.contains("nr_throttled"))
        return std::nullopt;
    return Throttling{.periods = counters["nr_throttled"],
                      .time = counters["throttled_usec"] * ns_of_us + counters["throttled_time"],
                      .quota = {}};
}

TargetCounters::TargetCounters(Roots roots) : roots_(std::move(roots)) {
    constexpr std::size_t most_mounts = 4UL * 1024 * 1024; // a line for each of the mounts of all containers
    if (std::optional<BoundedText> mountinfo = read_bounded(roots_.proc / "self/mountinfo", most_mounts))
        mount_ = parse_group_mount(mountinfo->text);
}

std::optional<NetCounters> TargetCounters::net_counters_of(const Target &target) const {
    fs::path process = roots_.proc / std::to_string(target.pid);
    // The process may be gone, and its number another's.
    if (target.pid != 0 && namespace_inode(roots_, process / "ns/net") == target.netns)
        return net_counters_in(process / "net");
    if (namespace_inode(roots_, target.path) != target.netns)
        return std::nullopt;
    // Without a process to ask for: from inside.
    Result<InNamespace> inside = enter_namespace(target.path);
    return inside ? net_counters_in(roots_.proc / "thread-self/net") : std::nullopt;
}

std::optional<TargetReading> TargetCounters::read(const Target &target) const {
    std::optional<NetCounters> net = net_counters_of(target);
    if (!net)
        return std::nullopt;
    TargetReading reading{*net, {}};
    for (const std::string &group : groups_of(target))
        if (std::optional<Throttling> throttling = throttling_of(group))
            reading.groups[group] = std::move(*throttling);
    return reading;
}

// Its own, those above it, which may limit it as well, and those of its pod's other containers: the process that is
// known may be the one that only holds the pod's namespace.
std::vector<std::string> TargetCounters::groups_of(const Target &target) const {
    constexpr std::size_t most_groups = 32;
    std::vector<std::string> groups;
    std::optional<BoundedText> cgroup;
    if (mount_ && target.pid != 0)
        cgroup = read_bounded(roots_.proc / std::to_string(target.pid) / "cgroup", most_bytes);
    if (!cgroup)
        return groups;
    std::string pod;
    for (std::string group = parse_group(cgroup->text, *mount_).value_or("");
         !group.empty() && groups.size() < most_groups; group = parent_of(group)) {
        if (pod.empty() && is_pod(group))
            pod = group;
        groups.push_back(group);
    }
    if (pod.empty())
        return groups;
    std::error_code gone;
    for (fs::directory_iterator entry(mount_->point / pod.substr(1), gone), end; !gone && entry != end;
         entry.increment(gone)) {
        std::string group = pod + "/" + entry->path().filename().string();
        std::error_code unknown;
        if (groups.size() < most_groups && entry->is_directory(unknown) &&
            std::find(groups.begin(), groups.end(), group) == groups.end())
            groups.push_back(std::move(group));
    }
    return groups;
}

// The limit first: to read it costs less than cpu.stat, for which the kernel sums up all CPUs.
std::optional<Throttling> TargetCounters::throttling_of(const std::string &group) const {
    fs::path directory = mount_->point / group.substr(1);
    auto line = [&](const char *file) -> std::string {
        std::optional<BoundedText> read = read_bounded(directory / file, most_bytes);
        return read ? read->text.substr(0, read->text.find('\n')) : "";
    };
    std::string quota;
    if (mount_->unified) {
        std::string limit = line("cpu.max");
        if (limit.empty() || limit.starts_with("max"))
            return std::nullopt;
        quota = "cpu.max " + limit;
    } else {
        std::string limit = line("cpu.cfs_quota_us");
        if (limit.empty() || limit.starts_with('-'))
            return std::nullopt;
        quota = fmt::format("cpu.cfs_quota_us {} of {}", limit, line("cpu.cfs_period_us"));
    }
    std::optional<BoundedText> stat = read_bounded(directory / "cpu.stat", most_bytes);
    std::optional<Throttling> throttling = stat ? parse_throttling(stat->text) : std::nullopt;
    if (throttling)
        throttling->quota = std::move(quota);
    return throttling;
}

bool TargetCounters::add_growth(const Target &target, WatchSockets &to) {
    std::optional<TargetReading> now = read(target);
    if (!now)
        return false;
    auto [last, is_first] = last_.try_emplace(target.netns);
    if (!is_first)
        vethtrace::add_growth(last->second, *now, to);
    last->second = std::move(*now);
    return true;
}

void add_growth(const TargetReading &before, const TargetReading &after, WatchSockets &to) {
    // What has fallen back began anew; nothing is known of what was before.
    auto grown = [](std::uint64_t from, std::uint64_t until) { return until < from ? 0 : until - from; };
    to.listen_overflows += grown(before.net.listen_overflows, after.net.listen_overflows);
    to.buffer_full += grown(before.net.buffer_full, after.net.buffer_full);
    to.retransmitted += grown(before.net.retransmitted, after.net.retransmitted);
    to.sent_segments += grown(before.net.sent_segments, after.net.sent_segments);
    to.bad_checksums += grown(before.net.udp_bad_checksums, after.net.udp_bad_checksums) +
                        grown(before.net.tcp_bad_checksums, after.net.tcp_bad_checksums);
    Throttling most;
    for (const auto &[group, now] : after.groups) {
        auto known = before.groups.find(group);
        if (known == before.groups.end())
            continue;
        Throttling here{.periods = grown(known->second.periods, now.periods),
                        .time = grown(known->second.time, now.time),
                        .quota = fmt::format("{} of {}", now.quota, group)};
        if (here.periods != 0 && (most.periods == 0 || here.time > most.time))
            most = std::move(here);
    }
    to.throttled_periods += most.periods;
    to.throttled += most.time;
    if (most.periods != 0)
        to.quota = std::move(most.quota);
}

} // namespace vethtrace
