// SPDX-License-Identifier: GPL-2.0-only
//
// A recording of `watch`, read back: JSON lines of `vethtrace.watch/2`, or of the older
// `vethtrace.watch/1`. Nothing in it is taken on trust; see input/stored.hpp.
#pragma once

#include "core/environment.hpp"
#include "core/error.hpp"
#include "core/watch_totals.hpp"
#include "input/node.hpp"

#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

class WatchRecording {
public:
    // Reads all windows, in order, and keeps where they are: a recording of days needs no more memory than its totals.
    // A last line that was cut off is a remark, any other that is not right an error with its number. The line that
    // sums up may also be there alone, as of a command in a lab it is; then there are totals without a window.
    [[nodiscard]] static Result<WatchRecording> read(std::string name, std::unique_ptr<std::istream> lines,
                                                     const std::function<void(const WatchWindow &)> &each);
    [[nodiscard]] static Result<WatchRecording> open(const std::string &path,
                                                     const std::function<void(const WatchWindow &)> &each);

    [[nodiscard]] std::size_t size() const { return places_.size(); }
    [[nodiscard]] Result<WatchWindow> window(std::size_t index);
    // Of the first window with that number or a higher one; size() if there is none.
    [[nodiscard]] std::size_t index_of(std::uint64_t number) const;

    [[nodiscard]] const std::string &name() const { return name_; }
    [[nodiscard]] const WatchTotals &totals() const { return totals_; } // reckoned from the windows, if there are any
    [[nodiscard]] const std::string &ended() const { return ended_; }   // why
    [[nodiscard]] const Environment &environment() const { return environment_; }
    [[nodiscard]] const std::vector<std::string> &remarks() const { return remarks_; }
    [[nodiscard]] const std::optional<CommandInLab> &lab() const { return lab_; }

private:
    struct Place {
        std::istream::pos_type offset;
        std::size_t line = 0;
        std::uint64_t number = 0; // of the window
    };

    WatchRecording(std::string name, std::unique_ptr<std::istream> lines)
        : name_(std::move(name)), lines_(std::move(lines)) {}

    Result<std::string> next_line(std::size_t number);
    Result<void> read_all(const std::function<void(const WatchWindow &)> &each);
    Result<std::optional<WatchWindow>> take(const std::string &line, const Place &place);
    void take_end(const Node &document);

    std::string name_;
    std::unique_ptr<std::istream> lines_;
    std::vector<Place> places_; // of windows
    WatchTotals totals_;
    std::string ended_;
    std::optional<std::uint64_t> windows_; // that there were, by the last line
    std::uint64_t last_number_ = 0;
    int version_ = 0; // of the line that was read last
    Environment environment_;
    std::vector<std::string> remarks_;
    std::optional<CommandInLab> lab_;
};

// Whether a file begins like a recording; what else it is, is for others to say.
[[nodiscard]] bool is_recording(const std::string &path);

} // namespace vethtrace
