// SPDX-License-Identifier: GPL-2.0-only
//
// Everything that is exposed, in Prometheus's text format. docs/export.md lists it.
#pragma once

#include "export/exposition.hpp"
#include "export/own_cost.hpp"

#include <map>
#include <string>

namespace vethtrace {

// What the exporter tells of itself.
struct ExporterState {
    std::string version;
    std::string libbpf;
    std::string kernel;
    bool watching = true;           // false: it has given up, because it cost too much
    double max_overhead = 0;        // a part of a CPU's time
    std::uint64_t missed = 0;       // calls of programs that the kernel suppressed
    std::uint64_t failed_looks = 0; // for targets that have come or are gone
    std::uint64_t failed_textfile_writes = 0;
    std::map<int, std::uint64_t> answers; // to requests, by HTTP status
    std::uint64_t cut_connections = 0;    // that were too slow, or one too many
    std::uint64_t resident_bytes = 0;
    OwnCost cost;
};

constexpr const char *metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

[[nodiscard]] std::string metrics_text(const Exposition &exposition, const ExporterState &state);

} // namespace vethtrace
