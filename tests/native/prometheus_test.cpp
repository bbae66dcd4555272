// SPDX-License-Identifier: GPL-2.0-only
//
// A real Prometheus over real exporters: its quantiles are ours, its rules add nodes up, the dashboard has its data.
#include "native/prometheus.hpp"
#include "native/watching.hpp"

#include "export/exposition.hpp"
#include "export/metrics_text.hpp"
#include "export/pages.hpp"
#include "unit/watch_sample.hpp"

#include <algorithm>
#include <netinet/in.h>
#include <random>
#include <regex>

namespace vethtrace::test {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr int nodes = 10;

// ---- made-up nodes, of whose packets everything is known

// An exporter without a watcher: what it shows are windows that the test has made.
class MadeUpNode {
public:
    MadeUpNode() {
        auto listening = HttpServer::listen(*parse_listen_address("127.0.0.1:0"));
        EXPECT_TRUE(listening);
        server_ = std::move(*listening);
        EXPECT_TRUE(server_->serve([this](const std::string &path) { return pages_.page(path); }));
    }

    [[nodiscard]] std::string target() const { return text_of(server_->address()); }
    void show(const SparseHistogram &times) {
        WatchWindow window;
        window.duration_ns = second_ns;
        window.arrived = {target_named("web")};
        window.series = {series_of("web", Flow::out, Stage::backlog, 0, 0)};
        window.series.front().time = times;
        exposition_.add(window);
        pages_.publish(metrics_text(exposition_, {}), std::nullopt);
    }

private:
    Exposition exposition_{10'000};
    ExportPages pages_{std::chrono::hours(1)};
    std::unique_ptr<HttpServer> server_;
};

// Each node is slower than the one before, and some of its packets are much slower.
std::vector<SparseHistogram> made_up_latencies() {
    std::mt19937_64 random(11);
    std::vector<SparseHistogram> all(nodes);
    for (int node = 0; node < nodes; ++node) {
        std::lognormal_distribution<double> latency(std::log(700.0 * std::pow(1.6, node)), 0.8);
        for (int i = 0; i < 5000; ++i)
            all[static_cast<std::size_t>(node)].add(static_cast<Nanoseconds>(latency(random)));
    }
    return all;
}

void expect_near(std::optional<double> theirs, std::optional<double> ours_ns, const std::string &what) {
    ASSERT_TRUE(theirs && ours_ns) << what;
    double ours = *ours_ns / 1e9;
    EXPECT_NEAR(*theirs, ours, octave_of(ours).width()) << what;
}

class PrometheusTest : public Native {};

TEST_F(PrometheusTest, ReckonsQuantilesAsWeDoForANodeAndForAFleet) {
    std::vector<SparseHistogram> latencies = made_up_latencies();
    std::vector<MadeUpNode> fleet(nodes);
    std::vector<std::string> targets;
    SparseHistogram merged;
    // A rate is reckoned from where a counter was seen first, so each node shows the same twice.
    for (std::size_t i = 0; i < fleet.size(); ++i) {
        fleet[i].show(latencies[i]);
        targets.push_back(fleet[i].target());
        merged.merge(latencies[i]);
    }
    Prometheus prometheus(targets);
    prometheus.await("sum(vethtrace_hop_latency_seconds_count)", static_cast<double>(merged.count()));
    prometheus.await("min(count_over_time(vethtrace_hop_latency_seconds_count[1m])) > bool 1", 1);
    for (std::size_t i = 0; i < fleet.size(); ++i)
        fleet[i].show(latencies[i]);
    prometheus.await("sum(vethtrace_hop_latency_seconds_count)", 2 * static_cast<double>(merged.count()));
    prometheus.await_rules("stage:vethtrace_hop_latency_seconds:p99_5m");

    expect_near(prometheus.number("stage:vethtrace_hop_latency_seconds:p99_5m"), merged.percentile(0.99), "fleet p99");
    expect_near(prometheus.number("stage:vethtrace_hop_latency_seconds:p50_5m"), merged.percentile(0.5), "fleet p50");
    expect_near(prometheus.number("histogram_quantile(0.9, stage_le:vethtrace_hop_latency_seconds_bucket:rate5m)"),
                merged.percentile(0.9), "fleet p90");
    std::optional<double> mean = prometheus.number("stage:vethtrace_hop_latency_seconds:mean5m");
    ASSERT_TRUE(mean);
    // Rates are extrapolated to the whole five minutes, of each node by what is known of it so far.
    EXPECT_NEAR(*mean * 1e9, *merged.mean(), *merged.mean() * 0.2);
    for (std::size_t i = 0; i < fleet.size(); ++i) {
        std::string instance = fmt::format("{{instance=\"{}\"}}", targets[i]);
        expect_near(prometheus.number("instance_stage:vethtrace_hop_latency_seconds:p99_5m" + instance),
                    latencies[i].percentile(0.99), "p99 of node " + std::to_string(i));
        expect_near(prometheus.number("instance_stage:vethtrace_hop_latency_seconds:p50_5m" + instance),
                    latencies[i].percentile(0.5), "p50 of node " + std::to_string(i));
        // Without a rate nothing is extrapolated, and PromQL sees exactly what we see.
        expect_near(
            prometheus.number("histogram_quantile(0.999, vethtrace_hop_latency_seconds_bucket" + instance + ")"),
            latencies[i].percentile(0.998), "p99.9 of node " + std::to_string(i));
    }
}

// ---- ten nodes, with an exporter on each

class Fleet {
public:
    Fleet() {
        Node::run_script(fmt::format("ip netns add {0} && ip -n {0} link set lo up && "
                                     "ip -n {0} link add mon type bridge && ip -n {0} link set mon up && "
                                     "ip -n {0} addr add 10.97.0.254/24 dev mon",
                                     monitor()));
        for (int i = 1; i <= nodes; ++i) {
            nodes_.push_back(std::make_unique<Node>(2, fmt::format("n{}", i)));
            Node &node = *nodes_.back();
            Node::run_script(fmt::format("ip -n {0} link add m{2} type veth peer name mon0 netns {1} && "
                                         "ip -n {0} link set m{2} master mon up && "
                                         "ip -n {1} addr add {3}/24 dev mon0 && ip -n {1} link set mon0 up",
                                         monitor(), node.host(), i, address(i)));
            node.settle(1, 2);
            servers_.push_back(node.serve(2));
        }
        // All that nft drops shows as drops on the dashboard.
        Node::run_script(
            fmt::format("ip netns exec {} nft 'table ip t {{ chain i {{ type filter hook input priority 0; "
                        "udp dport 7001 counter drop; }}; }}'",
                        nodes_.front()->container(2)));
        for (int i = 1; i <= nodes; ++i) {
            const Node &node = *nodes_[static_cast<std::size_t>(i) - 1];
            exporters_.push_back(std::make_unique<Exporting>(
                node.host(),
                std::vector<std::string>{"--netns", node.container(1), "--netns", node.container(2), "-i", "0.5",
                                         "--max-overhead", "100"},
                address(i)));
        }
        for (const auto &exporter : exporters_)
            exporter->expect_ready();
    }
    Fleet(const Fleet &) = delete;
    Fleet &operator=(const Fleet &) = delete;
    ~Fleet() {
        exporters_.clear();
        servers_.clear();
        nodes_.clear();
        Node::run_script("ip netns del " + monitor());
    }

    [[nodiscard]] static std::string monitor() { return fmt::format("vtn{}m", getpid()); }
    [[nodiscard]] static std::string address(int i) { return fmt::format("10.97.0.{}", i); }
    [[nodiscard]] static std::vector<std::string> targets() {
        std::vector<std::string> targets;
        for (int i = 1; i <= nodes; ++i)
            targets.push_back(fmt::format("{}:{}", address(i), Exporting::port));
        return targets;
    }
    [[nodiscard]] const std::vector<std::unique_ptr<Node>> &all() const { return nodes_; }

    // TCP_RR on each node, one after another, and packets that are dropped on the first.
    void pass(const char *transactions, const char *to_be_dropped) const {
        for (const auto &node : nodes_) {
            Finished load = run(node->client_line(1, 2, {"-c", transactions, "--timeout", "50"}));
            ASSERT_EQ(load.status, 0) << load.err;
        }
        const Node &first = *nodes_.front();
        ASSERT_EQ(run(Node::in(first.container(1), {VETHTRACE_FLOOD, Node::address(2), "7001", "30000", to_be_dropped}))
                      .status,
                  0);
    }

    [[nodiscard]] std::vector<Metrics> metrics() const {
        std::vector<double> windows;
        for (const auto &exporter : exporters_)
            windows.push_back(exporter->windows() + 2);
        std::vector<Metrics> all;
        for (std::size_t i = 0; i < exporters_.size(); ++i)
            all.push_back(exporters_[i]->metrics_after(windows[i]));
        return all;
    }

private:
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<std::unique_ptr<Process>> servers_;
    std::vector<std::unique_ptr<Exporting>> exporters_;
};

// The p-quantile of what has been counted since, of all nodes together: by hand, within its bucket evenly spread.
double quantile_of(double p, const std::vector<Metrics> &before, const std::vector<Metrics> &after,
                   const std::string &direction, const std::string &stage) {
    std::map<double, double> cumulated; // by upper bound
    auto add = [&](const Metrics &metrics, double sign) {
        for (const Sample &sample : metrics.samples())
            if (sample.name == "vethtrace_hop_latency_seconds_bucket" && sample.labels.at("direction") == direction &&
                sample.labels.at("stage") == stage) {
                const std::string &le = sample.labels.at("le");
                cumulated[le == "+Inf" ? INFINITY : std::stod(le)] += sign * sample.value;
            }
    };
    for (const Metrics &metrics : before)
        add(metrics, -1);
    for (const Metrics &metrics : after)
        add(metrics, 1);
    double rank = p * cumulated.at(INFINITY);
    double below = 0;
    double low = 0;
    for (const auto &[high, count] : cumulated) {
        if (count >= rank)
            return low + (high - low) * (rank - below) / (count - below);
        below = count;
        low = high;
    }
    return NAN;
}

// The same by `watch`, whose histograms are 32 times as fine. It has seen the same packets by programs of its own, so
// what is rare need not have taken equally long for both.
double quantile_of(double p, const Json &watched, const std::string &direction, const std::string &stage) {
    std::map<double, std::uint64_t> counts; // by the middle of a bucket
    std::uint64_t all = 0;
    for (const Json &series : watched["series"])
        if (series["direction"] == direction && series["stage"] == stage)
            for (const Json &bar : series["histogram"]) {
                counts[(bar[0].get<double>() + bar[1].get<double>()) / 2] += bar[2].get<std::uint64_t>();
                all += bar[2].get<std::uint64_t>();
            }
    std::uint64_t seen = 0;
    for (const auto &[middle, count] : counts)
        if (seen += count; static_cast<double>(seen) >= p * static_cast<double>(all))
            return middle / 1e9;
    return NAN;
}

// As Grafana does for all nodes, all containers, and one stage.
std::string filled_in(std::string expression) {
    for (const auto &[variable, value] : std::map<std::string, std::string>{{"$instance", ".+"},
                                                                            {"$container", ".+"},
                                                                            {"$direction", ".+"},
                                                                            {"$stage", "backlog"},
                                                                            {"$__rate_interval", "1m"},
                                                                            {"$__range", "5m"}})
        for (std::size_t at = 0; (at = expression.find(variable, at)) != std::string::npos;)
            expression.replace(at, variable.size(), value);
    EXPECT_EQ(expression.find('$'), std::string::npos) << expression;
    return expression;
}

void expect_data(const Prometheus &prometheus, const std::string &expression, const std::string &what) {
    std::vector<Prometheus::Value> values = prometheus.query(filled_in(expression));
    EXPECT_TRUE(std::any_of(values.begin(), values.end(), [](const auto &value) { return !std::isnan(value.value); }))
        << what << " has no data: " << expression;
}

void expect_a_full_dashboard(const Prometheus &prometheus) {
    std::ifstream file(VETHTRACE_DEPLOY "/grafana/vethtrace.json");
    Json dashboard = Json::parse(file);
    std::size_t queries = 0;
    for (const Json &panel : dashboard["panels"])
        for (const Json &target : panel.value("targets", Json::array())) {
            expect_data(prometheus, target["expr"], panel["title"]);
            ++queries;
        }
    EXPECT_GE(queries, 30);
    // ALERTS is there for what is pending, too; none is firing so early.
    for (const Json &annotation : dashboard["annotations"]["list"])
        (void)prometheus.query(filled_in(annotation["expr"]));
    const std::regex label_values("label_values\\((.*), ([a-z_]+)\\)");
    std::size_t variables = 0;
    for (const Json &variable : dashboard["templating"]["list"]) {
        if (variable["type"] != "query")
            continue;
        std::string query = variable["query"]["query"];
        std::smatch parts;
        ASSERT_TRUE(std::regex_match(query, parts, label_values)) << query;
        expect_data(prometheus, fmt::format("group by ({}) ({})", parts[2].str(), parts[1].str()), query);
        ++variables;
    }
    EXPECT_EQ(variables, 4);
}

TEST_F(PrometheusTest, AddsTenNodesUpAndFillsTheDashboard) {
    Fleet fleet;
    Prometheus prometheus(Fleet::targets(), Fleet::monitor());
    prometheus.await("sum(up)", nodes);
    // So that all series are there: what a counter begins with is in no rate, and where that is hardly anything, the
    // rate is not extrapolated as others are.
    fleet.pass("1000", "500");
    std::vector<Metrics> before = fleet.metrics();
    prometheus.await("count(sum by (instance) (vethtrace_hop_latency_seconds_count{stage=\"wakeup\"}))", nodes);
    prometheus.await("min(count_over_time(vethtrace_dropped_packets_total{reason=\"NETFILTER_DROP\"}[1m])) > bool 1",
                     1);

    // On the first node `watch` looks as well.
    const Node &first = *fleet.all().front();
    Watching watching(first, {"--netns", first.container(1), "--netns", first.container(2)});

    fleet.pass("2000", "1500");
    std::vector<Metrics> after = fleet.metrics();
    std::vector<Json> lines = watching.finish();
    double entered = 0;
    for (const Metrics &metrics : after)
        entered += metrics.value("vethtrace_followed_packets_entered_total");
    prometheus.await("sum(vethtrace_followed_packets_entered_total)", entered);
    prometheus.await_rules("stage:vethtrace_hop_latency_seconds:p99_5m");

    ASSERT_FALSE(lines.empty());
    for (const char *words_of_hop :
         {"out qdisc", "out device_xmit", "out backlog", "out bridge", "in stack_rx", "in wakeup"}) {
        std::string hop = words_of_hop;
        std::string direction = hop.substr(0, hop.find(' '));
        std::string stage = hop.substr(hop.find(' ') + 1);
        std::string labels = fmt::format("direction=\"{}\", stage=\"{}\"", direction, stage);
        std::optional<double> of_all =
            prometheus.number(fmt::format("stage:vethtrace_hop_latency_seconds:p99_5m{{{}}}", labels));
        std::optional<double> of_first =
            prometheus.number(fmt::format("instance_stage:vethtrace_hop_latency_seconds:p50_5m{{{}, instance=\"{}\"}}",
                                          labels, Fleet::targets().front()));
        ASSERT_TRUE(of_all && of_first) << hop;
        double merged = quantile_of(0.99, before, after, direction, stage);
        EXPECT_NEAR(*of_all, merged, std::max(octave_of(merged).width(), octave_of(*of_all).width())) << hop;
        double fine = quantile_of(0.5, lines.back(), direction, stage);
        EXPECT_NEAR(*of_first, fine, std::max(octave_of(fine).width(), octave_of(*of_first).width())) << hop;
        std::printf(
            "%-16s p99 of ten nodes: recorded %.3f us, merged %.3f us; p50 of one: recorded %.3f us, watched %.3f us\n",
            hop.c_str(), *of_all * 1e6, merged * 1e6, *of_first * 1e6, fine * 1e6);
    }
    EXPECT_EQ(prometheus.number("count(ALERTS{alertname=\"VethtraceDrops\", reason=\"NETFILTER_DROP\"})"), 1);
    expect_a_full_dashboard(prometheus);
}

} // namespace
} // namespace vethtrace::test
