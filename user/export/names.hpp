// SPDX-License-Identifier: GPL-2.0-only
//
// Which containers have a name of their own among the metrics. There is room for so many only, so the busiest have one.
// A name that was given stays for a while, and one that was taken away stays away for a while: for Prometheus, whose
// queries look back five minutes, a series then either goes on or has ended and begins anew.
#pragma once

#include "core/watch.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vethtrace {

// Labels that are no container's: packets of those without a name of their own, and packets that are nobody's.
constexpr const char *other_containers = "other";
constexpr const char *nobody = "unknown";

class Names {
public:
    static constexpr Nanoseconds patience = 300'000'000'000;

    // The next window: who has come, who is gone, who is how busy.
    void look(const WatchWindow &window);

    [[nodiscard]] bool has(const std::string &container) const;
    [[nodiscard]] std::size_t size() const { return named_; }
    // How many others had packets lately.
    [[nodiscard]] std::size_t nameless() const;

    // The busiest that has no name and may have one; null: none.
    [[nodiscard]] std::optional<std::string> next() const;
    // Those that are gone for long.
    [[nodiscard]] std::vector<std::string> over() const;
    // The one that may give way to next(), because it is by far less busy; null: none.
    [[nodiscard]] std::optional<std::string> least() const;

    void give(const std::string &container);
    void take(const std::string &container);

private:
    struct Container {
        double packets = 0;                  // lately
        std::optional<Nanoseconds> named;    // since when
        std::optional<Nanoseconds> nameless; // since when it has lost its name
        std::optional<Nanoseconds> gone;     // since when
    };

    [[nodiscard]] bool is_past(const std::optional<Nanoseconds> &when) const { return now_ - *when >= patience; }
    void forget();

    std::map<std::string, Container> containers_;
    Nanoseconds now_ = 0; // the time that has been watched
    std::size_t named_ = 0;
};

} // namespace vethtrace
