// SPDX-License-Identifier: GPL-2.0-only
//
// Packets in flight: one slot each, found by the skb's address, in a table without locks. Two packets whose addresses
// fall on one slot cannot both be followed: the later one takes it, and the earlier one is counted as evicted.
#ifndef VETHTRACE_IN_FLIGHT_BPF_H
#define VETHTRACE_IN_FLIGHT_BPF_H

#include "cpu.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1 << SLOT_BITS);
    __type(key, u32);
    __type(value, struct slot);
} slots SEC(".maps");

const volatile __u32 mutation = MUTATION_NONE;

// The address of an skb as a number. The verifier allows no arithmetic on a trusted pointer, but it allows to store it
// and to load what was stored; far cheaper than bpf_probe_read_kernel(). Another event on this CPU may come between
// the two and store its own: then it is not ours, and 0 says so. The comparison is written in assembler because a
// compiler that knows the two to be equal goes on with the pointer.
static __always_inline u64 address_of(struct cpu_area *cpu, struct sk_buff *skb) {
    u64 address;

    *(struct sk_buff *volatile *)&cpu->scratch = skb;
    address = *(volatile u64 *)&cpu->scratch;
    asm volatile goto("if %0 != %1 goto %l[interrupted]" ::"r"(address), "r"(skb)::interrupted);
    return address;

interrupted:
    count(cpu, TALLY_INTERRUPTED);
    return 0;
}

static __always_inline struct slot *slot_of(u64 skb) {
    u32 index = mutation == MUTATION_WRONG_JOIN ? 0 : skb * 0x9e3779b97f4a7c15ULL >> (64 - SLOT_BITS);

    return bpf_map_lookup_elem(&slots, &index);
}

// The slot of a packet that is followed; NULL for all others, most of the machine's packets among them.
static __always_inline struct slot *find(u64 skb) {
    struct slot *slot = slot_of(skb);

    if (!slot || !skb)
        return NULL;
    if (mutation == MUTATION_WRONG_JOIN ? !slot->skb : slot->skb != skb)
        return NULL;
    return slot;
}

#endif
