// SPDX-License-Identifier: GPL-2.0-only
//
// The BPF side, loaded: attaches and detaches its programs, shares the notes of the load, and reads what was gathered.
#pragma once

#include "core/error.hpp"
#include "core/histogram.hpp"
#include "core/ladder.hpp"
#include "core/notes.hpp"
#include "core/ways.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vethtrace {

struct EngineOptions {
    Way way;
    std::array<std::uint32_t, layout::ENDS> netns = {}; // inode numbers of the namespaces, by end
    std::array<std::uint32_t, layout::ENDS> message_bytes = {1, 1};
    std::uint32_t flows = 1;
    bool can_cast = false;    // see Features
    std::uint32_t sample = 1; // follow one message in so many
    std::uint32_t timelines = 0;
    std::uint64_t timeline_stride = 1;
    layout::mutation mutation = layout::MUTATION_NONE; // only tests ask for one
};

struct Edge {
    Direction direction = Direction::request;
    Station from;
    Station to;
    Histogram time;
    std::uint64_t events = 0;
    std::uint64_t other_cpu = 0;
};

// Everything that the programs have gathered, over all CPUs.
struct Snapshot {
    std::vector<Edge> edges;
    std::array<std::uint64_t, layout::TALLIES> tallies = {};
    std::map<std::string, std::uint64_t> dropped; // by the kernel's reason
    std::uint64_t in_flight = 0;
    std::uint64_t events = 0;
    Histogram net_rx_wait;                       // ns from raise to entry
    Histogram net_rx_run;                        // ns from entry to exit
    std::map<std::string, std::uint64_t> missed; // by program: calls that the kernel suppressed
};

class Engine {
public:
    [[nodiscard]] static Result<std::unique_ptr<Engine>>
    load(const EngineOptions &options, const std::vector<Choice> &choices, std::vector<std::string> drop_reasons);
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;
    ~Engine();

    [[nodiscard]] Result<void> attach();
    void detach();

    // Follow one message in so many from now on; between two stretches of the load.
    void set_sample(std::uint32_t one_in);

    // Descriptors of the programs that are used.
    [[nodiscard]] std::vector<int> programs() const;

    // Shared with the load; the engine must outlive it.
    [[nodiscard]] Notes notes();

    // Once the load has stopped.
    [[nodiscard]] Snapshot snapshot() const;

private:
    class Implementation;
    explicit Engine(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

} // namespace vethtrace
