// SPDX-License-Identifier: GPL-2.0-only
//
// Watch: a node's own traffic. Whose packet it is, which hop of its path has ended, which packets were the slowest, and
// what has become of the data that reached a socket. Devices come and go, packets belong to targets (which are numbers
// that user space has given to network namespaces), and nobody knows beforehand where a packet will end. The hooks by
// which packets are seen are in hooks.bpf.h, which calls the functions on_...() below.
//
// A packet is a target's as soon as it is at one of its devices. One that comes from outside is nobody's until then
// (`target` of its slot is 0), and its hops are recorded once its target shows. One that goes from one container to
// another belongs to the first until it is at a device of the second.
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "watch_layout.h"

#include "packet.bpf.h"
#include "softirq.bpf.h"
#include "track.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct watch_filter filter;

// Packets that take longer are reported as it happens. 0: none.
const volatile __u64 slower_than;
const volatile __u32 reported_at_most; // on each CPU and window

// data_ready is hooked, so stack_rx ends there.
const volatile bool sees_data_ready;

// By reason: HARMLESS_... bits.
const volatile __u8 harmless[DROP_REASONS];

// By user space, while it runs: the number of the window, and what series are grouped by.
volatile __u64 window = 1;
volatile __u32 grouping = GROUP_NONE;

// New packets are followed. Off while hooks come and go, because one that only passes some of them would look lost.
volatile __u32 following;

// The node has tunnels, so a packet of any protocol may have one in it that is asked for.
volatile __u32 has_tunnels;

// User space sets the sizes.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, u64); // place_of()
    __type(value, struct watched_device);
} devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct target_address);
    __type(value, u32); // the target; 0: of several
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, TARGET_BOOKS);
    __type(key, u32);
    __type(value, struct target_books);
} books SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct series_key);
    __type(value, struct series);
} series SEC(".maps");

// What a series begins as; too big for the stack.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct series);
} blank_series SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, struct drop_key);
    __type(value, u64);
} drops SEC(".maps");

// Of the packet in the slot with the same number.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2 << PAIR_BITS);
    __type(key, u32);
    __type(value, struct journey);
} journeys SEC(".maps");

// By CPU, times 2, plus the last bit of the window's number.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct slowest);
} slowest SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, REPORTED_BYTES);
} reported SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1 << UNREAD_BITS);
    __type(key, u32);
    __type(value, struct unread_set);
} unread_sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1 << VERDICT_BITS);
    __type(key, u32);
    __type(value, u64);
} verdicts SEC(".maps");

// ---- where

static __always_inline u64 place_of_device(const struct net_device *dev) {
    return place_of(dev->nd_net.net->ns.inum, dev->ifindex);
}

// The same for a kprobe, whose pointers are plain numbers.
static __always_inline u64 read_place_of_device(const struct net_device *dev) {
    return place_of(BPF_CORE_READ(dev, nd_net.net, ns.inum), BPF_CORE_READ(dev, ifindex));
}

static __always_inline struct watched_device *device_at(u64 place) {
    return bpf_map_lookup_elem(&devices, &place);
}

static __always_inline u32 point_of(const struct slot *slot) {
    return slot->station % POINTS;
}

// What a hook tells of a packet beside where it is: the point, and above WHERE_SHIFT how many packets wait there
// (queue), or how long the packet is from its IP header on (receive).
enum { WHERE_SHIFT = 8, WHERE_POINT = (1 << WHERE_SHIFT) - 1 };

// ---- series

static __always_inline void raise_max(struct series_max *max, u64 now, u64 ns) {
    if (max->window != now) {
        max->ns = ns;
        max->window = now;
    } else if (ns > max->ns) {
        max->ns = ns;
    }
}

static __noinline int add_to_series(struct cpu_area *cpu, struct series_key *key, u64 ns) {
    struct series *found;
    u64 now = window;
    u32 bucket, zero = 0;

    if (!cpu || !key)
        return 0;
    found = bpf_map_lookup_elem(&series, key);
    if (!found) {
        const struct series *blank = bpf_map_lookup_elem(&blank_series, &zero);

        if (blank)
            bpf_map_update_elem(&series, key, blank, BPF_NOEXIST);
        found = bpf_map_lookup_elem(&series, key);
    }
    if (!found) {
        count(cpu, WATCH_TALLY_SERIES_OVERFLOW);
        return 0;
    }
    bucket = bucket_of(ns);
    if (bucket >= BUCKETS)
        return 0;
    __sync_fetch_and_add(&found->sum, ns);
    __sync_fetch_and_add(&found->buckets[bucket], 1);
    raise_max(&found->max[now & 1], now, ns);
    return 0;
}

// The hop that began `since` and ends `now`, at a device with that ifindex.
static __always_inline void record_hop(struct cpu_area *cpu, struct series_key *key, u32 ifindex, u64 since, u64 now) {
    u32 by = grouping;

    if (now < since) {
        count(cpu, TALLY_NEGATIVE);
        return;
    }
    key->unused = 0;
    key->group = by == GROUP_CPU ? cpu->cpu : by == GROUP_INTERFACE ? ifindex : 0;
    add_to_series(cpu, key, now - since);
}

// ---- what a packet is

enum { IPV4 = 4, IPV6 = 6, ICMP_PROTOCOL = 1, TCP_PROTOCOL = 6, UDP_PROTOCOL = 17, ICMPV6_PROTOCOL = 58 };

// Reads addresses, ports and what tells the packet from others, from the IP header on. False: it is not IP.
static __noinline int read_names(struct packet_names *names, u64 header) {
    enum { TCP_FLAGS = 13, SYN = 2, UDP_HEADER = 8, UDP_DATA = 8 };
    u8 ip[40], transport[16];
    u32 length;
    bool fragment = false;

    if (!names || bpf_probe_read_kernel(ip, sizeof(ip), (void *)header))
        return false;
    names->family = ip[0] >> 4;
    __builtin_memset(names->source, 0, sizeof(names->source));
    __builtin_memset(names->dest, 0, sizeof(names->dest));
    if (names->family == IPV4) {
        length = (ip[0] & 15) * 4;
        names->protocol = ip[9];
        fragment = (ip[6] & 0x1f) || ip[7];
        __builtin_memcpy(names->source, &ip[12], 4);
        __builtin_memcpy(names->dest, &ip[16], 4);
    } else if (names->family == IPV6) {
        length = sizeof(ip);
        names->protocol = ip[6];
        __builtin_memcpy(names->source, &ip[8], 16);
        __builtin_memcpy(names->dest, &ip[24], 16);
    } else {
        return false;
    }
    names->source_port = 0;
    names->dest_port = 0;
    names->is_syn = 0;
    names->headers = 0;
    names->fingerprint = 0;
    if (fragment || bpf_probe_read_kernel(transport, sizeof(transport), (void *)(header + length)))
        return true;
    if (names->protocol == TCP_PROTOCOL) {
        names->fingerprint = *(u32 *)&transport[TCP_SEQ];
        names->is_syn = transport[TCP_FLAGS] & SYN;
        names->headers = length + (transport[TCP_OFFSET] >> 4) * 4;
    } else if (names->protocol == UDP_PROTOCOL) {
        names->fingerprint = *(u32 *)&transport[UDP_DATA];
        names->headers = length + UDP_HEADER;
    } else {
        names->fingerprint = *(u32 *)&transport[UDP_DATA];
        return true;
    }
    names->source_port = bpf_ntohs(*(__be16 *)&transport[TCP_SOURCE]);
    names->dest_port = bpf_ntohs(*(__be16 *)&transport[TCP_DEST]);
    return true;
}

// The names that an skb has by now: NAT may have given it others. Its address is just a number. At `receive` its data
// begin with the IP header, and where that is has not been noted yet.
static __noinline int read_names_now(struct packet_names *names, u64 address, u32 point) {
    const struct sk_buff *skb = (const struct sk_buff *)address;
    u64 header;

    if (!names)
        return false;
    if (point == POINT_RECEIVE || point == POINT_GRO)
        header = (u64)BPF_CORE_READ(skb, data);
    else
        header = (u64)BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
    return read_names(names, header);
}

// Whether an skb that has these names by now is the packet that began with those, and not another at its address.
static __always_inline bool is_same_packet(const struct packet_names *now, const struct packet_names *then) {
    return now->protocol == then->protocol && now->fingerprint == then->fingerprint;
}

static __always_inline bool has_same_ends(const struct packet_names *now, const struct packet_names *then) {
    const u64 *ends_now = (const u64 *)now, *ends_then = (const u64 *)then;

    return ends_now[0] == ends_then[0] && ends_now[1] == ends_then[1] && ends_now[2] == ends_then[2] &&
           ends_now[3] == ends_then[3] && now->source_port == then->source_port && now->dest_port == then->dest_port;
}

static __always_inline bool has_payload(const struct journey *journey) {
    return journey->names.headers && journey->payload;
}

static __always_inline bool is_tcp_control(const struct journey *journey) {
    return journey->names.protocol == TCP_PROTOCOL && !has_payload(journey);
}

// ---- what is asked for

static __always_inline bool has_port(u16 source, u16 dest) {
    u32 i;

    for (i = 0; i < PORT_RANGES; i++) {
        u16 first, last;

        if (i >= filter.port_ranges)
            break;
        first = filter.ports[i].first;
        last = filter.ports[i].last;
        if ((first <= source && source <= last) || (first <= dest && dest <= last))
            return true;
    }
    return false;
}

// Whether an address begins with the bits that the filter asks for.
static __always_inline bool is_peer(const u8 *address) {
    u32 i;

    for (i = 0; i < sizeof(filter.peer); i++) {
        u32 bits = filter.peer_bits > 8 * i ? filter.peer_bits - 8 * i : 0;
        u8 mask = bits >= 8 ? 0xff : 0xff << (8 - bits);

        if ((address[i] ^ filter.peer[i]) & mask)
            return false;
    }
    return true;
}

static __noinline int is_match(struct packet_names *names, u32 flow) {
    if (!names)
        return false;
    if (filter.protocol && filter.protocol != names->protocol)
        return false;
    if (filter.port_ranges && !has_port(names->source_port, names->dest_port))
        return false;
    if (!filter.peer_family)
        return true;
    return filter.peer_family == names->family && is_peer(flow == WATCH_OUT ? names->dest : names->source);
}

static __noinline u64 hash_of(struct packet_names *names) {
    const u64 *words = (const u64 *)names;
    u64 mixed = 0;
    u32 i;

    if (!names)
        return 0;
    // Addresses and ports; what stands behind is another one's with each packet.
    for (i = 0; i < 4; i++) {
        mixed = (mixed ^ words[i]) * 0x9e3779b97f4a7c15ULL;
        mixed ^= mixed >> 32;
    }
    mixed = (mixed ^ ((u64)names->source_port << 16 | names->dest_port)) * 0x9e3779b97f4a7c15ULL;
    return mixed ^ mixed >> 32;
}

static __always_inline u64 *verdict_at(u64 hash) {
    u32 index = hash >> (64 - VERDICT_BITS);

    return bpf_map_lookup_elem(&verdicts, &index);
}

static __always_inline void remember_verdict(struct packet_names *names, bool is_asked_for) {
    u64 hash = hash_of(names), *verdict = verdict_at(hash);

    if (verdict)
        *verdict = (hash & ~1ULL) | is_asked_for;
}

enum { NOT_ASKED_FOR, ASKED_FOR, UNDECIDED };

// Whether a packet that begins with these names is followed. What the filter does not let through as it is may be
// translated on its way, by NAT or out of a tunnel; how that ended for the packets before it is remembered, and now and
// then looked at again.
static __noinline int is_asked_for(struct packet_names *names, u32 flow) {
    enum { AGAIN = 255 }; // one packet in 256
    u64 hash, *verdict;

    if (!names)
        return NOT_ASKED_FOR;
    if (is_match(names, flow))
        return ASKED_FOR;
    if (!has_tunnels && filter.protocol && filter.protocol != names->protocol)
        return NOT_ASKED_FOR;
    hash = hash_of(names);
    verdict = verdict_at(hash);
    if (!verdict || (*verdict & ~1ULL) != (hash & ~1ULL) || !(bpf_get_prandom_u32() & AGAIN))
        return UNDECIDED;
    return *verdict & 1;
}

// ---- journeys

static __always_inline struct journey *journey_of(const struct slot *slot) {
    u64 skb = slot->skb;
    struct slot_pair *pair = pair_of(skb);
    u32 index = pair_index(skb) << 1;

    if (!pair)
        return NULL;
    if (pair->slot[0].skb != skb)
        index |= 1;
    return bpf_map_lookup_elem(&journeys, &index);
}

static __always_inline void mark_journey(struct cpu_area *cpu, struct journey *journey, u32 station, u32 ifindex,
                                         u64 now, u32 queue) {
    u32 marks = journey->marks;
    struct packet_mark *mark;

    if (marks >= JOURNEY_MARKS)
        return;
    mark = &journey->at[marks];
    mark->when = now;
    mark->pid = (u32)bpf_get_current_pid_tgid();
    if (marks && mark[-1].pid == mark->pid && mark[-1].cpu == cpu->cpu)
        __builtin_memcpy(mark->comm, mark[-1].comm, sizeof(mark->comm)); // cheaper than asking again
    else
        bpf_get_current_comm(mark->comm, sizeof(mark->comm));
    mark->queue = queue;
    mark->cpu = cpu->cpu;
    mark->station = station;
    mark->ifindex = ifindex;
    mark->context = cpu->net_rx.context;
    journey->marks = marks + 1;
    journey->total = now - journey->at[0].when;
}

// Reports a packet that took too long, if not too many were reported already.
static __always_inline void report_slow(struct cpu_area *cpu, struct journey *journey) {
    u64 now = window;

    if (cpu->reported_window != now) {
        cpu->reported_window = now;
        cpu->reported = 0;
    }
    if (cpu->reported >= reported_at_most || bpf_ringbuf_output(&reported, journey, sizeof(*journey), 0)) {
        count(cpu, WATCH_TALLY_SUPPRESSED);
        return;
    }
    cpu->reported++;
}

// Notes the names that NAT has left the packet with.
static __always_inline void note_translation(struct journey *journey, u32 point) {
    if (journey->is_translated || !read_names_now(&journey->after, journey->skb, point) ||
        !is_same_packet(&journey->after, &journey->names))
        return;
    journey->is_translated = !has_same_ends(&journey->after, &journey->names);
}

// Among the slowest of this CPU's packets, if it is one of them. A packet can come twice, the second time with more of
// its path. `point`: where it is, which says where to find its names.
static __noinline int update_slowest(struct cpu_area *cpu, struct journey *journey, u32 point) {
    u64 now = window, least = ~0ULL;
    u32 index, chosen = 0, i;
    struct slowest *table;

    if (!cpu || !journey)
        return 0;
    if (slower_than && journey->total > slower_than && !journey->is_reported) {
        journey->is_reported = 1;
        note_translation(journey, point);
        report_slow(cpu, journey);
    }
    index = cpu->cpu << 1 | (now & 1);
    table = bpf_map_lookup_elem(&slowest, &index);
    if (!table)
        return 0;
    if (table->window != now) {
        table->window = now;
        table->used = 0;
        table->least = 0;
    }
    if (table->used >= SLOWEST && journey->total <= table->journey[BOUNDED(table->least, SLOWEST)].total)
        return 0;
    note_translation(journey, point);
    chosen = table->used < SLOWEST ? table->used : table->least;
    for (i = 0; i < SLOWEST; i++)
        if (i < table->used && table->journey[i].skb == journey->skb &&
            table->journey[i].at[0].when == journey->at[0].when)
            chosen = i;
    if (chosen == table->used && table->used < SLOWEST)
        table->used++;
    __builtin_memcpy(&table->journey[BOUNDED(chosen, SLOWEST)], journey, sizeof(*journey));
    for (i = 0; i < SLOWEST; i++) {
        if (table->journey[i].total < least) {
            least = table->journey[i].total;
            table->least = i;
        }
    }
    return 0;
}

// ---- the end of a path

static __always_inline struct target_books *books_at(u32 index) {
    return index ? bpf_map_lookup_elem(&books, &index) : NULL;
}

// A packet of a target has been received where its path ends, `bytes` long from its IP header on. If its target has
// sockets, one of them should have its data.
static __always_inline void deliver_to_stack(struct cpu_area *cpu, struct slot *slot, struct journey *journey,
                                             u32 books_index, u32 bytes) {
    struct target_books *target;

    slot->state |= SLOT_DELIVERED;
    count(cpu, TALLY_COMPLETED);
    journey->books = 0;
    if (is_tcp_control(journey)) {
        count(cpu, WATCH_TALLY_CONTROL);
        return;
    }
    if (!journey->names.headers)
        return;
    if (bytes > journey->names.headers)
        journey->payload = bytes - journey->names.headers; // GRO may have added to it
    target = books_at(books_index);
    if (!target)
        return;
    journey->books = books_index;
    __sync_fetch_and_add(&target->for_sockets, 1);
    __sync_fetch_and_add(&target->for_sockets_bytes, journey->payload);
}

// That was not the end after all: it goes on, as a router's packets do, or it is dropped.
static __always_inline void undo_delivery(struct cpu_area *cpu, struct slot *slot, struct journey *journey) {
    struct target_books *target;

    slot->state &= ~SLOT_DELIVERED;
    cpu->tallies[TALLY_COMPLETED]--;
    if (is_tcp_control(journey)) {
        cpu->tallies[WATCH_TALLY_CONTROL]--;
        return;
    }
    target = books_at(journey->books);
    if (!target)
        return;
    __sync_fetch_and_add(&target->for_sockets, -1);
    __sync_fetch_and_add(&target->for_sockets_bytes, -(u64)journey->payload);
    journey->books = 0;
}

static __noinline int count_drop(struct cpu_area *cpu, const struct slot *slot, u32 reason) {
    struct drop_key key = {};
    u64 one = 1, *found;

    if (!cpu || !slot)
        return 0;
    key.target = slot->target;
    key.reason = reason;
    key.flow = slot->flow;
    key.station = slot->station;
    found = bpf_map_lookup_elem(&drops, &key);
    if (!found) {
        if (!bpf_map_update_elem(&drops, &key, &one, BPF_NOEXIST))
            return 0;
        found = bpf_map_lookup_elem(&drops, &key);
    }
    if (found)
        __sync_fetch_and_add(found, 1);
    else
        count(cpu, WATCH_TALLY_DROPS_OVERFLOW);
    return 0;
}

// Nothing is lost with that slot: its packet has been delivered, or turned out to be of no target for long.
static __always_inline bool is_spare(const struct slot *slot, u64 now) {
    enum { UNCLAIMED_NS = 10000000 };

    return slot->state & SLOT_DELIVERED || (!slot->target && now - slot->when > UNCLAIMED_NS);
}

// The slot's skb has come round as another packet's, so its own packet ended where nobody saw it. What TCP sends
// itself ends like that in the host.
static __noinline int forget_slot(struct cpu_area *cpu, struct slot *slot) {
    const struct journey *journey;

    if (!cpu || !slot)
        return 0;
    if (slot->target && !(slot->state & SLOT_DELIVERED)) {
        journey = journey_of(slot);
        if (journey && is_tcp_control(journey) && point_of(slot) == POINT_RECEIVE) {
            count(cpu, TALLY_COMPLETED);
            count(cpu, WATCH_TALLY_TO_HOST);
        } else {
            count(cpu, TALLY_STALE);
            count_drop(cpu, slot, DROP_UNSEEN);
        }
    }
    slot->skb = 0;
    return 0;
}

// ---- a packet begins to be followed

static __always_inline bool is_chosen(struct cpu_area *cpu) {
    if (!following)
        return false;
    if (cpu->sample_limit == ~0U || bpf_get_prandom_u32() <= cpu->sample_limit) {
        count(cpu, WATCH_TALLY_SAMPLED);
        return true;
    }
    count(cpu, TALLY_NOT_SAMPLED);
    return false;
}

struct beginning {
    u64 skb;
    u64 header; // the address of the IP header
    u64 place;
    u32 target; // 0: not known yet
    u32 flow;
    u32 station;
    u32 bytes;  // from the IP header on
    u32 length; // as the device has it
    u32 queue;
    u32 is_delivered;
    u32 books;
    u64 when; // when it was at `station`
};

static __noinline int begin(struct cpu_area *cpu, struct beginning *at) {
    struct journey *journey;
    struct slot *slot;
    u32 *lock;
    u64 now;
    int asked;

    if (!cpu || !at)
        return 0;
    now = at->when;
    lock = lock_pair(at->skb);
    if (!lock) {
        count(cpu, TALLY_CROWDED_OUT);
        return 0;
    }
    slot = take(cpu, at->skb, now);
    if (!slot)
        goto unlock;
    slot->skb = at->skb;
    slot->target = at->target;
    slot->station = at->station;
    slot->flow = at->flow;
    slot->state = 0;
    slot->when = now;
    slot->events = cpu->events;
    journey = journey_of(slot);
    if (!journey)
        goto give_up;
    if (!read_names(&journey->names, at->header)) {
        count(cpu, WATCH_TALLY_NOT_IP);
        goto give_up;
    }
    asked = is_asked_for(&journey->names, at->flow);
    if (asked == NOT_ASKED_FOR) {
        count(cpu, WATCH_TALLY_FILTERED);
        goto give_up;
    }
    journey->skb = at->skb;
    journey->netns = at->place >> 32;
    journey->ifindex = (u32)at->place;
    journey->target = at->target;
    journey->second_target = 0;
    journey->bytes = at->length;
    journey->payload = at->bytes > journey->names.headers ? at->bytes - journey->names.headers : 0;
    journey->books = 0;
    journey->flow = at->flow;
    journey->marks = 0;
    journey->is_reported = 0;
    journey->is_translated = 0;
    mark_journey(cpu, journey, at->station, (u32)at->place, now, at->queue);
    if (asked == UNDECIDED) {
        slot->target = 0;
        slot->state = SLOT_UNDECIDED;
        // At its last device nothing is to come that would translate it.
        if (at->is_delivered)
            goto give_up;
    } else if (at->target) {
        count(cpu, TALLY_ENTERED);
        if (at->is_delivered)
            deliver_to_stack(cpu, slot, journey, at->books, at->bytes);
    }
    goto unlock;

give_up:
    slot->skb = 0;
unlock:
    unlock_pair(lock);
    return 0;
}

// ---- a packet that is followed reaches a station

// The station as the packet's first target names it.
static __always_inline u32 station_of(const struct slot *slot, u32 role, u32 point) {
    if (slot->state & SLOT_SECOND)
        role = role == ROLE_HOST ? ROLE_HOST2 : role == ROLE_CONTAINER ? ROLE_PEER : role;
    return device_station(role, point);
}

// A packet turns out to be that target's, and so does the path that it has come. False: it is not asked for after all.
static __noinline int claim(struct cpu_area *cpu, struct slot *slot, struct journey *journey, u32 target,
                            u32 flow_and_point) {
    u32 flow = flow_and_point >> WHERE_SHIFT, point = flow_and_point & WHERE_POINT, i;
    struct series_key key;

    if (!cpu || !slot || !journey)
        return false;
    if (slot->state & SLOT_UNDECIDED) {
        struct packet_names now;
        bool asked = read_names_now(&now, slot->skb, point) && is_match(&now, flow);

        if (!(slot->state & SLOT_ENCAPSULATED))
            remember_verdict(&journey->names, asked);
        if (!asked) {
            count(cpu, WATCH_TALLY_FILTERED);
            slot->skb = 0;
            return false;
        }
        slot->state &= ~SLOT_UNDECIDED;
    }
    for (i = 1; i < JOURNEY_MARKS; i++) {
        const struct packet_mark *mark = &journey->at[i];

        if (i >= journey->marks)
            break;
        key.target = target;
        key.flow = flow;
        key.from = journey->at[i - 1].station;
        key.to = mark->station;
        record_hop(cpu, &key, mark->ifindex, journey->at[i - 1].when, mark->when);
    }
    slot->target = target;
    slot->flow = flow;
    journey->target = target;
    journey->flow = flow;
    count(cpu, TALLY_ENTERED);
    return true;
}

// The packet of one target has got to another one: the first one's part of the path ends here.
static __always_inline void hand_over(struct slot *slot, struct journey *journey, u32 target) {
    slot->state |= SLOT_SECOND;
    slot->target = target;
    slot->flow = WATCH_IN;
    journey->second_target = target;
}

// Where the path of a packet of the device's target ends, when it is received there.
static __always_inline bool is_destination(const struct watched_device *device) {
    return device && device->target && device->role != ROLE_HOST && device->role != ROLE_HOST2;
}

// `now`: read before what the hook had to look up, so that a hop has the same share of it at its two ends.
static __noinline int reach(struct cpu_area *cpu, struct slot *slot, u64 place, u32 where, u64 now) {
    u32 point = where & WHERE_POINT, role, target, pending, station;
    const struct watched_device *device;
    bool ends, leaves, sends, is_tunnel;
    struct journey *journey;
    struct series_key key;

    if (!cpu || !slot)
        return 0;
    device = device_at(place);
    journey = journey_of(slot);
    if (!journey)
        return 0;
    role = device ? device->role : ROLE_ELSEWHERE;
    target = device ? device->target : 0;
    is_tunnel = device && device->is_tunnel;
    station = device_station(role, point);
    if (station == slot->station && point == POINT_XMIT)
        return 0; // the driver was busy, and is tried again
    if (slot->state & SLOT_DELIVERED)
        undo_delivery(cpu, slot, journey);
    if (is_tunnel && point != POINT_XMIT && point_of(slot) == POINT_RECEIVE)
        read_names_now(&journey->names, slot->skb, POINT_RECEIVE); // of the packet that was inside
    if (is_tunnel)
        slot->state |= SLOT_ENCAPSULATED;

    leaves = point == POINT_XMIT && device && device->is_last;
    ends = point == POINT_RECEIVE && is_destination(device);
    pending = slot->state & SLOT_UNDECIDED ? journey->target : 0;
    sends = (point == POINT_QUEUE || point == POINT_XMIT) && role != ROLE_HOST;
    if (!slot->target && ((target && target != pending) || (pending && (leaves || ends)))) {
        u32 flow = pending ? slot->flow : sends ? WATCH_OUT : WATCH_IN;

        if (!claim(cpu, slot, journey, pending ? pending : target, flow << WHERE_SHIFT | point))
            return 0;
    }
    key.target = slot->target;
    key.flow = slot->flow;
    key.from = slot->station;
    if (target && slot->target && target != slot->target)
        hand_over(slot, journey, target);
    key.to = key.target == target ? station : station_of(slot, role, point);
    if (key.target)
        record_hop(cpu, &key, (u32)place, slot->when, now);
    // A target's packet comes back to it: a service's address can lead to the pod that asks.
    if (target && target == slot->target && role == ROLE_HOST && point == POINT_QUEUE)
        slot->flow = WATCH_IN;
    mark_journey(cpu, journey, station_of(slot, role, point), (u32)place, now,
                 point == POINT_QUEUE ? where >> WHERE_SHIFT : 0);
    journey->netns = place >> 32;
    journey->ifindex = (u32)place;

    slot->when = now;
    slot->events = cpu->events;
    slot->station = station;
    if (leaves) {
        if (slot->target) {
            count(cpu, TALLY_COMPLETED);
            count(cpu, WATCH_TALLY_LEFT);
            update_slowest(cpu, journey, point);
        }
        slot->skb = 0;
    } else if (ends) {
        deliver_to_stack(cpu, slot, journey, device->books, where >> WHERE_SHIFT);
        cpu->arrived_skb = slot->skb;
        update_slowest(cpu, journey, point);
    }
    return 0;
}

// A followed packet of a target is where only packets get to that are still under way.
static __always_inline void pass(struct cpu_area *cpu, struct slot *slot, u64 place, u32 point) {
    if (!(slot->state & SLOT_DELIVERED))
        reach(cpu, slot, place, point, bpf_ktime_get_ns());
}

// ---- the stations

// How many packets wait in the qdisc that this one is for. 0 also where the kernel counts them for each CPU apart.
static __always_inline u32 queue_length(struct sk_buff *skb) {
    u32 index = skb->queue_mapping;
    u64 queue;

    if (!index) {
        const struct Qdisc *qdisc = skb->dev->_tx->qdisc;

        return qdisc ? qdisc->q.qlen : 0;
    }
    queue = (u64)BPF_CORE_READ(skb, dev, _tx) + index * bpf_core_type_size(struct netdev_queue);
    return BPF_CORE_READ((struct netdev_queue *)queue, qdisc, q.qlen);
}

// Of a packet that was delivered: is this still it, at another device of its namespace? `point`: where its names are.
static __noinline int is_routed_on(struct slot *slot, u64 place, u32 point) {
    const struct journey *journey;
    struct packet_names now;

    if (!slot)
        return false;
    journey = journey_of(slot);
    if (!journey || journey->netns != place >> 32 || journey->ifindex == (u32)place)
        return false;
    return read_names_now(&now, slot->skb, point) && is_same_packet(&now, &journey->names);
}

// A packet is handed to a device's qdisc. One that was received nowhere was made here and now, unless it has just been
// through another device, as on its way from a macvlan to its parent. Whether it has a socket tells nothing: a bridge
// passes on the packets of a container with the socket that they come from.
static __always_inline void on_queue(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    const struct watched_device *device;
    struct slot *slot = find(address);
    bool received = skb->skb_iif;
    struct beginning at;

    if (!address)
        return;
    cpu->segmented_at = 0;
    if (!slot && !is_chosen(cpu))
        return;
    at.when = bpf_ktime_get_ns();
    at.place = place_of_device(skb->dev);
    if (slot) {
        bool goes_on = received || point_of(slot) == POINT_XMIT;

        if (slot->state & SLOT_DELIVERED)
            goes_on = received && is_routed_on(slot, at.place, POINT_QUEUE);
        if (goes_on) {
            reach(cpu, slot, at.place, POINT_QUEUE | queue_length(skb) << WHERE_SHIFT, at.when);
            return;
        }
        forget_slot(cpu, slot);
        if (!is_chosen(cpu))
            return;
    }
    device = device_at(at.place);
    if (!device || !device->target)
        return;
    // What was received before would have been followed from there, if it is one of those that are.
    if (received && !device->is_entry && (device->role == ROLE_HOST || cpu->sample_limit != ~0U))
        return;
    at.skb = address;
    at.header = (u64)skb->head + skb->network_header;
    at.target = device->target;
    at.flow = device->role == ROLE_HOST ? WATCH_IN : WATCH_OUT;
    at.station = device_station(device->role, POINT_QUEUE);
    at.length = skb->len;
    at.bytes = skb->len - (u32)(at.header - (u64)skb->data);
    at.queue = queue_length(skb);
    at.is_delivered = 0;
    at.books = 0;
    begin(cpu, &at);
}

// A segment of a packet that was followed, on its way to the driver: it is followed from where that was queued.
static __always_inline void begin_segment(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    struct beginning at;

    at.skb = address;
    at.header = (u64)skb->head + skb->network_header;
    at.place = cpu->segmented_at;
    at.target = cpu->segmented_target;
    at.flow = cpu->segmented_flow;
    at.station = cpu->segmented_station;
    at.length = skb->len;
    at.bytes = skb->len - (u32)(at.header - (u64)skb->data);
    at.queue = 0;
    at.is_delivered = 0;
    at.books = 0;
    at.when = cpu->segmented_when;
    begin(cpu, &at);
}

static __always_inline void on_start_xmit(struct cpu_area *cpu, struct sk_buff *skb, struct net_device *dev,
                                          u64 address) {
    struct slot *slot = find(address);
    u64 place;

    if (!slot && !cpu->segmented_at)
        return;
    place = place_of_device(dev);
    if (!slot && address && place == cpu->segmented_at) {
        begin_segment(cpu, skb, address);
        slot = find(address);
    }
    if (slot)
        pass(cpu, slot, place, POINT_XMIT);
}

// A packet is at a kernel function, or a tracepoint, that takes it as its first argument.
static __always_inline void on_point(struct cpu_area *cpu, struct sk_buff *skb, u64 address, u32 point) {
    struct slot *slot = find(address);

    if (slot)
        pass(cpu, slot, place_of_device(skb->dev), point);
}

// The same for a kprobe, which gets a plain number that may not be followed without a helper.
static __always_inline void on_kprobe(struct cpu_area *cpu, struct sk_buff *skb, u32 point) {
    struct slot *slot = find((u64)skb);

    if (slot)
        pass(cpu, slot, read_place_of_device(BPF_CORE_READ(skb, dev)), point);
}

static __always_inline void on_gro(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    const struct watched_device *device;
    struct slot *slot;
    u64 place;

    cpu->gro = 0;
    slot = find(address);
    if (!slot)
        return;
    place = place_of_device(skb->dev);
    device = device_at(place);
    if (point_of(slot) == POINT_XMIT) {
        pass(cpu, slot, place, POINT_GRO);
        cpu->gro = address;
    } else if (device && device->is_tunnel) {
        reach(cpu, slot, place, POINT_GRO, bpf_ktime_get_ns());
        cpu->gro = address;
    } else {
        forget_slot(cpu, slot); // a driver's new packet at an old address
    }
}

static __always_inline void on_gro_done(struct cpu_area *cpu, bool is_merged) {
    struct slot *slot;

    if (!cpu->gro)
        return;
    slot = find(cpu->gro);
    cpu->gro = 0;
    if (!slot || !is_merged)
        return;
    slot->skb = 0;
    if (slot->target)
        count(cpu, TALLY_MERGED);
}

// Whether a packet that has a slot, and is received at that device, is the one that the slot is of. A device receives
// what another one of the same namespace has received only if it is above it: a bridge, or a tunnel.
static __always_inline bool is_received_again(struct slot *slot, const struct watched_device *device, u64 place) {
    const struct journey *journey;
    u32 role = device ? device->role : ROLE_ELSEWHERE;

    if (device && device->is_tunnel)
        return true;
    if (slot->state & SLOT_DELIVERED)
        return is_routed_on(slot, place, POINT_RECEIVE);
    if (point_of(slot) == POINT_XMIT) // out of an ifb, or through a ring of NAPI's without GRO; but not from a wire
        return slot->station / POINTS == ROLE_IFB || role != ROLE_UPLINK;
    if (point_of(slot) != POINT_RECEIVE || role == ROLE_BRIDGE)
        return true;
    journey = journey_of(slot);
    return journey && role != ROLE_UPLINK && role != ROLE_HOST && role != ROLE_HOST2 && journey->netns == place >> 32 &&
           journey->ifindex != (u32)place;
}

// A packet is received. At a device of the host that is no target's it may have come from another machine, or from a
// container that is not watched; whose it is will show.
static __always_inline void on_receive(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    const struct watched_device *device;
    struct slot *slot = find(address);
    struct beginning at;

    cpu->arrived_skb = 0;
    if (!address || (!slot && !is_chosen(cpu)))
        return;
    at.when = bpf_ktime_get_ns();
    at.place = place_of_device(skb->dev);
    device = device_at(at.place);
    if (slot) {
        if (is_received_again(slot, device, at.place)) {
            if (slot->target)
                handle(cpu, is_same_cpu(cpu->events, slot->events));
            reach(cpu, slot, at.place, POINT_RECEIVE | skb->len << WHERE_SHIFT, at.when);
            return;
        }
        forget_slot(cpu, slot);
        if (!is_chosen(cpu))
            return;
    }
    if (!device || (device->role != ROLE_UPLINK && device->role != ROLE_ELSEWHERE && device->role != ROLE_HOST2 &&
                    !device->is_entry))
        return;
    at.skb = address;
    at.header = (u64)skb->data;
    at.target = device->target;
    at.flow = WATCH_IN;
    at.station = device_station(device->role, POINT_RECEIVE);
    at.length = skb->len;
    at.bytes = skb->len;
    at.queue = 0;
    at.is_delivered = is_destination(device);
    at.books = device->books;
    begin(cpu, &at);
    cpu->arrived_skb = address;
}

// ---- NET_RX

static __always_inline void on_net_rx_raise(struct cpu_area *cpu) {
    raise_net_rx(cpu);
}

static __always_inline void on_net_rx_entry(struct cpu_area *cpu) {
    enter_net_rx(cpu);
}

static __always_inline void on_net_rx_exit(struct cpu_area *cpu) {
    exit_net_rx(cpu);
}

// ---- into the socket

// Whose socket that is, by its namespace; NULL: it is not watched.
static __always_inline const struct watched_device *sockets_of(u32 netns) {
    return device_at(place_of(netns, 0));
}

// The packet is for a socket of that namespace. True: it is a target's, and should be in its socket soon. One that has
// passed no device of its receiver's, as through an ipvlan, becomes that namespace's here.
static __noinline int claim_for_socket(struct cpu_area *cpu, struct slot *slot, u32 netns) {
    const struct watched_device *sockets;
    struct journey *journey;
    u32 pending;

    if (!cpu || !slot)
        return false;
    journey = journey_of(slot);
    if (!journey)
        return false;
    if (slot->state & SLOT_DELIVERED) {
        if (journey->netns == netns)
            return true;
        slot->skb = 0; // another packet's, at an old address
        return false;
    }
    sockets = sockets_of(netns);
    pending = slot->state & SLOT_UNDECIDED ? journey->target : 0;
    if (!slot->target && pending && !claim(cpu, slot, journey, pending, (u32)slot->flow << WHERE_SHIFT | POINT_QUEUE))
        return false;
    if (!sockets) { // the node's own socket, or that of a container which is not watched
        if (slot->target) {
            count(cpu, TALLY_COMPLETED);
            count(cpu, WATCH_TALLY_TO_HOST);
            update_slowest(cpu, journey, POINT_QUEUE);
        }
        slot->skb = 0;
        return false;
    }
    if (!slot->target) {
        if (!claim(cpu, slot, journey, sockets->target, WATCH_IN << WHERE_SHIFT | POINT_QUEUE))
            return false;
    } else if (slot->target != sockets->target) {
        hand_over(slot, journey, sockets->target);
    }
    deliver_to_stack(cpu, slot, journey, sockets->books, 0);
    return true;
}

static __always_inline struct unread_set *unread_at(u64 socket) {
    u32 index = unread_index(socket);

    return bpf_map_lookup_elem(&unread_sockets, &index);
}

static __always_inline struct unread *unread_in(struct unread_set *set, u64 socket) {
    if (set->way[0].socket == socket)
        return &set->way[0];
    if (set->way[1].socket == socket)
        return &set->way[1];
    return NULL;
}

static __always_inline struct unread *unread_of(u64 socket) {
    struct unread_set *set = unread_at(socket);

    return set && socket ? unread_in(set, socket) : NULL;
}

// Whether there is room: a free place, one whose socket waits for nothing, or that of a UDP socket which has been
// waiting for so long that it is probably gone; nothing tells when such a one is closed.
static __always_inline bool is_free(const struct unread *place, u64 now) {
    enum { GONE_NS = 2000000000U };

    return !place->since || (place->protocol == UDP_PROTOCOL && now - place->since > GONE_NS);
}

static __always_inline bool is_tcp(const struct sock *sk) {
    return BPF_CORE_READ(sk, sk_protocol) == TCP_PROTOCOL;
}

// Whether the socket had nothing to read before the `bytes` that have just come: only then does a wait begin.
static __always_inline bool was_empty(const struct sock *sk, u32 bytes) {
    if (is_tcp(sk)) {
        u32 received, copied;

        if (can_cast) {
            const struct tcp_sock *tcp = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));

            received = tcp->rcv_nxt;
            copied = tcp->copied_seq;
        } else {
            received = BPF_CORE_READ((const struct tcp_sock *)sk, rcv_nxt);
            copied = BPF_CORE_READ((const struct tcp_sock *)sk, copied_seq);
        }
        return received - copied <= bytes + 1; // a FIN counts as a byte
    }
    return BPF_CORE_READ(sk, sk_receive_queue.qlen) <= 1 &&
           !BPF_CORE_READ((const struct udp_sock *)sk, reader_queue.qlen);
}

// The packet is in the socket that it is for, whose owner is told now.
static __noinline int deliver(struct cpu_area *cpu, struct slot *slot, u32 station_and_queue, u32 bytes, u64 now) {
    u32 station = station_and_queue & WHERE_POINT;
    struct target_books *target;
    struct series_key key;
    struct journey *journey;

    if (!cpu || !slot)
        return 0;
    journey = journey_of(slot);
    if (!journey)
        return 0;
    key.target = slot->target;
    key.flow = slot->flow;
    key.from = slot->station;
    key.to = station;
    record_hop(cpu, &key, 0, slot->when, now);
    mark_journey(cpu, journey, station, 0, now, station_and_queue >> WHERE_SHIFT);
    update_slowest(cpu, journey, POINT_QUEUE);
    target = books_at(journey->books);
    if (target) {
        __sync_fetch_and_add(&target->delivered, 1);
        __sync_fetch_and_add(&target->delivered_bytes, bytes);
    }
    count(cpu, WATCH_TALLY_DELIVERED);
    slot->skb = 0;
    return 0;
}

static __always_inline void deliver_to_socket(struct cpu_area *cpu, struct slot *slot, const struct sock *sk,
                                              u64 socket, u32 moment, u32 bytes, u64 now) {
    u32 station = end_station(END_CONTAINER, moment), target = slot->target;
    struct unread_set *set;
    struct unread *unread;

    deliver(cpu, slot, station | BPF_CORE_READ(sk, sk_backlog.len) << WHERE_SHIFT, bytes, now);
    if (!bytes || !was_empty(sk, bytes))
        return;
    set = unread_at(socket);
    if (!set)
        return;
    unread = unread_in(set, socket);
    if (!unread && is_free(&set->way[0], now))
        unread = &set->way[0];
    else if (!unread && is_free(&set->way[1], now))
        unread = &set->way[1];
    if (!unread) {
        count(cpu, WATCH_TALLY_WAITS_LOST);
        return;
    }
    unread->socket = socket;
    unread->target = target;
    unread->port = BPF_CORE_READ(sk, __sk_common.skc_num);
    unread->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    unread->protocol = is_tcp(sk) ? TCP_PROTOCOL : UDP_PROTOCOL;
    unread->since = now;
}

// TCP begins with a packet for this socket. Where data_ready is hooked, it follows, unless nothing has become readable.
// A packet without data has come to its end.
static __always_inline void on_tcp_rcv(struct cpu_area *cpu, struct sock *sk, struct sk_buff *skb) {
    u64 address = address_of(cpu, skb), socket;
    struct slot *slot = find(address);
    struct payload payload;
    u64 now;

    cpu->joined_socket = 0;
    if (!slot)
        return;
    now = sees_data_ready ? 0 : bpf_ktime_get_ns();
    if (!read_payload(skb, &payload) || !claim_for_socket(cpu, slot, sk->__sk_common.skc_net.net->ns.inum))
        return;
    if (!payload.bytes) {
        slot->skb = 0;
        return;
    }
    socket = address_of(cpu, sk);
    if (sees_data_ready) {
        cpu->joined_socket = socket;
        cpu->joined_skb = address;
        cpu->joined_bytes = payload.bytes;
    } else {
        deliver_to_socket(cpu, slot, sk, socket, MOMENT_TCP_RCV, payload.bytes, now);
    }
}

// Whether the packet that was received last is what has just become readable at this socket. TCP says by itself which
// one that is (on_tcp_rcv), but for the first and the last data of some connections.
static __noinline int is_for_socket(struct slot *slot, const struct sock *sk, u32 port) {
    struct packet_names now;
    struct journey *journey;
    u32 past;

    if (!slot || !sk)
        return false;
    journey = journey_of(slot);
    if (!journey || journey->names.protocol != BPF_CORE_READ(sk, sk_protocol))
        return false;
    if (journey->names.protocol == TCP_PROTOCOL) {
        past = BPF_CORE_READ((const struct tcp_sock *)sk, rcv_nxt) - bpf_ntohl(journey->names.fingerprint) -
               journey->payload;
        return has_payload(journey) && past <= 1;
    }
    if (journey->names.dest_port == port)
        return true;
    return read_names_now(&now, slot->skb, POINT_QUEUE) && now.dest_port == port;
}

// A socket has something to read: the packet that TCP has just begun with, or else the one that was received last.
static __always_inline void on_data_ready(struct cpu_area *cpu, const struct sock *sk, const struct socket_name *name) {
    u64 socket = address_of(cpu, sk);
    struct journey *journey;
    struct slot *slot;
    u32 bytes;
    u64 now;

    if (cpu->joined_socket == socket) {
        cpu->joined_socket = 0;
        slot = find(cpu->joined_skb);
        if (slot)
            deliver_to_socket(cpu, slot, sk, socket, MOMENT_DATA_READY, cpu->joined_bytes, bpf_ktime_get_ns());
        return;
    }
    slot = find(cpu->arrived_skb);
    if (!slot)
        return;
    now = bpf_ktime_get_ns();
    if (!is_for_socket(slot, sk, name->port))
        return;
    if (!claim_for_socket(cpu, slot, BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum)))
        return;
    journey = journey_of(slot);
    bytes = journey ? journey->payload : 0;
    cpu->arrived_skb = 0;
    deliver_to_socket(cpu, slot, sk, socket, MOMENT_DATA_READY, bytes, now);
}

// ---- the path ends early

// Is that one packet for the network card that is several on the wire?
static __always_inline bool is_gso(struct sk_buff *skb) {
    const struct skb_shared_info *info = (const void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));

    return BPF_CORE_READ(info, gso_size);
}

static __always_inline bool is_multicast(const struct packet_names *names) {
    enum { IPV6_MULTICAST = 0xff, IPV4_MULTICAST = 0xe, IPV4_BROADCAST = 0xff };

    if (names->family == IPV6)
        return names->dest[0] == IPV6_MULTICAST;
    return names->dest[0] >> 4 == IPV4_MULTICAST || names->dest[0] == IPV4_BROADCAST;
}

// Whether nothing is lost with a packet that its receiver lets go for that reason.
static __always_inline bool is_harmless(const struct journey *journey, u32 reason) {
    u32 when = harmless[BOUNDED(reason, DROP_REASONS)];

    if (when & HARMLESS_MULTICAST && is_multicast(&journey->names))
        return true;
    switch (journey->names.protocol) {
    case TCP_PROTOCOL:
        return when & HARMLESS_TCP || (when & HARMLESS_WITHOUT_PAYLOAD && !journey->payload && !journey->names.is_syn);
    case ICMP_PROTOCOL:
    case ICMPV6_PROTOCOL:
        return when & HARMLESS_ICMP;
    default:
        return false;
    }
}

// The target that has this address; 0: none, or several.
static __always_inline u32 target_of_address(const struct packet_names *names) {
    struct target_address address = {};
    const u32 *target;

    address.family = names->family;
    __builtin_memcpy(address.bytes, names->dest, sizeof(address.bytes));
    target = bpf_map_lookup_elem(&addresses, &address);
    return target ? *target : 0;
}

// A packet that is followed is dropped. One that is nobody's yet is that of the target whose address it has by now, or
// else of no concern.
static __noinline int end_dropped(struct cpu_area *cpu, struct slot *slot, u32 reason) {
    struct packet_names now;
    struct journey *journey;

    if (!cpu || !slot)
        return 0;
    journey = journey_of(slot);
    if (!journey || !read_names_now(&now, slot->skb, POINT_QUEUE))
        goto free;
    if (!(slot->state & SLOT_ENCAPSULATED) && !is_same_packet(&now, &journey->names)) {
        forget_slot(cpu, slot); // it is another one's skb by now
        return 0;
    }
    if (!slot->target) {
        u32 pending = slot->state & SLOT_UNDECIDED ? journey->target : 0;
        u32 target = pending ? pending : target_of_address(&now);
        u32 flow = pending ? slot->flow : WATCH_IN;

        if (!target || !claim(cpu, slot, journey, target, flow << WHERE_SHIFT | POINT_QUEUE))
            goto free;
    }
    if (point_of(slot) == POINT_RECEIVE && is_harmless(journey, reason)) {
        count(cpu, WATCH_TALLY_DISCARDED);
        if (!(slot->state & SLOT_DELIVERED)) { // by the host's own TCP
            count(cpu, TALLY_COMPLETED);
            count(cpu, WATCH_TALLY_TO_HOST);
        }
        goto free;
    }
    if (slot->state & SLOT_DELIVERED)
        undo_delivery(cpu, slot, journey);
    count(cpu, WATCH_TALLY_DROPPED);
    count_drop(cpu, slot, reason);
free:
    slot->skb = 0;
    return 0;
}

static __noinline int note_segmented(struct cpu_area *cpu, struct slot *slot) {
    const struct journey *journey;

    if (!cpu || !slot)
        return 0;
    journey = journey_of(slot);
    if (!journey)
        return 0;
    cpu->segmented_at = place_of(journey->netns, journey->ifindex);
    cpu->segmented_when = slot->when;
    cpu->segmented_target = slot->target;
    cpu->segmented_flow = slot->flow;
    cpu->segmented_station = slot->station;
    return 0;
}

static __always_inline void on_free(struct cpu_area *cpu, struct sk_buff *skb, u64 address, u32 reason) {
    struct slot *slot = find(address);

    if (!slot)
        return;
    if (reason != DROP_CONSUMED) {
        end_dropped(cpu, slot, reason);
        return;
    }
    if (slot->target && !(slot->state & SLOT_DELIVERED)) {
        if (is_gso(skb)) {
            count(cpu, TALLY_SEGMENTED);
            if (point_of(slot) == POINT_QUEUE)
                note_segmented(cpu, slot);
        } else {
            count(cpu, WATCH_TALLY_CONSUMED);
        }
    }
    slot->skb = 0;
}

#include "hooks.bpf.h"

// ---- the application

// It has read from a socket.
static __always_inline void has_read(struct cpu_area *cpu, u64 socket) {
    struct unread *unread = unread_of(socket);
    struct series_key key;
    u64 since;

    if (!unread)
        return;
    since = unread->since;
    if (!since)
        return;
    unread->since = 0;
    count(cpu, WATCH_TALLY_READ);
    key.target = unread->target;
    key.flow = WATCH_IN;
    key.from = end_station(END_CONTAINER, sees_data_ready ? MOMENT_DATA_READY : MOMENT_TCP_RCV);
    key.to = end_station(END_CONTAINER, MOMENT_APP_RECV);
    record_hop(cpu, &key, 0, since, bpf_ktime_get_ns());
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(sock_recv_length, struct sock *sk, int bytes)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu && bytes > 0)
        has_read(cpu, address_of(cpu, sk));
    return 0;
}

// For TCP only, but on older kernels, too.
SEC("?tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_rcv_space_adjust, struct sock *sk)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        has_read(cpu, address_of(cpu, sk));
    return 0;
}

// A connection is closed: nobody will read what it still has, and its address will be another socket's.
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, const struct sock *sk, int old_state, int new_state)
{
    enum { CLOSED = 7 }; // TCP_CLOSE in include/net/tcp_states.h
    struct unread *unread;
    struct cpu_area *cpu;

    if (new_state != CLOSED)
        return 0;
    cpu = this_cpu();
    if (!cpu)
        return 0;
    unread = unread_of(address_of(cpu, sk));
    if (unread) {
        unread->since = 0;
        unread->socket = 0;
    }
    return 0;
}
