// SPDX-License-Identifier: GPL-2.0-only
#include "watch/registry.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <set>

namespace vethtrace {

namespace {

using watch_layout::watched_device;

watched_device entry(std::uint32_t target, std::uint32_t books, const WatchedDevice &device) {
    watched_device entry = {};
    entry.books = books;
    entry.target = target;
    entry.role = static_cast<__u8>(device.role);
    entry.is_last = device.is_last ? 1 : 0;
    entry.is_entry = device.is_entry ? 1 : 0;
    entry.is_tunnel = device.is_tunnel ? 1 : 0;
    return entry;
}

std::uint64_t place(const WatchedDevice &device) {
    return watch_layout::place_of(device.netns, static_cast<std::uint32_t>(device.ifindex));
}

// Numbers of namespaces are given again as soon as they are free.
bool is_another(const Target &known, const Target &now) {
    if (known.kind != now.kind)
        return false; // it has only got a better name
    return now.kind == TargetKind::container ? known.container_id != now.container_id && known.name != now.name
                                             : now.kind == TargetKind::netns && known.name != now.name;
}

watch_layout::target_address to_key(const IpAddress &address) {
    watch_layout::target_address key = {};
    key.family = static_cast<__u32>(address.family);
    std::copy(address.bytes.begin(), address.bytes.end(), key.bytes);
    return key;
}

bool same(const watched_device &a, const watched_device &b) {
    return std::memcmp(&a, &b, sizeof(a)) == 0;
}

} // namespace

Registry::Key Registry::key_of(const Target &target) {
    return {target.netns, target.kind == TargetKind::interface ? target.name : ""};
}

std::uint32_t Registry::number_of(const Target &target, TargetChanges &changes) {
    if (auto known = numbers_.find(key_of(target));
        known != numbers_.end() && is_another(targets_[known->second].target, target))
        take_leave(known->first, changes);
    auto [entry, fresh] = numbers_.try_emplace(key_of(target), last_number_ + 1);
    if (fresh) {
        ++last_number_;
        if (!first_)
            changes.notes.push_back(fmt::format("{} has come", target.name));
    }
    Entry &known = targets_[entry->second];
    if (fresh && target.kind != TargetKind::interface)
        known.books = take_books();
    if (fresh || known.target != target)
        changes.arrived.push_back(target);
    known.target = target;
    return entry->second;
}

// 0, which nothing is booked to, if there are too many targets.
std::uint32_t Registry::take_books() {
    if (!free_books_.empty()) {
        std::uint32_t index = free_books_.back();
        free_books_.pop_back();
        return index;
    }
    return last_books_ + 1 < watch_layout::TARGET_BOOKS ? ++last_books_ : 0;
}

void Registry::take_leave(const Key &key, TargetChanges &changes) {
    auto known = numbers_.find(key);
    Entry &entry = targets_[known->second];
    entry.gone = true;
    changes.gone.push_back(entry.target.name);
    changes.notes.push_back(fmt::format("{} is gone", entry.target.name));
    numbers_.erase(known);
}

Result<TargetChanges> Registry::update(const Found &found) {
    TargetChanges changes;
    std::set<Key> here;
    Devices devices;
    for (const WatchedDevice &device : found.node)
        devices[place(device)] = entry(0, 0, device);
    for (const Target &target : found.targets) {
        here.insert(key_of(target));
        std::uint32_t number = number_of(target, changes);
        for (const WatchedDevice &device : target.devices)
            devices[place(device)] = entry(number, targets_.at(number).books, device);
        if (target.kind != TargetKind::interface)
            devices[watch_layout::place_of(target.netns, 0)] = entry(number, targets_.at(number).books, {});
    }
    std::vector<Key> gone;
    for (const auto &[key, number] : numbers_)
        if (!here.contains(key))
            gone.push_back(key);
    for (const Key &key : gone)
        take_leave(key, changes);
    changes.notes.insert(changes.notes.end(), found.notes.begin(), found.notes.end());
    node_ = found.node;
    first_ = false;
    apply_addresses(found);
    engine_.set_tunnels(
        std::any_of(devices.begin(), devices.end(), [](const auto &device) { return device.second.is_tunnel != 0; }));
    return apply(devices).map([&] { return std::move(changes); });
}

Result<void> Registry::apply(const Devices &devices) {
    for (const auto &[place, device] : devices_)
        if (!devices.contains(place))
            engine_.remove_device(place);
    for (const auto &[place, device] : devices) {
        auto known = devices_.find(place);
        if (known != devices_.end() && same(known->second, device))
            continue;
        if (Result<void> set = engine_.set_device(place, device); !set)
            return set;
    }
    devices_ = devices;
    return {};
}

void Registry::apply_addresses(const Found &found) {
    Addresses addresses;
    for (const Target &target : found.targets)
        for (const IpAddress &address : target.addresses) {
            std::uint32_t number = numbers_.at(key_of(target));
            auto [known, fresh] = addresses.try_emplace(address, number);
            if (!fresh && known->second != number)
                known->second = 0; // of several, so it tells nothing
        }
    for (const auto &[address, number] : addresses_)
        if (!addresses.contains(address))
            engine_.remove_address(to_key(address));
    for (const auto &[address, number] : addresses)
        if (auto known = addresses_.find(address); known == addresses_.end() || known->second != number)
            engine_.set_address(to_key(address), number);
    addresses_ = std::move(addresses);
}

const Target *Registry::target(std::uint32_t number) const {
    auto known = targets_.find(number);
    return known == targets_.end() ? nullptr : &known->second.target;
}

std::map<std::string, std::size_t> Registry::modes() const {
    std::map<std::string, std::size_t> modes;
    for (const auto &[key, number] : numbers_) {
        const std::optional<Mode> &mode = targets_.at(number).target.mode;
        ++modes[mode ? std::string(name_of(*mode)) : "other"];
    }
    return modes;
}

bool Registry::is_gone(std::uint32_t number) const {
    auto known = targets_.find(number);
    return known == targets_.end() || known->second.gone;
}

void Registry::forget_gone() {
    std::erase_if(targets_, [&](const auto &entry) {
        if (entry.second.gone && entry.second.books != 0)
            free_books_.push_back(entry.second.books);
        return entry.second.gone;
    });
}

std::map<std::uint32_t, std::uint32_t> Registry::books() const {
    std::map<std::uint32_t, std::uint32_t> books;
    for (const auto &[number, entry] : targets_)
        if (entry.books != 0)
            books.emplace(number, entry.books);
    return books;
}

std::string Registry::device_name(std::uint32_t number, Station station, std::uint32_t ifindex) const {
    auto name_among = [&](const std::vector<WatchedDevice> &devices, bool of_role) -> const std::string * {
        auto known = std::find_if(devices.begin(), devices.end(), [&](const WatchedDevice &device) {
            return device.ifindex == static_cast<int>(ifindex) && (!of_role || device.role == role_of(station));
        });
        return known == devices.end() ? nullptr : &known->name;
    };
    const Target *own = target(number);
    if (const std::string *name = own == nullptr ? nullptr : name_among(own->devices, true))
        return *name;
    if (const std::string *name = name_among(node_, false))
        return *name;
    return fmt::format("ifindex {}", ifindex);
}

} // namespace vethtrace
