// SPDX-License-Identifier: GPL-2.0-only
//
// What a CPU gathers: edges between stations, tallies. Nobody else writes to a CPU's area, so nothing here is atomic.
#ifndef VETHTRACE_CPU_BPF_H
#define VETHTRACE_CPU_BPF_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "layout.h"

// One element for each CPU; user space sets the size before the load. A plain array, not a per-CPU one: its look-up
// is inlined on every kernel, and user space reads it through its mapping without a system call.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct cpu_area);
} cpus SEC(".maps");

// A deliberate mistake, set by tests only.
const volatile __u32 mutation = MUTATION_NONE;

// A node's own traffic is watched (watch.bpf.h); there is neither a lab nor a load.
const volatile bool watching;

static __always_inline struct cpu_area *this_cpu(void) {
    u32 id = bpf_get_smp_processor_id();
    struct cpu_area *cpu = bpf_map_lookup_elem(&cpus, &id);

    if (cpu)
        cpu->events++;
    return cpu;
}

static __always_inline void count(struct cpu_area *cpu, enum tally tally) {
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

static __always_inline struct edge *edge_at(struct cpu_area *cpu, u32 index) {
    return &cpu->edges[BOUNDED(index, EDGES)];
}

static __always_inline void measure(struct edge *edge, u64 ns) {
    struct totals *time = &edge->time;
    u64 octave = edge->octave, top = ns >> octave, bucket = (octave << SUB_BUCKET_BITS) + top;

    if (top - (1 << SUB_BUCKET_BITS) >= 1 << SUB_BUCKET_BITS) { // another octave than last time
        bucket = bucket_of(ns);
        if (bucket < BUCKET_OVERFLOW)
            edge->octave = bucket < 2 << SUB_BUCKET_BITS ? 0 : (bucket >> SUB_BUCKET_BITS) - 1;
    }
    time->sum += ns;
    if (ns < time->min)
        time->min = ns;
    if (ns > time->max)
        time->max = ns;
    if (bucket < BUCKETS)
        edge->buckets[bucket]++;
}

// An edge that user space did not set up beforehand: not in the mode's table. 0: there is no room for it.
static __noinline u32 add_edge(struct cpu_area *cpu, u32 sender, u32 from, u32 to) {
    u32 index;

    if (!cpu)
        return 0;
    index = cpu->edges_used;
    if (index >= EDGES)
        return 0;
    cpu->edges[index].from = from;
    cpu->edges[index].to = to;
    cpu->edges[index].sender = sender;
    cpu->edges[index].time.min = ~0ULL;
    cpu->edges_used = index + 1;
    cpu->edge_of[BOUNDED(edge_place(sender, from, to), EDGE_PLACES)] = index;
    return index;
}

// Where and when a stretch began, and which end sent the packet.
struct origin {
    u64 when;
    u64 events;
    u32 station;
    u32 sender;
};

// Adds the stretch that ends now, at station `to`, to its edge.
static __always_inline void end_stretch(struct cpu_area *cpu, const struct origin *from, u32 to, u64 now) {
    u32 index = cpu->edge_of[BOUNDED(edge_place(from->sender, from->station, to), EDGE_PLACES)];
    u64 events = cpu->events - from->events;
    struct edge *edge;

    if (!index)
        index = add_edge(cpu, from->sender, from->station, to);
    if (!index) {
        count(cpu, TALLY_EDGE_OVERFLOW);
        return;
    }
    if (now < from->when) {
        count(cpu, TALLY_NEGATIVE);
        return;
    }
    edge = edge_at(cpu, index);
    measure(edge, now - from->when);
    if (!is_same_cpu(cpu->events, from->events)) {
        edge->other_cpu++;
        events = 1;
    }
    edge->events += events;
}

#endif
