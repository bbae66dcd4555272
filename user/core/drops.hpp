// SPDX-License-Identifier: GPL-2.0-only
//
// Which of the packets that the kernel frees as dropped were none that anybody misses.
#pragma once

#include <string_view>

namespace vethtrace {

// When a reason is harmless for a packet that had been received at its target's last device already. A packet with the
// SYN flag and one of UDP for this receiver alone are missed whatever the reason is.
struct HarmlessWhen {
    bool without_payload = false; // of TCP, without data: acknowledgements, FIN, RST
    bool always_tcp = false;      // of TCP, with data as well: it was there already
    bool icmp = false;            // of ICMP: a copy has been delivered
    bool multicast = false;       // to a group or to everybody, of which this receiver wants nothing

    friend bool operator==(const HarmlessWhen &, const HarmlessWhen &) = default;
};

// By the kernel's name without its prefix ("TCP_OLD_DATA"), or "UNNAMED" where the kernel gives no reasons.
[[nodiscard]] HarmlessWhen harmless_when(std::string_view reason);

} // namespace vethtrace
