// SPDX-License-Identifier: GPL-2.0-only
//
// A machine with a container and a peer, played by three network namespaces of its own. Nothing of the real machine is
// touched but the names under /run/netns; they go with the lab.
#pragma once

#include "core/environment.hpp"
#include "core/ways.hpp"
#include "lab/ownership.hpp"
#include "netns/netns.hpp"

#include <memory>
#include <optional>
#include <string>

namespace vethtrace {

class Lab {
public:
    // Builds the lab of a mode. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
    [[nodiscard]] static Result<std::unique_ptr<Lab>> build(Mode mode, Topology topology);
    [[nodiscard]] static Result<std::unique_ptr<Lab>> build(Mode mode, Topology topology, Ownership owner);
    Lab(const Lab &) = delete;
    Lab &operator=(const Lab &) = delete;
    ~Lab();

    // Leaves the namespaces behind when this object goes.
    void keep() { kept_ = true; }

    // The namespaces where the two ends of the load live.
    [[nodiscard]] const Netns &client() const { return container_ ? *container_ : *host_; }
    [[nodiscard]] const Netns &server() const { return *peer_; }
    [[nodiscard]] const Netns &host() const { return *host_; }
    [[nodiscard]] const std::string &server_address() const { return server_address_; }
    [[nodiscard]] const std::string &name() const { return owner_.lab(); }

    // In which mode the kernel says that the ipvlan port is, "l2" or "l3"; null in other modes. All devices of one
    // parent share it, so what was asked for is not what it need be.
    [[nodiscard]] const std::optional<std::string> &port_mode() const { return port_mode_; }

    // As it was built. Read at once, because a run gives up the capability to enter its namespaces.
    [[nodiscard]] NetworkSettings settings() const;

private:
    explicit Lab(Ownership owner) : owner_(std::move(owner)) {}

    Ownership owner_;
    bool kept_ = false;
    std::optional<Netns> container_;
    std::optional<Netns> host_;
    std::optional<Netns> peer_;
    std::string server_address_;
    std::optional<std::string> port_mode_;

    friend class Builder;
};

} // namespace vethtrace
