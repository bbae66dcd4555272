// SPDX-License-Identifier: GPL-2.0-only
#include "cli/export_options.hpp"

#include "cli/validators.hpp"
#include "export/exposition.hpp"

namespace vethtrace {

namespace {

constexpr const char *default_listen = "127.0.0.1:9954";
constexpr std::size_t most_exposed = 10'000'000;

} // namespace

void ExportParser::describe(CLI::App &app) {
    traffic_.describe_traffic(app, "--max-histograms");
    app.add_option("--listen", listen_,
                   fmt::format("where /metrics and /healthz are served (default: {}, or nowhere with --textfile alone)",
                               default_listen))
        ->type_name("ADDRESS:PORT");
    app.add_option("--textfile", textfile_, "write the metrics to this file as well, for node_exporter's collector")
        ->type_name("FILE.prom");
    app.add_option("--max-series", plan_.series,
                   "expose so many time series at most; the busiest containers have names of their own, "
                   "the rest are counted as \"other\"")
        ->type_name("N")
        ->check(within(Exposition::least_series, most_exposed))
        ->capture_default_str();
    app.footer("What is watched, and what that may cost, is said as for `vethtrace watch`.\n"
               "docs/export.md lists the metrics; rules for Prometheus and a dashboard are in tools/deploy.");
}

Result<ExportPlan> ExportParser::plan() const {
    ExportPlan plan = plan_;
    plan.textfile = textfile_;
    if (!textfile_.empty() && !textfile_.ends_with(".prom"))
        return tl::unexpected(Error{"--textfile " + textfile_, "has a name that node_exporter does not read",
                                    "it reads files whose names end in .prom", Exit::usage});
    if (!listen_.empty() || textfile_.empty()) {
        Result<ListenAddress> listen = parse_listen_address(listen_.empty() ? default_listen : listen_);
        if (!listen)
            return tl::unexpected(listen.error());
        plan.listen = *listen;
    }
    return traffic_.plan().map([&](WatchPlan traffic) {
        plan.watch = std::move(traffic);
        plan.watch.watch.slowest = 0;
        return plan;
    });
}

} // namespace vethtrace
