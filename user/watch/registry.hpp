// SPDX-License-Identifier: GPL-2.0-only
//
// The targets under the numbers that the programs know them by. Keeps the programs' table of devices as the targets
// come and go; a number is never given twice.
#pragma once

#include "core/watch.hpp"
#include "hooks/watch_engine.hpp"
#include "watch/targets.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vethtrace {

// Since the last time.
struct TargetChanges {
    std::vector<Target> arrived; // or are otherwise than they were
    std::vector<std::string> gone;
    std::vector<std::string> notes; // sentences; none of the first time
};

class Registry {
public:
    explicit Registry(WatchEngine &engine) : engine_(engine) {}

    // Takes what was found this time for all there is.
    [[nodiscard]] Result<TargetChanges> update(const Found &found);

    // Of a number; null for 0, and for one whose target is gone for longer than a window.
    [[nodiscard]] const Target *target(std::uint32_t number) const;
    [[nodiscard]] bool is_gone(std::uint32_t number) const;
    // Once nothing of those that are gone is wanted any more.
    void forget_gone();

    // By the number of a target: the index of what is booked of its sockets.
    [[nodiscard]] std::map<std::uint32_t, std::uint32_t> books() const;

    [[nodiscard]] std::size_t size() const { return numbers_.size(); }
    // How many of them are connected how; "other": by nothing that is known here.
    [[nodiscard]] std::map<std::string, std::size_t> modes() const;

    // The device at a station of that target's packets; "ifindex 7" if it is not known.
    [[nodiscard]] std::string device_name(std::uint32_t number, Station station, std::uint32_t ifindex) const;

private:
    using Key = std::pair<std::uint32_t, std::string>; // the namespace, and for interfaces their name
    using Devices = std::map<std::uint64_t, watch_layout::watched_device>;

    using Addresses = std::map<IpAddress, std::uint32_t>;

    struct Entry {
        Target target;
        bool gone = false;
        std::uint32_t books = 0; // its index in the programs' table of books; 0: none
    };

    std::uint32_t take_books();
    static Key key_of(const Target &target);
    std::uint32_t number_of(const Target &target, TargetChanges &changes);
    void take_leave(const Key &key, TargetChanges &changes);
    Result<void> apply(const Devices &devices);
    void apply_addresses(const Found &found);

    WatchEngine &engine_;
    std::map<Key, std::uint32_t> numbers_; // of those that are here
    std::map<std::uint32_t, Entry> targets_;
    std::vector<WatchedDevice> node_;
    Addresses addresses_; // with the numbers of their targets; 0: of several
    Devices devices_;     // as the programs have them, by watch_layout::place_of()
    std::uint32_t last_number_ = 0;
    std::uint32_t last_books_ = 0;
    std::vector<std::uint32_t> free_books_;
    bool first_ = true;
};

} // namespace vethtrace
