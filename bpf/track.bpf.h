// SPDX-License-Identifier: GPL-2.0-only
//
// Packets in flight: one slot each, found by the skb's address, in a table without locks on the way of a packet. An
// address has two slots to choose from. A packet that finds both taken is not followed and counted as crowded out; it
// takes none away, because the packet that has it may be at a station on another CPU right now. Only a slot in which
// nothing has happened for a second is taken over: its packet is gone, or as good as gone.
//
// Each program has its own struct slot and struct cpu_area; what is needed of them here are the slot's `skb` and
// `when`, and the area's `scratch`, `events` and `tallies`. It says by is_spare() which of its slots can be given away.
#ifndef VETHTRACE_TRACK_BPF_H
#define VETHTRACE_TRACK_BPF_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "layout.h"

// One element for each CPU; user space sets the size before the load. A plain array, not a per-CPU one: its look-up
// is inlined on every kernel, and user space reads it through its mapping without a system call. Nobody else writes to
// a CPU's area, so nothing in it is atomic.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct cpu_area);
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1 << PAIR_BITS);
    __type(key, u32);
    __type(value, struct slot_pair);
} slots SEC(".maps");

// How many programs are filling a slot of that pair right now.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1 << PAIR_BITS);
    __type(key, u32);
    __type(value, u32);
} fillers SEC(".maps");

// A deliberate mistake, set by tests only.
const volatile __u32 mutation = MUTATION_NONE;

// Nothing is lost with that slot, whose packet may still be somewhere.
static __always_inline bool is_spare(const struct slot *slot, u64 now);

static __always_inline struct cpu_area *this_cpu(void) {
    u32 id = bpf_get_smp_processor_id();
    struct cpu_area *cpu = bpf_map_lookup_elem(&cpus, &id);

    if (cpu)
        cpu->events++;
    return cpu;
}

static __always_inline void count(struct cpu_area *cpu, u32 tally) {
    cpu->tallies[tally]++;
}

// An index into an array of `size` elements, a power of two. In assembler, because a compiler that knows the index to
// be in range drops the mask, and then the verifier does not know.
#define BOUNDED(index, size)                                                                                           \
    ({                                                                                                                 \
        u64 bounded = (index);                                                                                         \
        asm volatile("%0 &= %1" : "+r"(bounded) : "i"((size)-1));                                                      \
        bounded;                                                                                                       \
    })

// Two CPUs may fill slots of one pair at the same time, and must not both take the same one. Whoever counts itself in
// and is alone may go on; of two at once at most one is, and the other gives up. Without a result, so that 5.10 has it.
static __always_inline u32 *lock_pair(u64 skb) {
    u32 index = mutation == MUTATION_ONE_PAIR ? 0 : pair_index(skb);
    u32 *count = bpf_map_lookup_elem(&fillers, &index);

    if (!count)
        return NULL;
    __sync_fetch_and_add(count, 1);
    if (*(volatile u32 *)count == 1)
        return count;
    __sync_fetch_and_add(count, -1);
    return NULL;
}

static __always_inline void unlock_pair(u32 *count) {
    barrier();
    __sync_fetch_and_add(count, -1);
}

// The address of an skb, or a socket, as a number. The verifier allows no arithmetic on a trusted pointer, but it
// allows to store it and to load what was stored; far cheaper than bpf_probe_read_kernel(). Another event on this CPU
// may come between the two and store its own: then it is not ours, and 0 says so. The comparison is written in
// assembler because a compiler that knows the two to be equal goes on with the pointer.
static __always_inline u64 address_of(struct cpu_area *cpu, const void *skb) {
    u64 address;

    *(const void *volatile *)&cpu->scratch = skb;
    address = *(volatile u64 *)&cpu->scratch;
    asm volatile goto("if %0 != %1 goto %l[interrupted]" ::"r"(address), "r"(skb)::interrupted);
    return address;

interrupted:
    count(cpu, TALLY_INTERRUPTED);
    return 0;
}

static __always_inline struct slot_pair *pair_of(u64 skb) {
    u32 index = mutation == MUTATION_ONE_PAIR ? 0 : pair_index(skb);

    return bpf_map_lookup_elem(&slots, &index);
}

// The slot of a packet that is followed; NULL for all others, most of the machine's packets among them.
static __always_inline struct slot *find(u64 skb) {
    struct slot_pair *pair = pair_of(skb);

    if (!pair || !skb)
        return NULL;
    if (pair->slot[0].skb == skb)
        return &pair->slot[0];
    if (pair->slot[1].skb == skb)
        return &pair->slot[1];
    return NULL;
}

// A free slot for a packet that has none.
static __always_inline struct slot *take(struct cpu_area *cpu, u64 skb, u64 now) {
    struct slot_pair *pair = pair_of(skb);
    struct slot *older;

    if (!pair)
        return NULL;
    if (!pair->slot[0].skb)
        return &pair->slot[0];
    if (!pair->slot[1].skb)
        return &pair->slot[1];
    if (is_spare(&pair->slot[0], now))
        return &pair->slot[0];
    if (is_spare(&pair->slot[1], now))
        return &pair->slot[1];
    older = pair->slot[0].when < pair->slot[1].when ? &pair->slot[0] : &pair->slot[1];
    if (now - older->when > SLOT_ABANDONED_NS) {
        count(cpu, TALLY_EVICTED);
        return older;
    }
    count(cpu, TALLY_CROWDED_OUT);
    return NULL;
}

#endif
