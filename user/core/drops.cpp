// SPDX-License-Identifier: GPL-2.0-only
#include "core/drops.hpp"

#include <array>

namespace vethtrace {

namespace {

struct ReasonRow {
    std::string_view reason;
    HarmlessWhen when;
};

constexpr HarmlessWhen without_payload = {.without_payload = true};
constexpr HarmlessWhen unsaid = {.without_payload = true, .multicast = true};
constexpr HarmlessWhen of_tcp = {.without_payload = true, .always_tcp = true};

// Reasons of enum skb_drop_reason: include/linux/skbuff.h in 5.17, later include/net/dropreason.h, since 6.3
// include/net/dropreason-core.h. Read there at 6.2, 6.9 and net-next of 2025, and in the types of 6.18. What does not
// stand here is a loss: NETFILTER_DROP, SOCKET_RCVBUFF, the checksums, TCP_OVERWINDOW, TCP_ZEROWINDOW,
// TCP_LISTEN_OVERFLOW (it takes the last acknowledgement of a handshake), TCP_RFC7323_PAWS, TCP_OFO_QUEUE_PRUNE (data
// that had come and has to come again), and what is not known yet.
constexpr std::array<ReasonRow, 18> reason_rows = {{
    // Kernels without reasons, and places that give none, as the end of tcp_rcv_state_process(), and of ip6_mc_input(),
    // which frees what it has given no listener: MLD and neighbour discovery of others.
    {"UNNAMED", unsaid},
    {"NOT_SPECIFIED", unsaid},
    {"IPV6DISABLED", {.multicast = true}}, // ip6_rcv_core(), of a namespace that has IPv6 switched off
    // A FIN that lies in the queue when its socket is closed.
    {"QUEUE_PURGE", without_payload},  // 6.9, not yet 6.2
    {"SOCKET_CLOSE", without_payload}, // 6.18, not yet 6.9
    // The same data had come before: tcp_data_queue(), tcp_sequence(), tcp_data_queue_ofo(), tcp_ofo_queue().
    {"TCP_OLD_DATA", of_tcp},
    {"TCP_OLD_SEQUENCE", of_tcp}, // 6.9, not yet 6.2: TCP_INVALID_SEQUENCE there
    {"TCP_OFOMERGE", of_tcp},
    {"TCP_OFO_DROP", of_tcp},
    // What they acknowledge is known already, but data with them is lost: tcp_ack(), tcp_rcv_state_process(),
    // tcp_disordered_ack_check().
    {"TCP_OLD_ACK", without_payload},
    {"TCP_TOO_OLD_ACK", without_payload},
    {"TCP_RFC7323_PAWS_ACK", without_payload}, // 6.18, not yet 6.9
    // Outside the window: keep-alives, and what comes after the end.
    {"TCP_INVALID_SEQUENCE", without_payload},
    {"TCP_INVALID_END_SEQUENCE", without_payload}, // 6.18, not yet 6.9
    // For a connection that has ended.
    {"TCP_CLOSE", without_payload},
    {"TCP_RESET", without_payload},
    {"TCP_ABORT_ON_DATA", without_payload}, // 6.18, not yet 6.9
    // ping_rcv() and raw_local_deliver() give their sockets copies; the original then finds none. Without a reason
    // (before 5.17) it cannot be told from a packet that was refused.
    {"NO_SOCKET", {.icmp = true}},
}};

} // namespace

HarmlessWhen harmless_when(std::string_view reason) {
    for (const ReasonRow &row : reason_rows)
        if (row.reason == reason)
            return row.when;
    return {};
}

} // namespace vethtrace
