// SPDX-License-Identifier: GPL-2.0-only
//
// What an skb carries, and what tells one socket from another.
#ifndef VETHTRACE_PACKET_BPF_H
#define VETHTRACE_PACKET_BPF_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

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

// What a TCP packet carries.
struct payload {
    u32 seq;
    u32 bytes;
};

// From 6.2 on a program of a tracepoint or an fentry can take a number for a pointer to a kernel type and read from it
// as from any other. Earlier kernels, and all kprobes, have to copy what they read by a helper. Set by user space.
const volatile bool can_cast;
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak;

// What is read of a TCP header, in network byte order, up to the byte that holds the header's length.
enum { TCP_SOURCE = 0, TCP_DEST = 2, TCP_SEQ = 4, TCP_OFFSET = 12, TCP_READ = 16 };

// How much of an skb of `length` bytes is payload, if `before` of them lie before the TCP header. `offset` is that
// header's own length, in its upper four bits, counted in 32-bit words.
static __always_inline u32 payload_bytes(u32 length, u32 before, u8 offset) {
    return length - before - (offset >> 4) * 4;
}

// Reads the TCP header of an skb whose data begins at that header or at one before it.
static __always_inline bool read_payload(struct sk_buff *skb, struct payload *payload) {
    unsigned char *head = skb->head;
    u32 transport = skb->transport_header;
    u32 before = transport - (u32)(skb->data - head);
    u8 offset;

    if (can_cast) {
        const struct tcphdr *tcp = bpf_rdonly_cast(head + transport, bpf_core_type_id_kernel(struct tcphdr));

        payload->seq = bpf_ntohl(tcp->seq);
        offset = ((const u8 *)tcp)[TCP_OFFSET];
    } else {
        u8 tcp[TCP_READ];

        if (bpf_probe_read_kernel(tcp, sizeof(tcp), head + transport))
            return false;
        payload->seq = bpf_ntohl(*(__be32 *)&tcp[TCP_SEQ]);
        offset = tcp[TCP_OFFSET];
    }
    payload->bytes = payload_bytes(skb->len, before, offset);
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
