// SPDX-License-Identifier: GPL-2.0-only
#include "lab/offload.hpp"

#include "core/fd.hpp"
#include "core/kernel_version.hpp"
#include "lab/netns.hpp"

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

Result<void> set_offload(const Fd &socket, const std::string &device, __u32 command, __u32 value) {
    ethtool_value offload = {.cmd = command, .data = value};
    ifreq request = {};
    device.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
    request.ifr_data = reinterpret_cast<char *>(&offload);
    if (ioctl(socket.get(), SIOCETHTOOL, &request) != 0)
        return fail_errno("offloads of " + device, errno);
    return {};
}

} // namespace

Result<void> exchange_tso_for_gro(int netns_fd, const std::string &device) {
    if (Result<void> possible = check_kernel(); !possible)
        return possible;
    Result<InNamespace> inside = InNamespace::enter(netns_fd);
    if (!inside)
        return tl::unexpected(inside.error());
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return fail_errno("socket", errno);
    return set_offload(socket, device, ETHTOOL_STSO, 0).and_then([&] {
        return set_offload(socket, device, ETHTOOL_SGRO, 1);
    });
}

} // namespace vethtrace
