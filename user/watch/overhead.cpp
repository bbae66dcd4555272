// SPDX-License-Identifier: GPL-2.0-only
#include "watch/overhead.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>
#include <unistd.h>
#include <utility>

namespace vethtrace {

namespace {

using std::chrono::milliseconds;

// The kernel's count leaves out getting into a program and out of it (5 ns for a tp_btf on bare metal, by the kernel's
// own benchmark), and has one reading of the clock too many (an empty program counts as 35 ns here). So it errs on the
// safe side.

constexpr std::uint64_t enough_events = 1000;
constexpr milliseconds first_look(50);
constexpr milliseconds shortest_look(50); // what is shorter tells too little
constexpr std::chrono::seconds between_counts(3);

// Where a packet that is not followed meets this many hooks, each time it could be.
constexpr double events_of_a_packet = 4;

double seconds(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

} // namespace

std::uint64_t resident_bytes() {
    // Pages; proc_pid_statm(5).
    std::ifstream statm("/proc/self/statm");
    std::uint64_t whole = 0;
    std::uint64_t resident = 0;
    if (!(statm >> whole >> resident))
        return 0;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

// One equation for two unknowns: both change by as little as they must, in proportion to their part in the time. What
// is measured at other samples then tells them apart (this is Kaczmarz's method).
void CostModel::learn(double events, double followed, double ns) {
    constexpr unsigned all_new = 3;
    constexpr double weight = 0.5; // later on, against what is known: a count can catch a bad moment
    constexpr double least_factor = 0.05;
    double of_events = events * event_ns_;
    double of_packets = followed * packet_ns_;
    double squares = of_events * of_events + of_packets * of_packets;
    if (squares <= 0 || ns <= 0)
        return;
    double step = (ns - of_events - of_packets) / squares * (learned_ < all_new ? 1 : weight);
    event_ns_ *= std::max(1 + step * of_events, least_factor);
    packet_ns_ *= std::max(1 + step * of_packets, least_factor);
    ++learned_;
}

std::uint32_t SampleControl::wanted(const CostModel &cost, const Passing &passing) const {
    constexpr double aim = 0.85; // of the limit, so that a little more traffic is not too much at once
    constexpr double ns = 1e-9;
    std::uint32_t most = std::max(most_sparse, least_);
    double room = limit_ * aim * passing.seconds - cost.ns(passing.events, 0) * ns;
    double of_all = cost.ns(0, passing.packets) * ns;
    if (of_all >= room * most)
        return most;
    return std::max(static_cast<std::uint32_t>(std::ceil(of_all / room)), least_);
}

void SampleControl::begin(const CostModel &cost, const Passing &guessed) {
    sample_ = wanted(cost, guessed);
    is_guess_ = sample_ != least_;
}

void SampleControl::look(const CostModel &cost, const Passing &passing) {
    constexpr double may_be_saved = 0.25; // seconds of the budget
    constexpr unsigned enough_quiet_looks = 10;
    constexpr std::uint32_t far = 8;
    constexpr double ns = 1e-9;
    std::uint32_t next = wanted(cost, passing);
    double spent = cost.ns(passing.events, passing.followed) * ns;
    saved_ = std::min(saved_ + limit_ * passing.seconds - spent, limit_ * may_be_saved);
    bool is_too_much = spent > limit_ * passing.seconds && saved_ < 0;
    saved_ = std::max(saved_, 0.0);
    if (is_guess_ || (is_too_much && next > sample_)) {
        // So much more traffic, and the prices are those of what passed before: the next look knows better.
        is_guess_ = !is_guess_ && next / far > sample_;
        sample_ = next;
        quiet_looks_ = 0;
        return;
    }
    if (std::uint64_t{next} * 2 > sample_) {
        quiet_looks_ = 0;
        return;
    }
    asked_ = quiet_looks_ == 0 ? next : std::max(asked_, next);
    if (++quiet_looks_ == enough_quiet_looks) {
        sample_ = asked_;
        quiet_looks_ = 0;
    }
}

Overhead::Reading Overhead::read() const {
    Reading reading;
    reading.when = Clock::now();
    reading.events = engine_.events();
    for (std::uint64_t events : reading.events)
        reading.all_events += events;
    for (const WatchEngine::Tallies &cpu : engine_.tallies()) {
        reading.followed += cpu.at(watch_layout::WATCH_TALLY_SAMPLED);
        reading.left_out += cpu.at(layout::TALLY_NOT_SAMPLED);
    }
    return reading;
}

void Overhead::begin() {
    last_ = read();
    begin_to_count(last_);
    std::this_thread::sleep_for(first_look);
    Reading now = read();
    end_to_count(now);
    Passing guessed = take_in(now);
    guessed.packets = guessed.events / events_of_a_packet;
    control_.begin(cost_, guessed);
    engine_.set_sample(control_.sample());
    window_.clear();
    last_ = window_begun_ = read();
    window_begun_sparse_ = control_.is_most_sparse();
}

void Overhead::look() {
    Reading now = read();
    if (now.when - last_.when < shortest_look)
        return;
    end_to_count(now);
    control(take_in(now), now);
}

// Since the last look, into the window that is under way. What the kernel counts is the sum of all CPUs; each one's
// part is taken to be that of its events.
Passing Overhead::take_in(const Reading &now) {
    Passing passing;
    passing.seconds = seconds(now.when - last_.when);
    auto all = static_cast<double>(now.all_events - last_.all_events);
    window_.resize(now.events.size());
    last_.events.resize(now.events.size());
    for (std::size_t i = 0; i < now.events.size(); ++i) {
        auto events = static_cast<double>(now.events[i] - last_.events[i]);
        double part = all > 0 ? events / all : 0;
        double followed = part * static_cast<double>(now.followed - last_.followed);
        double left_out = part * static_cast<double>(now.left_out - last_.left_out);
        window_[i].events += events;
        window_[i].followed += followed;
        if (events > passing.events) {
            passing.events = events;
            passing.followed = followed;
            passing.packets = followed + left_out;
        }
    }
    last_ = now;
    return passing;
}

void Overhead::control(const Passing &passing, const Reading &now) {
    std::uint32_t before = control_.sample();
    control_.look(cost_, passing);
    if (control_.sample() != before) {
        engine_.set_sample(control_.sample());
        next_count_ = now.when; // another mixture of events
    }
    if (!counting_ && now.when >= next_count_)
        begin_to_count(now);
}

void Overhead::begin_to_count(const Reading &now) {
    if (counting_ || refused_)
        return;
    if (!engine_.count_time(true)) {
        refused_ = true; // the guesses stay
        return;
    }
    counting_ = true;
    spent_before_ = engine_.spent();
    counted_from_ = now;
}

void Overhead::end_to_count(const Reading &now) {
    if (!counting_ || now.all_events - counted_from_.all_events < enough_events)
        return;
    WatchEngine::Spent spent = engine_.spent();
    (void)engine_.count_time(false);
    counting_ = false;
    next_count_ = now.when + between_counts;
    cost_.learn(static_cast<double>(now.all_events - counted_from_.all_events),
                static_cast<double>(now.followed - counted_from_.followed),
                static_cast<double>(spent.ns - spent_before_.ns));
}

Overhead::Window Overhead::end_window() {
    Reading now = read();
    end_to_count(now);
    bool is_long_enough = now.when - last_.when >= shortest_look;
    Passing passing = take_in(now);
    if (is_long_enough)
        control(passing, now);

    Window window;
    double most = 0;
    for (const Share &share : std::exchange(window_, {}))
        most = std::max(most, cost_.ns(share.events, share.followed));
    double duration = std::chrono::duration<double, std::nano>(now.when - window_begun_.when).count();
    window.overhead = duration > 0 ? most / duration : 0;
    window.over_budget = window.overhead > limit_;
    window.is_hopeless = window.over_budget && window_begun_sparse_ && control_.is_most_sparse();
    window.sample = control_.sample();
    auto followed = static_cast<double>(now.followed - window_begun_.followed);
    auto left_out = static_cast<double>(now.left_out - window_begun_.left_out);
    window.sample_ratio = followed > 0 ? (followed + left_out) / followed : window.sample;
    window_begun_ = std::move(now);
    window_begun_sparse_ = control_.is_most_sparse();
    return window;
}

} // namespace vethtrace
