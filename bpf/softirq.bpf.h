// SPDX-License-Identifier: GPL-2.0-only
//
// NET_RX, the softirq that empties the backlog: how a run came about, and whether it handled a packet that is followed.
#ifndef VETHTRACE_SOFTIRQ_BPF_H
#define VETHTRACE_SOFTIRQ_BPF_H

#include "track.bpf.h"

// This CPU has just put a packet where its next NET_RX run will find it.
static __always_inline void note_enqueued(struct cpu_area *cpu) {
    cpu->net_rx.enqueued = 1;
}

// NET_RX is raised. True: a run is to come that was not before.
static __always_inline bool raise_net_rx(struct cpu_area *cpu) {
    struct softirq_state *run = &cpu->net_rx;
    bool is_first = !run->pending;

    run->raises++;
    if (is_first) {
        run->pending = 1;
        run->raised_inline = run->enqueued;
        run->raiser = bpf_get_current_task();
    }
    run->enqueued = 0;
    return is_first;
}

static __always_inline void enter_net_rx(struct cpu_area *cpu) {
    struct softirq_state *run = &cpu->net_rx;

    run->handled = 0;
    run->context =
        run->raised_inline && run->raiser == bpf_get_current_task() ? TALLY_NET_RX_INLINE : TALLY_NET_RX_OTHER;
    run->raised = run->raises;
    run->raises = 0;
    run->pending = 0;
}

// The run ends. True: it handled a packet that is followed, and is counted.
static __always_inline bool exit_net_rx(struct cpu_area *cpu) {
    struct softirq_state *run = &cpu->net_rx;
    bool handled = run->handled;
    u32 context = run->context;

    if (handled) {
        cpu->tallies[TALLY_NET_RX_RAISED] += run->raised;
        count(cpu, TALLY_NET_RX_RUNS);
        if (context < COMMON_TALLIES)
            count(cpu, context);
    }
    // What this run put into the backlog tells nothing of a later raise, and what it raised is run as it was run
    // itself.
    run->enqueued = 0;
    run->raised_inline = context == TALLY_NET_RX_INLINE;
    run->context = 0;
    return handled;
}

static __always_inline bool in_ksoftirqd(void) {
    char comm[16];

    bpf_get_current_comm(comm, sizeof(comm));
    return comm[0] == 'k' && comm[1] == 's' && comm[2] == 'o' && comm[3] == 'f' && comm[4] == 't' && comm[5] == 'i' &&
           comm[6] == 'r' && comm[7] == 'q' && comm[8] == 'd' && comm[9] == '/';
}

// A followed packet is received, which this CPU last saw if `is_own`. Outside of a NET_RX run there is nothing to note:
// a thread of NAPI's or the backlog's polls by itself.
static __always_inline void handle(struct cpu_area *cpu, bool is_own) {
    struct softirq_state *run = &cpu->net_rx;

    if (run->handled || !run->context)
        return;
    run->handled = 1;
    if (run->context == TALLY_NET_RX_OTHER && in_ksoftirqd())
        run->context = TALLY_NET_RX_KSOFTIRQD;
    else if (!is_own)
        run->context = TALLY_NET_RX_OTHER_CPU;
}

#endif
