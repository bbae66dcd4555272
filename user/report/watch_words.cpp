// SPDX-License-Identifier: GPL-2.0-only
#include "report/watch_words.hpp"

#include "report/style.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

namespace vethtrace {

namespace {

// A busy server always has data that it will read at once. What has waited for so long, people notice.
constexpr Nanoseconds long_unread = 100'000'000;

using Clause = std::pair<std::uint64_t, std::string>;

std::vector<std::string> clauses_of(const std::vector<Clause> &all) {
    std::vector<std::string> clauses;
    for (const auto &[packets, what] : all)
        if (packets != 0)
            clauses.push_back(fmt::format("{} {}", count_text(packets), what));
    return clauses;
}

std::string duration_of(Nanoseconds ns) {
    return duration_text(static_cast<double>(ns));
}

} // namespace

std::string counted(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count_text(count), noun, count == 1 ? "" : "s");
}

std::string ends_text(const SlowPacket &packet, std::string_view arrow) {
    std::string text = fmt::format("{} {} {} {}", packet.protocol, packet.source, arrow, packet.destination);
    std::vector<std::string> translated;
    if (!packet.translated_source.empty())
        translated.push_back("from " + packet.translated_source);
    if (!packet.translated_destination.empty())
        translated.push_back("to " + packet.translated_destination);
    return translated.empty() ? text : fmt::format("{} ({})", text, fmt::join(translated, " "));
}

std::string unseen_text(const WatchUnseen &unseen) {
    std::string text = fmt::format("{} of {}, {}", name_of(unseen.stage), unseen.target, name_of(unseen.flow));
    if (unseen.promised != 0)
        text += fmt::format(": {} of {}", count_text(unseen.seen), counted(unseen.promised, "packet"));
    return unseen.why.empty() ? text : fmt::format("{}: {}", text, unseen.why);
}

std::vector<WatchUnseen> unseen_of(const WatchTotals &totals) {
    std::vector<WatchUnseen> unseen;
    unseen.reserve(totals.unseen().size());
    for (const auto &[key, total] : totals.unseen())
        unseen.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), total.promised, total.seen, total.why});
    return unseen;
}

std::vector<std::string> troubles_of(const WatchSockets &sockets) {
    std::vector<std::string> troubles;
    if (sockets.waiting != 0 && sockets.oldest >= long_unread)
        troubles.push_back(fmt::format("{} {} unread data, the oldest for {}", counted(sockets.waiting, "socket"),
                                       sockets.waiting == 1 ? "has" : "have", duration_of(sockets.oldest)));
    if (sockets.listen_overflows != 0)
        troubles.push_back(
            fmt::format("{} refused, a listen queue was full", counted(sockets.listen_overflows, "connection")));
    if (sockets.buffer_full != 0)
        troubles.push_back(
            fmt::format("{} refused, a socket's buffer was full", counted(sockets.buffer_full, "packet")));
    if (sockets.bad_checksums != 0)
        troubles.push_back(
            fmt::format("{} refused, their checksum was wrong", counted(sockets.bad_checksums, "packet")));
    if (sockets.throttled_periods != 0)
        troubles.push_back(fmt::format("throttled {}, {} in all, by {}", counted(sockets.throttled_periods, "time"),
                                       duration_of(sockets.throttled),
                                       sockets.quota.empty() ? "its control group's cpu.max" : sockets.quota));
    if (sockets.retransmitted != 0)
        troubles.push_back(fmt::format("{} retransmitted", counted(sockets.retransmitted, "segment")));
    return troubles;
}

std::vector<std::string> completed_clauses(const WatchConservation &books) {
    std::uint64_t told = books.left + books.delivered + books.control + books.to_host;
    if (told == 0) // also in an older recording, which does not tell them apart
        return {count_text(books.completed) + " completed"};
    return clauses_of({{books.left, "left by the last device"},
                       {books.delivered, fmt::format("delivered to sockets ({})", counted(books.read, "read"))},
                       {books.control, "TCP control"},
                       {books.to_host, "to the host's sockets"},
                       {books.completed - std::min(books.completed, told), "of other protocols"}});
}

std::vector<std::string> other_clauses(const WatchConservation &books) {
    return clauses_of({{books.dropped, "dropped"},
                       {books.merged, "merged by GRO"},
                       {books.segmented, "segmented"},
                       {books.consumed, "ended early without a drop"},
                       {books.stale, "died unseen"},
                       {books.evicted, "evicted"},
                       {books.in_flight, "in flight"}});
}

std::string unplaced_text(std::uint64_t hops, const std::string &room) {
    std::string text = fmt::format("{} found no place among the kernel's series", counted(hops, "hop"));
    return room.empty() ? text : fmt::format("{}: more with {}", text, room);
}

std::string lost_waits_text(std::uint64_t waits) {
    return fmt::format("{} for an application found no place, and {} in no wakeup", counted(waits, "wait"),
                       waits == 1 ? "is" : "are");
}

std::string balance_text(const WatchTotals &totals) {
    std::string text = totals.conservation().balanced() ? "balanced" : "NOT balanced";
    std::size_t unseen = totals.unseen().size();
    if (unseen == 0)
        return text;
    return fmt::format("{}, {} {} {} not seen", text, totals.conservation().balanced() ? "but" : "and",
                       counted(unseen, "stage"), unseen == 1 ? "was" : "were");
}

} // namespace vethtrace
