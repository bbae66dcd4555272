// SPDX-License-Identifier: GPL-2.0-only
//
// The tracer that one writes first: an LRU hash keyed by the skb, one log2 histogram for each point, no joining with
// the application, no books. A yardstick for tools/bench.
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

#include "layout.h"

char LICENSE[] SEC("license") = "GPL";

struct seen {
    u64 when;
    u32 point;
};

struct hop {
    u64 count;
    u64 sum;
    u64 buckets[64];
};

enum { MAP_TYPE_PERCPU_ARRAY = 6, MAP_TYPE_LRU_HASH = 9 }; // uapi/linux/bpf.h

struct {
    __uint(type, MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, struct seen);
} packets SEC(".maps");

struct {
    __uint(type, MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, POINTS *POINTS);
    __type(key, u32);
    __type(value, struct hop);
} hops SEC(".maps");

static __always_inline int pass(u64 *ctx, u32 point) {
    u64 now = bpf_ktime_get_ns(), skb = 0;
    struct seen *before, seen = {.when = now, .point = point};

    bpf_probe_read_kernel(&skb, sizeof(skb), ctx); // the verifier allows no pointer as a key
    before = bpf_map_lookup_elem(&packets, &skb);
    if (before) {
        u32 edge = before->point * POINTS + point;
        struct hop *hop = bpf_map_lookup_elem(&hops, &edge);

        if (hop) {
            u64 took = now - before->when;
            u32 bucket = 0;

            for (u32 bit = 32; bit; bit >>= 1)
                if (took >> bit >> bucket)
                    bucket += bit;
            hop->count++;
            hop->sum += took;
            hop->buckets[bucket & 63]++;
        }
    }
    bpf_map_update_elem(&packets, &skb, &seen, 0);
    return 0;
}

SEC("tp_btf/net_dev_queue")
int lru_queue(u64 *ctx) {
    return pass(ctx, POINT_QUEUE);
}

SEC("tp_btf/net_dev_start_xmit")
int lru_xmit(u64 *ctx) {
    return pass(ctx, POINT_XMIT);
}

SEC("tp_btf/netif_rx")
int lru_netif_rx(u64 *ctx) {
    return pass(ctx, POINT_NETIF_RX);
}

SEC("tp_btf/netif_receive_skb")
int lru_receive(u64 *ctx) {
    return pass(ctx, POINT_RECEIVE);
}
