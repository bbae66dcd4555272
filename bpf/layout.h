// SPDX-License-Identifier: GPL-2.0-only
//
// What the BPF programs and user space both know: the names of stations, the histogram's buckets, the maps' memory.
// Plain C that compiles for both sides. Times are CLOCK_MONOTONIC nanoseconds, as bpf_ktime_get_ns() reads them.
#ifndef VETHTRACE_LAYOUT_H
#define VETHTRACE_LAYOUT_H

#ifdef __cplusplus
#include <linux/types.h>
#define VT_INLINE constexpr
namespace vethtrace::layout {
#else
#define VT_INLINE static __always_inline
#endif

// ---- where a packet can be seen

// What a device is on a packet's way. In the lab a device's ifindex is LAB_IFINDEX + its role.
enum role {
    ROLE_ELSEWHERE, // a followed packet on a device that nobody foresaw
    ROLE_CONTAINER, // the device inside the client's container
    ROLE_HOST,      // the host's end of the container's pair
    ROLE_UPLINK,    // the host's device towards the other machine
    ROLE_PEER,      // the server's device: the other machine's, or the second container's
    ROLE_HOST2,     // the host's end of the second container's pair (topology local)
    ROLE_FAR,       // the far end of an uplink that leads nowhere (topology local)
    ROLE_BRIDGE,    // the host's bridge, whose ports are its ends of the pairs
    ROLE_TUNNEL,    // puts packets into others, or takes them out: vxlan, geneve, wireguard, ...
    ROLE_IFB,       // where tc redirects packets to, so that they pass a qdisc that their own device has not
    ROLES,
};

enum point { POINT_QUEUE, POINT_XMIT, POINT_NETIF_RX, POINT_GRO, POINT_RECEIVE, POINTS };

// The two ends of a flow, and what is seen there. Data that reaches the server is a request, the client a response.
enum end { END_CLIENT, END_SERVER, ENDS };

// A watched container's own socket, whichever end of a connection it is.
enum { END_CONTAINER = ENDS, ENDS_NAMED };
enum moment { MOMENT_APP_SEND, MOMENT_DATA_READY, MOMENT_APP_RECV, MOMENT_TCP_RCV, MOMENTS };

// A station is a point at a device or a moment at an end. Station 0 is queue@elsewhere.
enum {
    FIRST_END_STATION = (int)ROLES * (int)POINTS,
    STATIONS_USED = FIRST_END_STATION + (int)ENDS_NAMED * (int)MOMENTS,
    STATION_BITS = 6,
    STATIONS = 1 << STATION_BITS, // so that a mask proves to the verifier that a station is one
};

VT_INLINE __u32 device_station(__u32 role, __u32 point) {
    return role * POINTS + point;
}
VT_INLINE __u32 end_station(__u32 end, __u32 moment) {
    return FIRST_END_STATION + end * MOMENTS + moment;
}

// ---- sampling

// The limit that lets one message in `one_in` through is_sampled().
VT_INLINE __u32 sample_limit(__u32 one_in) {
    return one_in <= 1 ? ~0U : (__u32)((1ULL << 32) / one_in) - 1;
}

// Whether a message is followed. Both ends decide alike, so a transaction is followed whole or not at all; and a hash
// decides, so that nothing periodic in the load can fall into step with it (the finalizer of MurmurHash3, public
// domain).
VT_INLINE int is_sampled(__u32 flow, __u64 message, __u32 limit) {
    __u64 mixed = message + flow * 0x9e3779b97f4a7c15ULL;
    mixed ^= mixed >> 33;
    mixed *= 0xff51afd7ed558ccdULL;
    mixed ^= mixed >> 33;
    mixed *= 0xc4ceb9fe1a85ec53ULL;
    return (__u32)(mixed >> 32) <= limit;
}

// ---- histograms

// Log-linear: values below 64 ns have a bucket each, and from there every octave has 32 of them, so a bucket is at
// most 1/32 of its lower bound wide and its middle at most 1.6 % off. From 2^36 ns (69 s) on: the overflow bucket.
enum {
    SUB_BUCKET_BITS = 5,
    VALUE_BITS = 36,
    BUCKET_OVERFLOW = (VALUE_BITS - SUB_BUCKET_BITS + 1) << SUB_BUCKET_BITS,
    BUCKETS = BUCKET_OVERFLOW + 1,
};

VT_INLINE __u32 bucket_of(__u64 value) {
    if (value >> VALUE_BITS)
        return BUCKET_OVERFLOW;
    // How many octaves above the linear part: by bisection down to four bits, as BPF has no instruction that counts
    // leading zeros, and from there by a table of sixteen digits.
    __u32 top = (__u32)(value >> SUB_BUCKET_BITS);
    __u32 octave = 0;
    if (top >> 16) {
        top >>= 16;
        octave += 16;
    }
    if (top >> 8) {
        top >>= 8;
        octave += 8;
    }
    if (top >> 4) {
        top >>= 4;
        octave += 4;
    }
    octave += 0x3333333322221100ULL >> top * 4 & 15;
    return (octave << SUB_BUCKET_BITS) + (__u32)(value >> octave);
}

// The count is the sum of the buckets.
struct totals {
    __u64 sum; // ns
    __u64 min; // ns; starts at the largest value
    __u64 max;
};

// ---- what each CPU gathers

// Tracing events of a CPU are counted, so that it can be told how many fell into a stretch. The CPU's own number stands
// above the count. Only counts of the same CPU have a difference that means something.
enum { EVENT_COUNT_BITS = 48 };

VT_INLINE int is_same_cpu(__u64 one_count, __u64 other_count) {
    return !((one_count ^ other_count) >> EVENT_COUNT_BITS);
}

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

// Why a packet was let go, or what else happened to it: nothing leaves without a name.
enum tally {
    TALLY_ENTERED,        // followed from its first device station on
    TALLY_COMPLETED,      // reached its last receive
    TALLY_CLONED,         // went on in a copy of the skb that it began in
    TALLY_SEGMENTED,      // went on in the last segment of the skb that it began in
    TALLY_MERGED,         // GRO made it a part of another skb
    TALLY_EVICTED,        // its slot was taken over, because nothing had happened in it for long
    TALLY_CROWDED_OUT,    // not followed, because both its slots were taken
    TALLY_STALE,          // its skb was reused before it completed: it died unseen
    TALLY_ACKS,           // no payload: pure ACK, window update, FIN
    TALLY_RETRANSMITTED,  // bytes that had been sent before
    TALLY_SEGMENTS,       // a part of a message that does not complete it
    TALLY_NOT_SAMPLED,    // of a message that is not to be followed
    TALLY_OUTSIDE,        // a message outside the measured range (warm-up)
    TALLY_UNREGISTERED,   // a packet of the lab that belongs to no flow of the load
    TALLY_MISALIGNED,     // data that begins elsewhere than a message does
    TALLY_READY_UNJOINED, // data_ready of a flow whose message never completed its way
    TALLY_NEGATIVE,       // an interval below zero: clocks of two CPUs disagree
    TALLY_EDGE_OVERFLOW,  // more different edges than there are places
    TALLY_INTERRUPTED,    // another event came between two instructions of this one: not recorded
    TALLY_FILTERED,       // watch: of a packet that is not asked for
    TALLY_NOT_IP,         // watch
    TALLY_CONSUMED,       // watch: ended before its last station, without being dropped
    TALLY_DROPPED,        // watch: of those that are somebody's
    TALLY_DROPS_OVERFLOW, // watch: more kinds of drops than there are places
    TALLY_SUPPRESSED,     // watch: slower than it may be, but too many were told already
    TALLY_NET_RX_RAISED,
    TALLY_NET_RX_RUNS,
    TALLY_NET_RX_INLINE,    // at local_bh_enable, in the task that sent the packet
    TALLY_NET_RX_KSOFTIRQD, // in ksoftirqd
    TALLY_NET_RX_OTHER_CPU, // for a packet that came from another CPU (RPS)
    TALLY_NET_RX_OTHER,     // raised elsewhere, by an interrupt
    TALLY_SAMPLED,          // watch: let through by sampling
    TALLIES,
};

// Reasons as enum skb_drop_reason counts them; the last two are ours.
enum { DROP_UNNAMED = 254, DROP_CONSUMED = 255, DROP_REASONS = 256 };

// One NET_RX run in so many, chosen by chance, is timed; all are counted.
enum { TIMED_RUNS = 8 };

struct softirq_state {
    // The run to come. While one is under way, another can be raised already.
    __u64 raised_when; // 0: not timed
    __u64 raiser;      // the task that was current when it was raised
    __u32 raises;      // so far
    __u8 pending;
    __u8 enqueued;      // a packet was put into this CPU's backlog just now
    __u8 raised_inline; // the raise came from that
    __u8 unused;

    // The run that is under way.
    __u64 entered_when; // 0: not timed
    __u64 waited;       // ns from its raise
    __u32 raised;       // how often before it began
    __u8 handled;       // it received a packet of the lab
    __u8 context;       // one of the TALLY_NET_RX contexts; 0: no run is under way
    __u8 unused_too[2];
};

struct cpu_area {
    __u64 scratch; // see address_of() in vethtrace.bpf.c
    __u64 events;  // all tracing events on this CPU; its number above EVENT_COUNT_BITS
    __u32 cpu;
    __u32 sample_limit;  // see is_sampled(); set by user space, the same for all CPUs
    __u32 edges_used;    // the first EDGES - FIRST_EDGE edges between stations find a place
    __u32 chance;        // the state of a generator of pseudo-random numbers
    __u32 orphans;       // messages whose skb ended here and that may go on in another
    __u64 gro;           // the skb that GRO has in hand, if it is followed ...
    __u32 gro_way;       // ... and the flow that it belongs to, times 2, plus the end that sent it
    __u32 told;          // watch: packets told one by one ...
    __u64 told_epoch;    // ... in this window
    __u64 joined_socket; // watch: TCP has begun with a packet for this socket ...
    __u64 joined_skb;    // ... and this is the packet
    __u64 arrived_skb;   // watch: the packet that was received last, if it is followed
    struct softirq_state net_rx;
    __u64 tallies[TALLIES];
    __u64 dropped[DROP_REASONS];
    __u8 edge_of[EDGE_PLACES]; // by edge_place(): index into edges; 0: none yet
    struct edge edges[EDGES];
};

// ---- a packet in flight

enum {
    PAIR_BITS = 13, // half a MiB in all
    SLOT_ABANDONED_NS = 1000000000,
};

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

// The pair where an skb's slot is, by Fibonacci hashing: addresses of one slab differ by its object size only.
VT_INLINE __u32 pair_index(__u64 skb) {
    return (__u32)(skb * 0x9e3779b97f4a7c15ULL >> (64 - PAIR_BITS));
}

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

// ---- watch: a node's own traffic
//
// A slot then belongs to a packet of a target, which is a number that user space gave to a network namespace: `flow` is
// the target (0: not known yet), `sender` the direction, `timeline` holds the marks below.

enum watch_flow { WATCH_OUT, WATCH_IN };

enum {
    SLOT_DELIVERED = 1, // it was received where its way ends; what TCP then does with its skb nobody sees
    SLOT_SECOND = 2,    // it is with a second target now: one container's packet to another
};

// A device of a network namespace, or with ifindex 0 the namespace itself.
VT_INLINE __u64 place_of(__u32 netns, __u32 ifindex) {
    return (__u64)netns << 32 | ifindex;
}

struct watched_device {
    __u32 target; // 0: of none
    __u8 role;
    __u8 is_last;  // what it transmits is not followed any further
    __u8 is_entry; // what it receives has passed nothing that is watched
    __u8 unused;
};

enum { WATCHED_DEVICES = 16384 };

// What is told apart: stretches of one target's packets in one direction, in groups if that is asked for.
enum watch_group { GROUP_NONE, GROUP_CPU, GROUP_INTERFACE };

struct series_key {
    __u32 target;
    __u8 flow;
    __u8 from;
    __u8 to;
    __u8 unused;
    __u32 group; // 0, the CPU, or the ifindex of the device at `to`
};

// One of two that take turns, so that user space reads the one that is not written to.
struct series_max {
    __u64 epoch;
    __u64 ns;
};

// Shared by all CPUs, so changed by atomic instructions, but for the maximum, where a race can lose to another
// maximum. User space takes differences; the buckets wrap around.
struct series {
    __u64 sum; // ns
    struct series_max max[2];
    __u32 buckets[BUCKETS];
    __u32 unused;
};

struct drop_key {
    __u32 target;
    __u16 reason;
    __u8 flow;
    __u8 station; // where the packet was seen last
};

enum { WATCHED_DROPS = 4096 };

// A single packet from station to station. What is asked for are the slowest, and which those are shows at the end.
struct packet_mark {
    __u64 when;
    __u32 pid;
    __u32 queue; // packets in the qdisc, or bytes in the socket's backlog
    __u16 cpu;
    __u8 station;
    __u8 context; // one of the TALLY_NET_RX contexts if inside a NET_RX run, else 0
    char comm[16];
    __u32 ifindex; // of the device; 0: in the socket
};

enum { JOURNEY_MARKS = 12 };

struct journey {
    __u64 skb;
    __u64 netns; // that of the device where it was received last
    __u32 target;
    __u32 second_target;
    __u32 bytes;
    __u16 source_port;
    __u16 dest_port;
    __u8 source[16]; // IPv4: the first four
    __u8 dest[16];
    __u8 flow;
    __u8 family; // 4 or 6
    __u8 protocol;
    __u8 marks;
    __u8 told; // as one that is slower than it may be
    __u8 unused[3];
    __u64 total; // ns from the first mark to the last
    struct packet_mark at[JOURNEY_MARKS];
};

// The slowest packets of a window that ended on one CPU; two of them take turns.
enum { SLOWEST = 8 };

struct slowest {
    __u64 epoch;
    __u32 used;
    __u32 least; // the fastest of them; all are used then
    struct journey journey[SLOWEST];
};

// Packets that are told one by one: so many on each CPU and window, the rest is counted.
enum { TOLD_BYTES = 1 << 18 };

// A socket that has something to read.
struct readable {
    __u64 socket; // its address; 0: free
    __u64 when;
    __u32 target;
    __u32 unused;
};

enum { READABLE_BITS = 12 };

VT_INLINE __u32 readable_index(__u64 socket) {
    return (__u32)(socket * 0x9e3779b97f4a7c15ULL >> (64 - READABLE_BITS));
}

struct port_range {
    __u16 first;
    __u16 last;
};

enum { PORT_RANGES = 64 };

// What is followed; zeros let everything through.
struct watch_filter {
    __u8 protocol;
    __u8 peer_family; // 4 or 6
    __u8 peer_bits;   // of its prefix
    __u8 port_ranges; // used
    __u8 peer[16];
    struct port_range ports[PORT_RANGES];
};

// ---- deliberate mistakes, so that tests can prove that the checks catch them (see tests/native)

enum mutation {
    MUTATION_NONE,
    MUTATION_STATION_OFF,  // netif_rx is not recorded
    MUTATION_WRONG_JOIN,   // a slot survives its packet, and the next one at the same address goes on with it
    MUTATION_DEATH_UNSEEN, // a packet that is dropped keeps its slot
    MUTATION_ONE_PAIR,     // all packets share two slots, and those of dropped ones stay taken
    MUTATION_CLOCK_BACK,   // one event in 128 reads a clock that is a millisecond behind
    MUTATION_DOUBLE_COUNT, // one event in 128 is recorded twice
    MUTATION_SEND_REUSED,  // one send time in 128 is used for a second segment
};

#ifdef __cplusplus
} // namespace vethtrace::layout
#endif
#endif
