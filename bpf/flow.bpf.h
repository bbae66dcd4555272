// SPDX-License-Identifier: GPL-2.0-only
//
// Flows of the load generator: which message a packet carries, and where it stands.
#ifndef VETHTRACE_FLOW_BPF_H
#define VETHTRACE_FLOW_BPF_H

#include "cpu.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

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

// What tells a socket from all others.
struct socket_name {
    u64 cookie;
    u16 port;
    u16 peer_port;
};

static __always_inline struct socket_name name_of(const struct sock *sk) {
    struct socket_name name = {.cookie = sk->__sk_common.skc_cookie.counter,
                               .port = sk->__sk_common.skc_num,
                               .peer_port = bpf_ntohs(sk->__sk_common.skc_dport)};

    return name;
}

// The same for a kprobe, whose pointers are plain numbers.
static __always_inline struct socket_name read_name_of(const struct sock *sk) {
    struct socket_name name = {.cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter),
                               .port = BPF_CORE_READ(sk, __sk_common.skc_num),
                               .peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport))};

    return name;
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

// What a TCP packet carries.
struct payload {
    u32 seq;
    u32 bytes;
};

// Since 6.2 a number can be taken for a pointer to a kernel type and read from like any other; before, and in a
// kprobe's case only there, a helper has to copy what is read. Set by user space.
const volatile bool can_cast;
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak;

// Reads the TCP header of an skb whose data begins at that header or at one before it.
static __always_inline bool read_payload(struct sk_buff *skb, struct payload *payload) {
    enum { OFFSET_BYTE = 12 }; // of the payload, in its upper four bits, counted in 32-bit words
    unsigned char *head = skb->head;
    u32 transport = skb->transport_header;
    u32 before = transport - (u32)(skb->data - head);
    u8 offset;

    if (can_cast) {
        const struct tcphdr *tcp = bpf_rdonly_cast(head + transport, bpf_core_type_id_kernel(struct tcphdr));

        payload->seq = bpf_ntohl(tcp->seq);
        offset = ((const u8 *)tcp)[OFFSET_BYTE];
    } else {
        u8 tcp[OFFSET_BYTE + 4];

        if (bpf_probe_read_kernel(tcp, sizeof(tcp), head + transport))
            return false;
        payload->seq = bpf_ntohl(*(__be32 *)&tcp[4]);
        offset = tcp[OFFSET_BYTE];
    }
    payload->bytes = skb->len - before - (offset >> 4) * 4;
    return true;
}

// The TCP sequence number up to which everything has been received.
static __always_inline u32 received_up_to(const struct sock *sk) {
    u32 received = 0;

    if (can_cast) {
        const struct tcp_sock *tcp = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));

        return tcp->rcv_nxt;
    }
    bpf_probe_read_kernel(&received, sizeof(received), &((const struct tcp_sock *)sk)->rcv_nxt);
    return received;
}

#endif
