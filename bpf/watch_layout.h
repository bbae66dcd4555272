// SPDX-License-Identifier: GPL-2.0-only
//
// What watch's programs and user space both know: targets and their devices, series of hops, single packets, sockets
// whose data nobody has read.
#ifndef VETHTRACE_WATCH_LAYOUT_H
#define VETHTRACE_WATCH_LAYOUT_H

#include "layout.h"

#ifdef __cplusplus
namespace vethtrace::watch_layout {
using namespace layout;
#endif

// What happened to packets, beside what enum tally has.
enum watch_tally {
    WATCH_TALLY_SAMPLED = COMMON_TALLIES, // of those that may be somebody's, the ones that are followed
    WATCH_TALLY_FILTERED,                 // of a packet that is not asked for
    WATCH_TALLY_NOT_IP,
    WATCH_TALLY_LEFT,           // completed: transmitted by the last device that is watched
    WATCH_TALLY_DELIVERED,      // data that a target's socket has taken
    WATCH_TALLY_CONTROL,        // completed: of TCP, without data
    WATCH_TALLY_TO_HOST,        // completed: for a socket of a namespace that is not watched
    WATCH_TALLY_DISCARDED,      // let go by its receiver, which harms nobody; completed before
    WATCH_TALLY_READ,           // an application has read what its socket had
    WATCH_TALLY_CONSUMED,       // ended before its last station, without being dropped
    WATCH_TALLY_DROPPED,        // of those that are somebody's
    WATCH_TALLY_DROPS_OVERFLOW, // more kinds of drops than there are places
    WATCH_TALLY_SERIES_OVERFLOW,
    WATCH_TALLY_SUPPRESSED, // slower than it may be, but too many were reported already
    WATCH_TALLY_WAITS_LOST, // a socket's wait that found no place, so its wakeup is not measured
    WATCH_TALLIES,
};

struct cpu_area {
    __u64 scratch; // see address_of() in track.bpf.h
    __u64 events;  // all tracing events on this CPU; its number above EVENT_COUNT_BITS
    __u32 cpu;
    __u32 sample_limit;    // see sample_limit(); set by user space, the same for all CPUs
    __u64 gro;             // the skb that GRO has in hand, if it is followed
    __u64 reported_window; // packets reported one by one in this window:
    __u32 reported;
    __u32 joined_bytes;  // of data in the packet that TCP has begun with ...
    __u64 joined_socket; // ... for this socket
    __u64 joined_skb;
    __u64 arrived_skb; // the packet that was received last, if it is followed
    // The packet that was cut into segments last: where and when it was queued, and whose it is. Each segment goes to
    // the driver next, before another packet is queued.
    __u64 segmented_at; // place_of() its device; 0: none
    __u64 segmented_when;
    __u32 segmented_target;
    __u8 segmented_flow;
    __u8 segmented_station;
    __u8 unused[2];
    struct softirq_state net_rx;
    __u64 tallies[WATCH_TALLIES];
};

// ---- a packet in flight

enum watch_flow { WATCH_OUT, WATCH_IN };

enum {
    SLOT_DELIVERED = 1,    // it was received where its path ends; what TCP then does with its skb nobody sees
    SLOT_SECOND = 2,       // it is with a second target now: one container's packet to another
    SLOT_UNDECIDED = 4,    // the filter does not let it through as it is, but NAT may make it one that is asked for
    SLOT_ENCAPSULATED = 8, // it is inside of another packet now
};

struct slot {
    __u64 skb;  // its address; 0: the slot is free
    __u64 when; // it was at `station`
    __u64 events;
    __u32 target; // 0: whose it is will show
    __u8 station;
    __u8 flow;
    __u8 state; // SLOT_... bits
    __u8 unused;
};

struct slot_pair {
    struct slot slot[2];
};

// ---- targets

// A device of a network namespace, or with ifindex 0 the namespace itself.
VT_INLINE __u64 place_of(__u32 netns, __u32 ifindex) {
    return (__u64)netns << 32 | ifindex;
}

struct watched_device {
    __u32 target; // 0: of none
    __u8 role;
    __u8 is_last;   // what it transmits is not followed any further
    __u8 is_entry;  // what it receives has passed nothing that is watched
    __u8 is_tunnel; // it puts packets into others, and takes them out
    __u32 books;    // index of the target's struct target_books; 0: it has no sockets
    __u32 unused;
};

enum { WATCHED_DEVICES = 16384 };

// Packets with data that a target's sockets should have, and have. Shared by all CPUs, changed by atomic instructions;
// user space takes differences.
struct target_books {
    __u64 for_sockets; // received at the target's last device, and neither dropped nor routed on
    __u64 for_sockets_bytes;
    __u64 delivered; // that a socket has taken
    __u64 delivered_bytes;
};

enum { TARGET_BOOKS = 4096 };

// The address of one of a target's devices.
struct target_address {
    __u8 bytes[16]; // IPv4: the first four
    __u32 family;   // 4 or 6
    __u32 unused;
};

enum { TARGET_ADDRESSES = 16384 };

// What is told apart: hops of one target's packets in one direction, in groups if that is asked for.
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
    __u64 window;
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

// Beside the reasons of enum skb_drop_reason: the packet was not seen again after that station.
enum { DROP_UNSEEN = 253 };

// Where a drop harms nobody, for a packet that its target's last device had received; by reason.
enum {
    HARMLESS_WITHOUT_PAYLOAD = 1, // TCP's acknowledgements and ends of connections, but not its beginnings
    HARMLESS_TCP = 2,             // data that has arrived before
    HARMLESS_ICMP = 4,            // of which a socket has a copy
    HARMLESS_MULTICAST = 8,       // sent to all that may care, and this one does not
};

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

struct packet_names {
    __u8 source[16] __attribute__((aligned(8))); // IPv4: the first four
    __u8 dest[16];
    __u16 source_port;
    __u16 dest_port;
    __u8 family; // 4 or 6
    __u8 protocol;
    __u8 is_syn;
    __u8 unused;
    __u32 headers;     // bytes of IP's header and of TCP's or UDP's; 0: there are no ports
    __u32 fingerprint; // four bytes that NAT leaves alone: TCP's sequence number, the first data of UDP and ICMP
};

struct journey {
    __u64 skb;
    __u64 netns; // that of the device where it was last
    __u32 ifindex;
    __u32 target;
    __u32 second_target;
    __u32 bytes;
    __u32 payload;             // bytes of data behind the headers of TCP or UDP
    __u32 books;               // of the target whose sockets it is for, once it is delivered; 0: none
    struct packet_names names; // as it began
    struct packet_names after; // as it ended, if is_translated
    __u8 flow;
    __u8 marks;
    __u8 is_reported; // as one that is slower than it may be
    __u8 is_translated;
    __u32 unused;
    __u64 total; // ns from the first mark to the last
    struct packet_mark at[JOURNEY_MARKS];
};

// The slowest packets of a window that ended on one CPU; two of them take turns.
enum { SLOWEST = 8 };

struct slowest {
    __u64 window;
    __u32 used;
    __u32 least; // the fastest of them; all are used then
    struct journey journey[SLOWEST];
};

// Packets that are reported one by one: so many on each CPU and window, the rest is counted.
enum { REPORTED_BYTES = 1 << 18 };

// ---- sockets

// A socket with data that its application has not read.
struct unread {
    __u64 socket; // its address; 0: free
    __u64 since;  // the first of the data was delivered; 0: there is none
    __u32 target;
    __u16 port;
    __u16 peer_port; // 0: of UDP, from anybody
    __u8 protocol;
    __u8 unused[7];
};

enum { UNREAD_BITS = 13, UNREAD_WAYS = 2 };

VT_INLINE __u32 unread_index(__u64 socket) {
    return (__u32)(socket * 0x9e3779b97f4a7c15ULL >> (64 - UNREAD_BITS));
}

struct unread_set {
    struct unread way[UNREAD_WAYS];
};

// ---- what is followed

struct port_range {
    __u16 first;
    __u16 last;
};

enum { PORT_RANGES = 64 };

// Zeros let everything through.
struct watch_filter {
    __u8 protocol;
    __u8 peer_family; // 4 or 6
    __u8 peer_bits;   // of its prefix
    __u8 port_ranges; // used
    __u8 peer[16];
    struct port_range ports[PORT_RANGES];
};

// Whether the packets of a connection are asked for once NAT has been through them: a hash of their names as they
// begin, with the answer in its lowest bit.
enum { VERDICT_BITS = 12 };

#ifdef __cplusplus
} // namespace vethtrace::watch_layout
#endif
#endif
