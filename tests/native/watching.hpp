// SPDX-License-Identifier: GPL-2.0-only
//
// `vethtrace watch` in the background, and what its JSON says.
#pragma once

#include "native/node.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace vethtrace::test {

// Of the last line: counts by "target out qdisc".
inline std::map<std::string, std::uint64_t> counts_in(const nlohmann::json &line) {
    std::map<std::string, std::uint64_t> counts;
    for (const nlohmann::json &series : line["series"])
        // At a device that is nobody's a packet has a stage as well: the veth of a container that is not watched.
        if (series["from"] != "queue@elsewhere")
            counts[series["target"].get<std::string>() + " " + series["direction"].get<std::string>() + " " +
                   series["stage"].get<std::string>()] += series["count"].get<std::uint64_t>();
    return counts;
}

inline std::set<std::string> targets_in(const nlohmann::json &line) {
    std::set<std::string> targets;
    for (const nlohmann::json &series : line["series"])
        targets.insert(series["target"]);
    return targets;
}

// A process that watches until it is asked for its result. It writes to a file: into a pipe that nobody reads it would
// have to wait.
class Watching {
public:
    Watching(const Node &node, std::vector<std::string> words) {
        words.emplace_back("--json");
        allow_sanitizers(words);
        std::vector<std::string> line = {"sh", "-c", "exec \"$@\" >" + file_, "sh"};
        std::vector<std::string> watch = node.watch_line(words);
        line.insert(line.end(), watch.begin(), watch.end());
        process_ = std::make_unique<Process>(line);
        // It has attached once it has told of a window.
        for (int tries = 0; tries < 1000 && std::ifstream(file_).peek() == std::ifstream::traits_type::eof(); ++tries)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    Watching(const Watching &) = delete;
    Watching &operator=(const Watching &) = delete;
    ~Watching() { std::filesystem::remove(file_); }

    [[nodiscard]] pid_t pid() const { return process_->pid(); }
    std::vector<nlohmann::json> finish() {
        process_->signal(SIGINT);
        Finished finished = process_->wait();
        EXPECT_EQ(finished.status, 0) << finished.err;
        std::ifstream file(file_);
        return Node::lines(std::string((std::istreambuf_iterator<char>(file)), {}));
    }

private:
    static inline int count_ = 0;
    std::string file_ = fmt::format("{}/watch-{}-{}.json", testing::TempDir(), getpid(), ++count_);
    std::unique_ptr<Process> process_;
};

} // namespace vethtrace::test
