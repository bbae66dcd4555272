// SPDX-License-Identifier: GPL-2.0-only
//
// A result as a run could have it, for tests of what becomes of results.
#pragma once

#include "core/ledger.hpp"

namespace vethtrace {

inline RunResult small_result() {
    RunResult result;
    result.environment.tool = "0.1";
    result.environment.libbpf = "1.1";
    result.environment.kernel = "6.12.1";
    result.environment.arch = "x86_64";
    result.environment.cpus = 2;
    result.environment.clocksource = "tsc";
    result.environment.virtualization = "none";
    Way way = *Way::of(Mode::veth, Topology::wire);
    for (const HopName &name : way.hops()) {
        Hop hop{name, {}};
        if (name.every_message)
            for (int i = 0; i < 20; ++i)
                hop.time.add(name.stage == Stage::wakeup ? 1000 : 50);
        result.hops.push_back(hop);
    }
    for (const Step &step : way.steps())
        result.stations.push_back({step.station, "net_dev_queue tp_btf", {}, 20, 0});
    for (int i = 0; i < 20; ++i) {
        result.load.rtt.add(3000);
        result.load.followed_rtt.add(3000);
    }
    result.load.transactions = 20;
    result.load.duration_ns = 60'000;
    result.load.flows = 1;
    result.ledger = make_ledger(result.hops, result.load.followed_rtt, result.observer);
    result.valid = true;
    result.warnings = {"a warning"};
    return result;
}

} // namespace vethtrace
