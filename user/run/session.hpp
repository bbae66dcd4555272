// SPDX-License-Identifier: GPL-2.0-only
//
// All that a run needs, set up: a lab, the hooks that this kernel allows, the programs loaded, the load connected.
#pragma once

#include "hooks/engine.hpp"
#include "hooks/features.hpp"
#include "lab/lab.hpp"
#include "load/tcp_rr.hpp"
#include "run/run.hpp"

#include <memory>

namespace vethtrace {

struct Hooks {
    std::vector<Choice> choices;
    std::vector<std::string> drop_reasons;
    bool can_cast = false;
    double kprobe_extra_ns = 0; // 0 where none is used

    [[nodiscard]] const Choice *of(const Way &way, Station station) const {
        std::optional<std::string> ladder = ladder_name(way, station);
        for (const Choice &choice : choices)
            if (choice.ladder.name == ladder && choice.used)
                return &choice;
        return nullptr;
    }
};

class Session {
public:
    [[nodiscard]] static Result<std::unique_ptr<Session>> open(const RunOptions &options, const std::atomic<bool> &stop,
                                                               const Progress &progress);

    [[nodiscard]] const Way &way() const { return way_; }
    [[nodiscard]] const Lab &lab() const { return *lab_; }
    [[nodiscard]] const NetworkSettings &settings() const { return settings_; }
    [[nodiscard]] const Hooks &hooks() const { return hooks_; }
    [[nodiscard]] Engine &engine() const { return *engine_; }
    [[nodiscard]] TcpRr &load() const { return *load_; }

    // A further engine for the same hooks; exchange() makes it the one that the load leaves its notes for.
    [[nodiscard]] Result<std::unique_ptr<Engine>> another_engine(const RunOptions &options) const;
    std::unique_ptr<Engine> exchange(std::unique_ptr<Engine> engine);

private:
    Session(Way way, std::unique_ptr<Lab> lab, Hooks hooks)
        : way_(std::move(way)), lab_(std::move(lab)), hooks_(std::move(hooks)) {}

    Way way_;
    std::unique_ptr<Lab> lab_;
    NetworkSettings settings_; // read once, because the privileges for that are given up later
    Hooks hooks_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<TcpRr> load_; // goes before the engine whose notes it writes
};

} // namespace vethtrace
