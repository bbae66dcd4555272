// SPDX-License-Identifier: GPL-2.0-only
#include "run/budget.hpp"

#include "core/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace vethtrace {

namespace {

constexpr int trial_rounds = 9;
constexpr std::uint64_t trial_transactions = 300; // of each flow, in each stretch
constexpr std::uint32_t most = 4096;              // beyond that hardly anything is left to be seen
constexpr std::uint32_t nothing = ~0U;            // one in so many is none in so short a time

Result<double> middle_round_trip(Session &session, const RunOptions &options, bool traced) {
    Stretch stretch{options.warmup, trial_transactions * options.load.flows, {}, traced};
    return session.load().run(stretch).map(
        [](const StretchResult &result) { return result.rtt.percentile(1.0 / 2).value_or(0); });
}

Result<double> traced_round_trip(Session &session, const RunOptions &options, std::uint32_t one_in) {
    session.engine().set_sample(one_in);
    if (Result<void> attached = session.engine().attach(); !attached)
        return tl::unexpected(attached.error());
    Result<double> round_trip = middle_round_trip(session, options, true);
    session.engine().detach();
    return round_trip;
}

// The engine of the trial is thrown away with what it has gathered.
class Trial {
public:
    static Result<Trial> begin(Session &session, const RunOptions &options) {
        return session.another_engine(options).map(
            [&](std::unique_ptr<Engine> engine) { return Trial(session, session.exchange(std::move(engine))); });
    }
    Trial(Trial &&) noexcept = default;
    Trial &operator=(Trial &&) = delete;
    Trial(const Trial &) = delete;
    Trial &operator=(const Trial &) = delete;
    ~Trial() {
        if (kept_)
            (void)session_.exchange(std::move(kept_));
    }

private:
    Trial(Session &session, std::unique_ptr<Engine> kept) : session_(session), kept_(std::move(kept)) {}

    Session &session_;
    std::unique_ptr<Engine> kept_;
};

} // namespace

std::uint32_t sample_within(double limit, double none_followed, double all_followed) {
    if (all_followed <= limit)
        return 1;
    if (none_followed >= limit)
        return most;
    constexpr double rounding = 1e-9; // of the arithmetic, not of the measurement
    double one_in = std::ceil((all_followed - none_followed) / (limit - none_followed) - rounding);
    return static_cast<std::uint32_t>(std::clamp(one_in, 1.0, static_cast<double>(most)));
}

Result<Budget> choose_sample(Session &session, const RunOptions &options, double limit) {
    Result<Trial> trial = Trial::begin(session, options);
    if (!trial)
        return tl::unexpected(trial.error());
    std::vector<double> none;
    std::vector<double> all;
    for (int round = 0; round < trial_rounds; ++round) {
        Result<double> untraced = middle_round_trip(session, options, false);
        Result<double> idle = traced_round_trip(session, options, nothing);
        Result<double> busy = traced_round_trip(session, options, 1);
        for (const Result<double> *result : {&untraced, &idle, &busy})
            if (!*result)
                return tl::unexpected(result->error());
        none.push_back(*idle / *untraced - 1);
        all.push_back(*busy / *untraced - 1);
    }
    Budget budget{
        .limit = limit, .none_followed = std::max(0.0, *median(none)), .all_followed = std::max(0.0, *median(all))};
    budget.sample = sample_within(limit, budget.none_followed, budget.all_followed);
    return budget;
}

} // namespace vethtrace
