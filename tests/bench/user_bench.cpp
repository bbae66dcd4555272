// SPDX-License-Identifier: GPL-2.0-only
//
// What user space does with what was gathered. By Google Benchmark; run by `tools/bench user`.
#include "core/histogram.hpp"
#include "core/ledger.hpp"
#include "report/json.hpp"

#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

using namespace vethtrace;

namespace {

// As many as a node with a few hundred containers has.
constexpr std::size_t histograms = 10'000;

std::vector<Histogram> filled(std::size_t count) {
    std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the same values in every run
    std::lognormal_distribution<double> delay(7, 1);
    std::vector<Histogram> result(count);
    for (Histogram &histogram : result)
        for (int i = 0; i < 200; ++i)
            histogram.add(static_cast<Nanoseconds>(delay(random)));
    return result;
}

void add(benchmark::State &state) {
    Histogram histogram;
    Nanoseconds value = 1;
    for (auto _ : state) {
        histogram.add(value);
        value = value * 5 % 100'003;
    }
    benchmark::DoNotOptimize(histogram);
}
BENCHMARK(add);

void merge_10000(benchmark::State &state) {
    std::vector<Histogram> parts = filled(histograms);
    for (auto _ : state) {
        Histogram whole;
        for (const Histogram &part : parts)
            whole.merge(part);
        benchmark::DoNotOptimize(whole);
    }
}
BENCHMARK(merge_10000)->Unit(benchmark::kMillisecond);

void percentiles_of_10000(benchmark::State &state) {
    std::vector<Histogram> parts = filled(histograms);
    for (auto _ : state)
        for (const Histogram &part : parts)
            for (double quantile : {0.5, 0.9, 0.95})
                benchmark::DoNotOptimize(part.percentile(quantile));
}
BENCHMARK(percentiles_of_10000)->Unit(benchmark::kMillisecond);

// A result whose every hop has a wide histogram.
void json_of_a_large_result(benchmark::State &state) {
    RunResult result;
    std::vector<Histogram> parts = filled(1);
    Way way = *Way::of(Mode::veth, Topology::wire);
    for (const HopName &name : way.hops())
        for (int copy = 0; copy < 20; ++copy)
            result.hops.push_back({name, parts.front()});
    result.load.rtt = result.load.followed_rtt = parts.front();
    std::size_t bytes = 0;
    for (auto _ : state)
        bytes = to_json(result).dump().size();
    state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(json_of_a_large_result)->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
