// SPDX-License-Identifier: GPL-2.0-only
//
// What `watch` sees, for people: a frame of the live view, lines for a pipe, the summary at the end.
#pragma once

#include "core/watch_totals.hpp"
#include "report/style.hpp"

#include <span>
#include <string>
#include <vector>

namespace vethtrace {

// 13:05:59, where the reader is.
[[nodiscard]] std::string clock_text(std::chrono::system_clock::time_point when);

enum class WatchSort { growth, p99, rate, name };
[[nodiscard]] std::string_view name_of(WatchSort sort);

struct WatchView {
    Grouping grouping = Grouping::container;
    WatchSort sort = WatchSort::growth;
    bool frozen = false;
    bool recorded = false;   // it is played back
    std::string filter = {}; // what was filtered for, as it was typed; empty: nothing
};

// A row of the table: the packets of one group on one stage.
struct WatchRow {
    std::string group;
    Flow flow = Flow::out;
    Stage stage = Stage::unforeseen;
    SparseHistogram time = {};
    double rate = 0;                   // packets a second
    std::optional<double> before = {}; // the mean of the window before, ns
    double growth = 0;                 // ns spent there in each second, more than in the window before
};

// The last of the windows, which are in order, against the one before it.
[[nodiscard]] std::vector<WatchRow> watch_rows(std::span<const WatchWindow> windows, Grouping grouping, WatchSort sort);

// Those of all windows, with the rates of all packets.
[[nodiscard]] std::vector<WatchRow> rows_of_all(const WatchTotals &totals);

// Of style.width columns and no more than `rows` lines, without a line end after the last.
[[nodiscard]] std::vector<std::string> watch_frame(std::span<const WatchWindow> windows,
                                                   const std::vector<Advice> &advice,
                                                   const std::vector<SlowPacket> &told, const WatchView &view,
                                                   const TextStyle &style, int rows);

[[nodiscard]] std::string watch_lines(std::span<const WatchWindow> windows, const std::vector<Advice> &advice,
                                      const std::string &filter, const TextStyle &style);

// With every mark, a line each.
[[nodiscard]] std::string slow_packet_text(const SlowPacket &packet, const TextStyle &style);

// `ended`: why there are no more windows; `advice` is that of all of them; `room`: the option that makes room for more
// series, empty where there is none.
[[nodiscard]] std::string watch_summary(const WatchTotals &totals, const std::string &ended,
                                        const std::vector<Advice> &advice, const std::string &room,
                                        const TextStyle &style);

} // namespace vethtrace
