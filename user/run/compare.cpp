// SPDX-License-Identifier: GPL-2.0-only
#include "run/compare.hpp"

#include "lab/lab.hpp"
#include "run/measurement.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <random>

namespace vethtrace {

namespace {

using Clock = std::chrono::steady_clock;

// Labs of modes that this kernel lacks cannot be built; better to know before the first round than after a minute.
Result<std::vector<Mode>> available(const CompareOptions &options, std::vector<std::string> &warnings) {
    std::vector<Mode> modes;
    for (Mode mode : options.modes) {
        Result<std::unique_ptr<Lab>> lab = Lab::build(mode, options.run.topology);
        if (lab)
            modes.push_back(mode);
        else if (options.skip_missing)
            warnings.push_back(fmt::format("{} is left out: {}", name_of(mode), lab.error().text()));
        else
            return fail(fmt::format("mode {}", name_of(mode)), lab.error().text(),
                        "--skip-missing compares the others; " + lab.error().hint);
    }
    if (modes.size() < 2)
        return fail("compare", fmt::format("this kernel has {} of the modes, and two are needed", modes.size()),
                    "`vethtrace --help` lists all modes");
    return modes;
}

class Comparison {
public:
    Comparison(const CompareOptions &options, std::vector<Mode> modes, const std::atomic<bool> &stop,
               const std::function<void(const CompareProgress &)> &progress)
        : options_(options), modes_(std::move(modes)), stop_(stop), progress_(progress), random_(options.plan.seed) {
        result_.topology = options.run.topology;
        result_.plan = options.plan;
        for (std::string &label : labels_of(modes_))
            result_.sides.push_back({std::move(label), {}, {}});
    }

    Result<CompareResult> run() {
        std::optional<Error> trouble;
        for (const Look &look : looks_of(options_.plan.rounds)) {
            result_.level = look.level;
            if (Result<void> measured = blocks_until(look.rounds); !measured) {
                trouble = measured.error();
                break;
            }
            if (stop_ || is_precise(result_.sides, look.level, options_.plan.precision))
                break;
        }
        if (result_.rounds == 0) {
            if (trouble)
                return tl::unexpected(*trouble);
            return fail("compare", "was stopped before one round of every mode was done");
        }
        result_.interrupted = stop_;
        result_.environment = result_.sides.front().run.environment;
        conclude(result_);
        if (trouble) { // what was measured before is not lost
            result_.valid = false;
            result_.warnings.push_back(
                fmt::format("ended after {} of {} rounds: {}", result_.rounds, options_.plan.rounds, trouble->text()));
        }
        return std::move(result_);
    }

private:
    Result<void> blocks_until(std::uint64_t rounds) {
        while (result_.rounds < rounds && !stop_) {
            Result<std::vector<RunResult>> block = measure_block();
            if (!block)
                return tl::unexpected(block.error());
            if (stop_)
                break; // in the middle of it
            for (std::size_t i = 0; i < modes_.size(); ++i)
                add_round(result_.sides[i], (*block)[i]);
            ++result_.rounds;
        }
        return {};
    }

    using Rounds = std::vector<std::unique_ptr<Measurement>>;

    // A round of every mode at the same time, each in its own lab: their slices take turns.
    Result<std::vector<RunResult>> measure_block() {
        Rounds rounds;
        for (std::size_t which = 0; which < modes_.size(); ++which) {
            tell(which);
            RunOptions round = options_.run;
            round.mode = modes_[which];
            if (auto setup = options_.setups.find(result_.sides[which].label); setup != options_.setups.end())
                round.setup = setup->second;
            Result<std::unique_ptr<Measurement>> begun = Measurement::begin(round, stop_, [](const std::string &) {});
            if (!begun)
                return tl::unexpected(begun.error());
            rounds.push_back(std::move(*begun));
        }
        Result<void> done = run_untraced(rounds, 0);
        for (std::uint64_t slice = 0; slice < rounds.front()->slices() && done && !stop_; ++slice)
            done = run_traced(rounds, slice).and_then([&] { return run_untraced(rounds, slice + 1); });
        if (!done)
            return tl::unexpected(done.error());
        std::vector<RunResult> results;
        for (const std::unique_ptr<Measurement> &round : rounds)
            results.push_back(round->finish());
        return results;
    }

    // An untraced slice of each, in pieces: the verdict is about them, so they take the shortest turns.
    Result<void> run_untraced(const Rounds &rounds, std::uint64_t slice) {
        constexpr std::uint64_t most_pieces = 5;
        // Who counts transactions has a machine whose speed does not change.
        std::uint64_t pieces = options_.run.count ? 1 : most_pieces;
        Result<void> done;
        for (std::uint64_t piece = 0; piece < pieces && done; ++piece)
            done = in_random_order([&](std::size_t which) { return rounds[which]->run_untraced(slice, pieces); });
        return done;
    }

    Result<void> run_traced(const Rounds &rounds, std::uint64_t slice) {
        return in_random_order([&](std::size_t which) {
            tell(which);
            return rounds[which]->run_traced(slice);
        });
    }

    Result<void> in_random_order(const std::function<Result<void>(std::size_t)> &run) {
        std::vector<std::size_t> order(modes_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::shuffle(order.begin(), order.end(), random_);
        Result<void> done;
        for (std::size_t which : order)
            if (done && !stop_)
                done = run(which);
        return done;
    }

    void tell(std::size_t which) {
        CompareProgress now{result_.rounds + 1, options_.plan.rounds, result_.sides[which].label, {}};
        if (result_.rounds != 0) {
            auto blocks = static_cast<std::int64_t>(result_.rounds);
            auto to_go = static_cast<std::int64_t>(options_.plan.rounds - result_.rounds);
            now.left = std::chrono::duration_cast<std::chrono::seconds>((Clock::now() - begin_) / blocks * to_go);
        }
        progress_(now);
    }

    const CompareOptions &options_;
    std::vector<Mode> modes_;
    const std::atomic<bool> &stop_;
    const std::function<void(const CompareProgress &)> &progress_;
    std::mt19937_64 random_;
    Clock::time_point begin_ = Clock::now();
    CompareResult result_;
};

} // namespace

Result<CompareResult> compare_modes(const CompareOptions &options, const std::atomic<bool> &stop,
                                    const std::function<void(const CompareProgress &)> &progress) {
    std::vector<std::string> left_out;
    Result<std::vector<Mode>> modes = available(options, left_out);
    if (!modes)
        return tl::unexpected(modes.error());
    Result<CompareResult> result = Comparison(options, std::move(*modes), stop, progress).run();
    if (result)
        result->warnings.insert(result->warnings.begin(), left_out.begin(), left_out.end());
    return result;
}

} // namespace vethtrace
