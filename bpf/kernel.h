// SPDX-License-Identifier: GPL-2.0-only
//
// The few kernel types that the programs read, each with just the fields that are read. CO-RE moves every access to
// where the running kernel keeps the field, so neither order nor size matters here.
#ifndef VETHTRACE_KERNEL_H
#define VETHTRACE_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

typedef _Bool bool;
enum { false, true };

// From include/uapi/linux/bpf.h, which cannot be included beside these types.
enum bpf_map_type { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_NOEXIST = 1 };

// From include/linux/interrupt.h
enum { NET_RX_SOFTIRQ = 3 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
    unsigned int inum;
};

struct net {
    struct ns_common ns;
};

typedef struct {
    struct net *net;
} possible_net_t;

struct qdisc_skb_head {
    u32 qlen;
};

struct Qdisc {
    struct qdisc_skb_head q;
};

struct netdev_queue {
    struct Qdisc *qdisc;
};

struct net_device {
    int ifindex;
    possible_net_t nd_net;
    struct netdev_queue *_tx;
};

typedef struct {
    s64 counter;
} atomic64_t;

struct sk_buff_head {
    u32 qlen;
};

struct sock_common {
    __be16 skc_dport;
    u16 skc_num;
    possible_net_t skc_net;
    atomic64_t skc_cookie;
};

struct sock {
    struct sock_common __sk_common;
    struct {
        int len;
    } sk_backlog;
    struct sk_buff_head sk_receive_queue;
    u16 sk_protocol;
};

struct tcp_sock {
    u32 rcv_nxt;
    u32 copied_seq; // up to where the application has read
};

struct udp_sock {
    struct sk_buff_head reader_queue; // what the reader has taken out of sk_receive_queue
};

struct sk_buff {
    struct net_device *dev;
    struct sock *sk;
    unsigned int len;
    int skb_iif; // where it was received; 0 if it was made here
    u16 queue_mapping;
    u16 transport_header;
    u16 network_header;
    unsigned char *head;
    unsigned char *data;
    unsigned int end; // an offset, on every kernel of 64 bits
};

struct skb_shared_info {
    unsigned short gso_size;
};

struct tcphdr {
    __be16 source;
    __be16 dest;
    __be32 seq;
    __be32 ack_seq;
};

#pragma clang attribute pop

// Its values are those of the running kernel, by CO-RE.
enum gro_result { GRO_MERGED, GRO_MERGED_FREE };

// Only to ask whether this kernel gives reasons for drops (5.17 and later).
enum skb_drop_reason { SKB_NOT_DROPPED_YET = 0 };

// Registers at a kprobe, by the names that the kernel itself uses; bpf_tracing.h wants to be told so.
#define __VMLINUX_H__
struct pt_regs { // x86-64
    unsigned long di;
    unsigned long si;
} __attribute__((preserve_access_index));
struct user_pt_regs { // arm64
    u64 regs[31];
} __attribute__((preserve_access_index));

#endif
