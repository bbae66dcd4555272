// SPDX-License-Identifier: GPL-2.0-only
//
// Flows of the load generator: which message a packet carries, and where it stands.
#ifndef VETHTRACE_FLOW_BPF_H
#define VETHTRACE_FLOW_BPF_H

#include "packet.bpf.h"
#include "track.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct flow);
} flows SEC(".maps");

static __always_inline struct flow *flow_by_index(u32 index) {
    return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline u32 end_of(const struct socket_name *name) {
    return name->port == SERVER_PORT ? END_SERVER : END_CLIENT;
}

// The flow that a socket is the given end of; NULL for listeners and everybody else's sockets.
static __always_inline struct flow *flow_of(const struct socket_name *name, u32 end) {
    struct flow *flow = flow_by_index((u32)(end == END_CLIENT ? name->port : name->peer_port) - CLIENT_PORT);

    if (!flow || flow->cookie[end] != name->cookie)
        return NULL;
    return flow;
}

static __always_inline bool is_measured(const struct flow *flow, u64 message) {
    return message - flow->measure_from < flow->measure_to - flow->measure_from;
}

struct ports {
    u16 source;
    u16 dest;
};

// The same for an skb whose address is just a number, and of which it is not known whether it belongs to the load.
static __always_inline bool read_packet(const struct sk_buff *skb, struct ports *ports, struct payload *payload) {
    unsigned char *head = BPF_CORE_READ(skb, head);
    u32 transport = BPF_CORE_READ(skb, transport_header);
    u8 tcp[TCP_READ];

    if (bpf_probe_read_kernel(tcp, sizeof(tcp), head + transport))
        return false;
    ports->source = bpf_ntohs(*(__be16 *)&tcp[TCP_SOURCE]);
    ports->dest = bpf_ntohs(*(__be16 *)&tcp[TCP_DEST]);
    payload->seq = bpf_ntohl(*(__be32 *)&tcp[TCP_SEQ]);
    payload->bytes =
        payload_bytes(BPF_CORE_READ(skb, len), transport - (u32)(BPF_CORE_READ(skb, data) - head), tcp[TCP_OFFSET]);
    return true;
}

#endif
