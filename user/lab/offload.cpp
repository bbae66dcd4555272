// SPDX-License-Identifier: GPL-2.0-only
#include "lab/offload.hpp"

#include "core/fd.hpp"
#include "core/kernel_version.hpp"
#include "netns/netns.hpp"

#include <cerrno>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace vethtrace {

namespace {

Result<void> check_kernel() {
    if (!kernel_is_before(5, 13))
        return {};
    return fail("GRO of veth", "veth has it without XDP since kernel 5.13 only",
                "--mode veth traces the path that this kernel has");
}

// A socket in that namespace: where the caller is afterwards does not matter.
Result<Fd> open_socket(int netns_fd) {
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return fail_errno("socket", errno);
    return socket;
}

Result<__u32> call_ethtool(const Fd &socket, const std::string &device, ethtool_value offload) {
    ifreq request = {};
    device.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
    request.ifr_data = reinterpret_cast<char *>(&offload);
    if (ioctl(socket.get(), SIOCETHTOOL, &request) != 0)
        return fail_errno("offloads of " + device, errno);
    return offload.data;
}

Result<void> set_offload(const Fd &socket, const std::string &device, __u32 command, __u32 value) {
    return call_ethtool(socket, device, {.cmd = command, .data = value}).map([](__u32) {});
}

std::optional<bool> get_offload(const Fd &socket, const std::string &device, __u32 command) {
    Result<__u32> value = call_ethtool(socket, device, {.cmd = command, .data = 0});
    return value ? std::optional(*value != 0) : std::nullopt;
}

} // namespace

Result<void> exchange_tso_for_gro(int netns_fd, const std::string &device) {
    if (Result<void> possible = check_kernel(); !possible)
        return possible;
    return open_socket(netns_fd).and_then([&](const Fd &socket) {
        return set_offload(socket, device, ETHTOOL_STSO, 0).and_then([&] {
            return set_offload(socket, device, ETHTOOL_SGRO, 1);
        });
    });
}

Result<Offloads> read_offloads(int netns_fd, const std::string &device) {
    return open_socket(netns_fd).map([&](const Fd &socket) {
        return Offloads{.gro = get_offload(socket, device, ETHTOOL_GGRO),
                        .gso = get_offload(socket, device, ETHTOOL_GGSO),
                        .tso = get_offload(socket, device, ETHTOOL_GTSO)};
    });
}

} // namespace vethtrace
