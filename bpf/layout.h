// SPDX-License-Identifier: GPL-2.0-only
//
// What the BPF programs and user space both know, whichever program it is: the names of stations, the histogram's
// buckets, softirqs, the addresses of packets in flight. lab_layout.h and watch_layout.h add what each program has.
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

// Tracing events of a CPU are counted, so that it can be told how many fell into a hop. The CPU's own number stands
// above the count. Only counts of the same CPU have a difference that means something.
enum { EVENT_COUNT_BITS = 48 };

VT_INLINE int is_same_cpu(__u64 one_count, __u64 other_count) {
    return !((one_count ^ other_count) >> EVENT_COUNT_BITS);
}

// What happened to packets: nothing leaves without a name. The lab and watch have further ones of their own.
enum tally {
    TALLY_ENTERED,     // followed from its first device station on
    TALLY_COMPLETED,   // reached its last station
    TALLY_MERGED,      // GRO made it a part of another skb
    TALLY_SEGMENTED,   // went on in segments of the skb that it began in
    TALLY_EVICTED,     // its slot was taken over, because nothing had happened in it for long
    TALLY_CROWDED_OUT, // not followed, because both its slots were taken
    TALLY_STALE,       // its skb was reused before it completed: it died unseen
    TALLY_NOT_SAMPLED, // not to be followed
    TALLY_NEGATIVE,    // an interval below zero: clocks of two CPUs disagree
    TALLY_INTERRUPTED, // another event came between two instructions of this one: not recorded
    TALLY_NET_RX_RAISED,
    TALLY_NET_RX_RUNS,
    TALLY_NET_RX_INLINE,    // at local_bh_enable, in the task that sent the packet
    TALLY_NET_RX_KSOFTIRQD, // in ksoftirqd
    TALLY_NET_RX_OTHER_CPU, // for a packet that came from another CPU (RPS)
    TALLY_NET_RX_OTHER,     // raised elsewhere, by an interrupt
    COMMON_TALLIES,
};

// Reasons as enum skb_drop_reason counts them; the last two are ours.
enum { DROP_UNNAMED = 254, DROP_CONSUMED = 255, DROP_REASONS = 256 };

// NET_RX on one CPU: how the next run came to be raised, and what the one that is under way is doing.
struct softirq_state {
    __u64 raiser; // the task that was current when the run to come was raised
    __u32 raises; // so far; while one run is under way, another can be raised already
    __u32 raised; // how often before the run that is under way began
    __u8 pending;
    __u8 enqueued;      // a packet was put into this CPU's backlog just now
    __u8 raised_inline; // the raise came from that
    __u8 handled;       // the run that is under way received a packet that is followed
    __u8 context;       // of that run: one of the TALLY_NET_RX contexts; 0: none is under way
    __u8 unused[3];
};

// ---- a packet in flight

enum {
    PAIR_BITS = 13,
    SLOT_ABANDONED_NS = 1000000000,
};

// The pair where an skb's slot is, by Fibonacci hashing: addresses of one slab differ by its object size only.
VT_INLINE __u32 pair_index(__u64 skb) {
    return (__u32)(skb * 0x9e3779b97f4a7c15ULL >> (64 - PAIR_BITS));
}

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
