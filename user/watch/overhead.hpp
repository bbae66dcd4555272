// SPDX-License-Identifier: GPL-2.0-only
//
// What tracing costs while it watches, and how many packets may be followed for a given price.
#pragma once

#include "core/watch.hpp"
#include "hooks/watch_engine.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace vethtrace {

constexpr std::uint32_t most_sparse = 4096; // one packet in so many is followed at least

// Of this process; 0 if /proc does not tell.
[[nodiscard]] std::uint64_t resident_bytes();

// What tracing costs: each event something, whatever becomes of its packet, and each packet that is followed something
// more, on its whole way. Both in ns; cautious guesses until they were measured.
class CostModel {
public:
    // So many events, and packets that began to be followed among them, have taken so much time.
    void learn(double events, double followed, double ns);

    [[nodiscard]] double ns(double events, double followed) const { return events * event_ns_ + followed * packet_ns_; }

private:
    double event_ns_ = 100;
    double packet_ns_ = 1600;
    unsigned learned_ = 0;
};

// What passed in a stretch of time, on the CPU where most did.
struct Passing {
    double seconds = 0;
    double events = 0;
    double followed = 0;
    double packets = 0; // that could have been followed
};

// One packet in how many is followed, so that it costs no more than `limit`, a part of a CPU's time, and never more
// than one in `least`, which the user asked for. To fewer packets it goes at once, by what was measured. A short burst
// is let through, and to more packets it goes when there has been room for a while: so it does not swing.
class SampleControl {
public:
    SampleControl(double limit, std::uint32_t least) : limit_(limit), least_(least), sample_(least) {}

    // Before anything is followed: how many packets pass is a guess.
    void begin(const CostModel &cost, const Passing &guessed);
    // After each stretch, some ten times a second.
    void look(const CostModel &cost, const Passing &passing);

    [[nodiscard]] std::uint32_t sample() const { return sample_; }
    [[nodiscard]] bool is_most_sparse() const { return sample_ >= most_sparse; }

private:
    [[nodiscard]] std::uint32_t wanted(const CostModel &cost, const Passing &passing) const;

    double limit_;
    std::uint32_t least_;
    std::uint32_t sample_;
    double saved_ = 0;         // seconds of tracing that are left of what may be spent; negative: overspent
    bool is_guess_ = false;    // by prices of other traffic, so that the next look may put it right
    unsigned quiet_looks_ = 0; // in a row, that left room for twice as many packets ...
    std::uint32_t asked_ = 0;  // ... and what the one of them wanted that left least
};

// Keeps watch over the time that tracing takes. The kernel counts it, but counting costs as much again: so only for a
// tenth of a second now and then. In between events are counted, which costs nothing.
class Overhead {
public:
    Overhead(WatchEngine &engine, double limit, std::uint32_t least)
        : engine_(engine), limit_(limit), control_(limit, least) {}

    // To be called once, when the programs are attached and nothing is followed yet: takes a moment to see how much
    // passes here.
    void begin();

    // Looks at what has happened since the last look, and sets the engine's sample; some ten times a second.
    void look();

    struct Window {
        double overhead = 0; // the part of its time that the busiest CPU spent in tracing
        bool over_budget = false;
        bool is_hopeless = false; // over budget, although hardly a packet was followed
        std::uint32_t sample = 1; // at its end
        double sample_ratio = 1;  // packets that came, for each that was followed
    };
    // Since the last call.
    [[nodiscard]] Window end_window();

private:
    using Clock = std::chrono::steady_clock;

    // Counts since the beginning.
    struct Reading {
        Clock::time_point when;
        std::vector<std::uint64_t> events; // by CPU
        std::uint64_t all_events = 0;
        std::uint64_t followed = 0;
        std::uint64_t left_out = 0; // not followed, because of the sample
    };
    [[nodiscard]] Reading read() const;

    struct Share {
        double events = 0;
        double followed = 0;
    };

    [[nodiscard]] Passing take_in(const Reading &now);
    void control(const Passing &passing, const Reading &now);
    void begin_to_count(const Reading &now);
    void end_to_count(const Reading &now);

    WatchEngine &engine_;
    double limit_;
    CostModel cost_;
    SampleControl control_;
    Reading last_; // of the last look
    Reading window_begun_;
    bool window_begun_sparse_ = false;
    std::vector<Share> window_; // of each CPU in what has passed

    bool counting_ = false; // the kernel does
    bool refused_ = false;  // it does not for us
    WatchEngine::Spent spent_before_;
    Reading counted_from_;
    Clock::time_point next_count_;
};

} // namespace vethtrace
