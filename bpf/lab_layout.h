// SPDX-License-Identifier: GPL-2.0-only
//
// What the lab's programs and user space both know: hops between stations, the connections of the load, timelines.
#ifndef VETHTRACE_LAB_LAYOUT_H
#define VETHTRACE_LAB_LAYOUT_H

#include "layout.h"

#ifdef __cplusplus
namespace vethtrace::layout {
#endif

// ---- what each CPU gathers

// The stretch between two stations that followed one another for the same packet, by the end that sent the packet: in
// topology local requests and responses can pass the same stations.
struct edge {
    __u16 from;
    __u16 to;
    __u32 sender;
    __u64 events;    // tracing events that fell into it, the one that ended it included
    __u64 other_cpu; // how often it ended on another CPU than it began
    struct totals time;
    __u64 octave; // of the last value: the next is likely to lie in the same one
    __u64 buckets[BUCKETS];
};

enum {
    // Not between stations, but measured the same way:
    EDGE_NET_RX_WAIT, // from raise to entry
    EDGE_NET_RX_RUN,  // from entry to exit
    FIRST_EDGE,
    EDGES = 64, // a power of two, so that a mask proves to the verifier that an index is one
    EDGE_PLACES = (int)ENDS * (int)STATIONS * (int)STATIONS,
};

VT_INLINE __u32 edge_place(__u32 sender, __u32 from, __u32 to) {
    return (sender << STATION_BITS | from) << STATION_BITS | to;
}

// Why a packet was let go, or what else happened to it, beside what enum tally has.
enum lab_tally {
    TALLY_CLONED = COMMON_TALLIES, // went on in a copy of the skb that it began in
    TALLY_ACKS,                    // no payload: pure ACK, window update, FIN
    TALLY_RETRANSMITTED,           // bytes that had been sent before
    TALLY_SEGMENTS,                // a part of a message that does not complete it
    TALLY_OUTSIDE,                 // a message outside the measured range (warm-up)
    TALLY_UNREGISTERED,            // a packet of the lab that belongs to no flow of the load
    TALLY_MISALIGNED,              // data that begins elsewhere than a message does
    TALLY_READY_UNJOINED,          // data_ready of a flow whose message never completed its way
    TALLY_EDGE_OVERFLOW,           // more different edges than there are places
    TALLIES,
};

// One NET_RX run in so many, chosen by chance, is timed; all are counted.
enum { TIMED_RUNS = 8 };

struct cpu_area {
    __u64 scratch; // see address_of() in track.bpf.h
    __u64 events;  // all tracing events on this CPU; its number above EVENT_COUNT_BITS
    __u32 cpu;
    __u32 sample_limit; // see is_sampled(); set by user space, the same for all CPUs
    __u32 edges_used;   // the first EDGES - FIRST_EDGE edges between stations find a place
    __u32 orphans;      // messages whose skb ended here and that may go on in another
    __u64 gro;          // the skb that GRO has in hand, if it is followed ...
    __u32 gro_way;      // ... and the flow that it belongs to, times 2, plus the end that sent it
    __u32 chance;       // the state of a generator of pseudo-random numbers
    struct softirq_state net_rx;
    __u64 raised_when;  // the NET_RX run to come; 0: it is not timed
    __u64 entered_when; // the one that is under way; 0: it is not timed
    __u64 waited;       // ns from its raise
    __u64 tallies[TALLIES];
    __u64 dropped[DROP_REASONS];
    __u8 edge_of[EDGE_PLACES]; // by edge_place(): index into edges; 0: none yet
    struct edge edges[EDGES];
};

// ---- a packet in flight

struct slot {
    __u64 skb;  // its address; 0: the slot is free
    __u64 when; // it was at `station`
    __u64 events;
    __u32 flow;
    __u8 timeline; // 1 + index; 0: not asked for
    __u8 station;
    __u8 last;   // the station where its way ends
    __u8 sender; // one of the two ends
};

struct slot_pair {
    struct slot slot[2];
};

// ---- flows of the load generator

// In the lab a flow is known by its client's port, CLIENT_PORT + its index, and confirmed by the sockets' cookies.
enum { LAB_IFINDEX = 7000, SERVER_PORT = 7000, CLIENT_PORT = 20000, MAX_FLOWS = 1024 };

// One end's notes between the generator and the BPF side, a cache line. Sequence numbers count messages from 1; events
// are the counts of tracing events of the CPU that it happened on.
struct flow_end {
    __u64 send_when; // by the generator, before send() ...
    __u64 send_seq;  // ... of this message
    __u64 send_events;
    __u64 ready_when; // by BPF, when the socket had the whole ...
    __u64 ready_seq;  // ... of this message
    __u64 ready_events;
    __u64 unused[2];
};

// What BPF knows of the message under way in one direction.
struct flow_way {
    __u64 seq;        // the message that is being sent
    __u64 begun_when; // its first segment was queued
    __u64 begun_events;
    __u64 rx_when; // its completing segment was received; 0: not yet
    __u64 rx_events;
    __u64 lost_when; // its skb was last seen, at lost_station, before it ended early ...
    __u64 lost_events;
    __u32 sent;       // TCP sequence number after the last byte seen
    __u32 complete;   // TCP sequence number after the message's last byte
    __u32 last_bytes; // in the packet that completes it
    __u8 rx_station;
    __u8 timeline;
    __u8 begun; // at least one message was seen: the byte counts above are valid
    __u8 lost_station;
    __u8 lost; // ... and what it carried has not been seen again
    __u8 lost_to_gro;
    __u8 unused[6];
};

struct flow {
    __u64 cookie[ENDS];
    __u64 measure_from; // the first message that is measured ...
    __u64 measure_to;   // ... and the first that no longer is, in this slice of the run
    __u64 measured;     // in the slices before
    __u32 index;        // its own in the table of flows
    __u32 unused[5];
    struct flow_end end[ENDS];
    struct flow_way way[ENDS]; // by the end that sends
};

// ---- single transactions, moment by moment (--follow)

struct timeline_mark {
    __u64 when; // 0: not seen
    __u32 pid;
    __u16 cpu;
    __u8 softirq; // one of the TALLY_NET_RX contexts if inside a NET_RX run that we know of, else 0
    char comm[16];
};

enum { MAX_TIMELINES = 64 };

struct timeline {
    struct timeline_mark at[ENDS][STATIONS]; // by the end that sent the packet
};

#ifdef __cplusplus
} // namespace vethtrace::layout
#endif
#endif
