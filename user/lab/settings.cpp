// SPDX-License-Identifier: GPL-2.0-only
#include "lab/settings.hpp"

#include "core/stations.hpp"
#include "lab/links.hpp"
#include "lab/offload.hpp"

#include "lab_layout.h"

#include <fstream>

namespace vethtrace {

namespace {

using namespace layout;

// The files of /proc/sys/net are those of the namespace that the reading thread is in.
std::optional<std::string> read_sysctl(const Netns &netns, const char *path) {
    Result<InNamespace> inside = InNamespace::enter(netns.fd());
    if (!inside)
        return std::nullopt;
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line))
        return std::nullopt;
    return line;
}

void add_devices(const Netns &netns, std::vector<DeviceSettings> &devices) {
    Result<Links> links = Links::of(netns.fd());
    if (!links)
        return;
    for (int role = ROLE_CONTAINER; role < ROLES; ++role) {
        Result<std::string> qdisc = links->qdisc(LAB_IFINDEX + role);
        if (!qdisc)
            continue; // it is in another namespace, or this mode has none
        DeviceSettings device;
        device.name = name_of(static_cast<layout::role>(role));
        device.qdisc = *qdisc;
        if (Result<Offloads> offloads = read_offloads(netns.fd(), device.name)) {
            device.gro = offloads->gro;
            device.gso = offloads->gso;
            device.tso = offloads->tso;
        }
        devices.push_back(std::move(device));
    }
}

} // namespace

NetworkSettings read_settings(const Netns &client, const Netns &host,
                              const std::vector<std::reference_wrapper<const Netns>> &all) {
    NetworkSettings settings;
    settings.congestion_control = read_sysctl(client, "/proc/sys/net/ipv4/tcp_congestion_control");
    settings.rps_default_mask = read_sysctl(host, "/proc/sys/net/core/rps_default_mask");
    for (const Netns &netns : all)
        add_devices(netns, settings.devices);
    return settings;
}

} // namespace vethtrace
