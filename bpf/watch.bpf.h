// SPDX-License-Identifier: GPL-2.0-only
//
// A node's own traffic: whose packet it is, which stretch of its way has ended, and which were the slowest. The
// stations and their hooks are those of the lab, in vethtrace.bpf.c; what differs is that devices come and go, that
// packets belong to targets and not to flows of a load, and that nobody knows beforehand where a packet will end.
//
// A packet is a target's as soon as it is at one of its devices. One that comes from outside is nobody's until then
// (`flow` of its slot is 0). One that goes from one container to another belongs to the first until it is at a device
// of the second.
#ifndef VETHTRACE_WATCH_BPF_H
#define VETHTRACE_WATCH_BPF_H

#include "in_flight.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

const volatile struct watch_filter filter;

// Packets that take longer are told as it happens. 0: none.
const volatile __u64 slower_than;
const volatile __u32 told_at_most; // on each CPU and window

// data_ready is hooked, so stack_rx ends there.
const volatile bool sees_data_ready;

// By user space, while it runs: the number of the window, and what series are grouped by.
volatile __u64 epoch = 1;
volatile __u32 grouping = GROUP_NONE;

// New packets are followed. Off while hooks come and go, because one that only passes some of them would look lost.
volatile __u32 following;

// User space sets the sizes to 1 where nothing is watched.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, u64); // place_of()
    __type(value, struct watched_device);
} devices SEC(".maps");

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
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct journey);
} journeys SEC(".maps");

// By CPU, times 2, plus the last bit of the epoch.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct slowest);
} slowest SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} told SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct readable);
} readables SEC(".maps");

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

// The target that a whole namespace is; 0: none.
static __always_inline u32 target_of_netns(u32 netns) {
    const struct watched_device *found = device_at(place_of(netns, 0));

    return found ? found->target : 0;
}

// ---- series

static __always_inline void raise_max(struct series_max *max, u64 now, u64 ns) {
    if (max->epoch != now) {
        max->ns = ns;
        max->epoch = now;
    } else if (ns > max->ns) {
        max->ns = ns;
    }
}

static __noinline int add_to_series(struct cpu_area *cpu, struct series_key *key, u64 ns) {
    struct series *found;
    u64 now = epoch;
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
        count(cpu, TALLY_EDGE_OVERFLOW);
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

// The stretch that began `since` and ends `now`, at a device with that ifindex.
static __always_inline void end_watched_stretch(struct cpu_area *cpu, struct series_key *key, u32 ifindex, u64 since,
                                                u64 now) {
    u32 by = grouping;

    if (now < since) {
        count(cpu, TALLY_NEGATIVE);
        return;
    }
    key->unused = 0;
    key->group = by == GROUP_CPU ? cpu->cpu : by == GROUP_INTERFACE ? ifindex : 0;
    add_to_series(cpu, key, now - since);
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

// Tells a packet that took too long, if not too many were told already.
static __always_inline void tell(struct cpu_area *cpu, struct journey *journey) {
    u64 now = epoch;

    if (cpu->told_epoch != now) {
        cpu->told_epoch = now;
        cpu->told = 0;
    }
    if (cpu->told >= told_at_most || bpf_ringbuf_output(&told, journey, sizeof(*journey), 0)) {
        count(cpu, TALLY_SUPPRESSED);
        return;
    }
    cpu->told++;
}

// Among the slowest of this CPU's packets, if it is one of them. A packet can come twice, the second time with more of
// its way.
static __noinline int judge(struct cpu_area *cpu, struct journey *journey) {
    u64 now = epoch, least = ~0ULL;
    u32 index, place = 0, i;
    struct slowest *table;

    if (!cpu || !journey)
        return 0;
    if (slower_than && journey->total > slower_than && !journey->told) {
        journey->told = 1;
        tell(cpu, journey);
    }
    index = cpu->cpu << 1 | (now & 1);
    table = bpf_map_lookup_elem(&slowest, &index);
    if (!table)
        return 0;
    if (table->epoch != now) {
        table->epoch = now;
        table->used = 0;
        table->least = 0;
    }
    if (table->used >= SLOWEST && journey->total <= table->journey[BOUNDED(table->least, SLOWEST)].total)
        return 0;
    place = table->used < SLOWEST ? table->used : table->least;
    for (i = 0; i < SLOWEST; i++)
        if (i < table->used && table->journey[i].skb == journey->skb &&
            table->journey[i].at[0].when == journey->at[0].when)
            place = i;
    if (place == table->used && table->used < SLOWEST)
        table->used++;
    __builtin_memcpy(&table->journey[BOUNDED(place, SLOWEST)], journey, sizeof(*journey));
    for (i = 0; i < SLOWEST; i++) {
        if (table->journey[i].total < least) {
            least = table->journey[i].total;
            table->least = i;
        }
    }
    return 0;
}

// ---- what a packet is

enum { IPV4 = 4, IPV6 = 6, TCP_PROTOCOL = 6, UDP_PROTOCOL = 17 };

// Reads addresses and ports, from the IP header on, into a journey. False: it is not IP.
static __noinline int read_names(struct journey *journey, u64 header) {
    u8 ip[40];
    __be16 ports[2];
    u32 length;
    bool fragment = false;

    if (!journey || bpf_probe_read_kernel(ip, sizeof(ip), (void *)header))
        return false;
    journey->family = ip[0] >> 4;
    __builtin_memset(journey->source, 0, sizeof(journey->source));
    __builtin_memset(journey->dest, 0, sizeof(journey->dest));
    if (journey->family == IPV4) {
        length = (ip[0] & 15) * 4;
        journey->protocol = ip[9];
        fragment = (ip[6] & 0x1f) || ip[7];
        __builtin_memcpy(journey->source, &ip[12], 4);
        __builtin_memcpy(journey->dest, &ip[16], 4);
    } else if (journey->family == IPV6) {
        length = sizeof(ip);
        journey->protocol = ip[6];
        __builtin_memcpy(journey->source, &ip[8], 16);
        __builtin_memcpy(journey->dest, &ip[24], 16);
    } else {
        return false;
    }
    journey->source_port = 0;
    journey->dest_port = 0;
    if (fragment || (journey->protocol != TCP_PROTOCOL && journey->protocol != UDP_PROTOCOL))
        return true;
    if (bpf_probe_read_kernel(ports, sizeof(ports), (void *)(header + length)))
        return true;
    journey->source_port = bpf_ntohs(ports[0]);
    journey->dest_port = bpf_ntohs(ports[1]);
    return true;
}

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

static __noinline int is_asked_for(struct journey *journey, u32 flow) {
    if (!journey)
        return false;
    if (filter.protocol && filter.protocol != journey->protocol)
        return false;
    if (filter.port_ranges && !has_port(journey->source_port, journey->dest_port))
        return false;
    if (!filter.peer_family)
        return true;
    return filter.peer_family == journey->family && is_peer(flow == WATCH_OUT ? journey->dest : journey->source);
}

// ---- a packet begins to be followed

// Whatever had a slot under this address is gone.
static __always_inline void forget_watched(struct cpu_area *cpu, u64 skb) {
    struct slot *slot = find(skb);

    if (!slot)
        return;
    if (slot->flow && !(slot->timeline & SLOT_DELIVERED))
        count(cpu, TALLY_STALE);
    slot->skb = 0;
}

// Whether a packet that enters is followed.
static __always_inline bool is_watched(struct cpu_area *cpu) {
    if (!following)
        return false;
    if (cpu->sample_limit == ~0U || bpf_get_prandom_u32() <= cpu->sample_limit) {
        count(cpu, TALLY_SAMPLED);
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
    u32 bytes;
    u32 queue;
    u32 marks; // of the slot
};

static __noinline int begin(struct cpu_area *cpu, struct beginning *at) {
    struct journey *journey;
    struct slot *slot;
    u64 now;
    u32 *lock;

    if (!cpu || !at)
        return 0;
    now = bpf_ktime_get_ns();
    lock = lock_pair(at->skb);
    if (!lock) {
        count(cpu, TALLY_CROWDED_OUT);
        return 0;
    }
    slot = take(cpu, at->skb, now);
    if (!slot)
        goto unlock;
    slot->skb = at->skb;
    slot->flow = at->target;
    slot->station = at->station;
    slot->sender = at->flow;
    slot->timeline = at->marks;
    slot->when = now;
    slot->events = cpu->events;
    journey = journey_of(slot);
    if (!journey)
        goto give_up;
    if (!read_names(journey, at->header)) {
        count(cpu, TALLY_NOT_IP);
        goto give_up;
    }
    if (!is_asked_for(journey, at->flow)) {
        count(cpu, TALLY_FILTERED);
        goto give_up;
    }
    journey->skb = at->skb;
    journey->netns = at->place >> 32;
    journey->target = at->target;
    journey->second_target = 0;
    journey->bytes = at->bytes;
    journey->flow = at->flow;
    journey->marks = 0;
    journey->told = 0;
    mark_journey(cpu, journey, at->station, (u32)at->place, now, at->queue);
    if (at->target) {
        count(cpu, TALLY_ENTERED);
        if (at->marks & SLOT_DELIVERED)
            count(cpu, TALLY_COMPLETED);
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
    if (slot->timeline & SLOT_SECOND)
        role = role == ROLE_HOST ? ROLE_HOST2 : role == ROLE_CONTAINER ? ROLE_PEER : role;
    return device_station(role, point);
}

// A packet from outside turns out to be that target's, and so does the way that it has come.
static __noinline int claim(struct cpu_area *cpu, struct slot *slot, struct journey *journey, u32 target) {
    struct series_key key;
    u32 i;

    if (!cpu || !slot || !journey)
        return 0;
    for (i = 1; i < JOURNEY_MARKS; i++) {
        const struct packet_mark *mark = &journey->at[i];

        if (i >= journey->marks)
            break;
        key.target = target;
        key.flow = WATCH_IN;
        key.from = journey->at[i - 1].station;
        key.to = mark->station;
        end_watched_stretch(cpu, &key, mark->ifindex, journey->at[i - 1].when, mark->when);
    }
    slot->flow = target;
    slot->sender = WATCH_IN;
    journey->target = target;
    journey->flow = WATCH_IN;
    count(cpu, TALLY_ENTERED);
    return 0;
}

// The packet of one target has got to another one: the first one's part of the way ends here.
static __always_inline void hand_over(struct slot *slot, struct journey *journey, u32 target) {
    slot->timeline |= SLOT_SECOND;
    slot->flow = target;
    slot->sender = WATCH_IN;
    journey->second_target = target;
}

enum { QUEUE_SHIFT = 8 };

// `where`: the point, and above QUEUE_SHIFT how many packets wait there.
static __noinline int reach(struct cpu_area *cpu, struct slot *slot, u64 place, u32 where) {
    u32 point = where & ((1 << QUEUE_SHIFT) - 1);
    const struct watched_device *device;
    struct journey *journey;
    struct series_key key;
    u64 now = bpf_ktime_get_ns();
    u32 role, target, station;

    if (!cpu || !slot)
        return 0;
    device = device_at(place);
    journey = journey_of(slot);
    if (!journey)
        return 0;
    role = device ? device->role : ROLE_ELSEWHERE;
    target = device ? device->target : 0;
    if (slot->timeline & SLOT_DELIVERED) {
        slot->timeline &= ~SLOT_DELIVERED; // it goes on after all, as a router's packets do
        cpu->tallies[TALLY_COMPLETED]--;
    }

    if (target && !slot->flow)
        claim(cpu, slot, journey, target);
    key.target = slot->flow;
    key.flow = slot->sender;
    key.from = slot->station;
    station = device_station(role, point);
    if (target && target != slot->flow)
        hand_over(slot, journey, target);
    key.to = key.target == target ? station : station_of(slot, role, point);
    if (key.target)
        end_watched_stretch(cpu, &key, (u32)place, slot->when, now);
    mark_journey(cpu, journey, station_of(slot, role, point), (u32)place, now, where >> QUEUE_SHIFT);
    journey->netns = place >> 32;

    slot->when = now;
    slot->events = cpu->events;
    slot->station = station;
    if (point == POINT_XMIT && device && device->is_last) {
        slot->skb = 0;
        if (slot->flow) {
            count(cpu, TALLY_COMPLETED);
            judge(cpu, journey);
        }
    } else if (point == POINT_RECEIVE && role == ROLE_CONTAINER && target) {
        slot->timeline |= SLOT_DELIVERED;
        count(cpu, TALLY_COMPLETED);
        cpu->arrived_skb = slot->skb;
        judge(cpu, journey);
    }
    return 0;
}

// ---- into the socket

static __always_inline struct readable *readable_of(u64 socket) {
    u32 index = readable_index(socket);

    return bpf_map_lookup_elem(&readables, &index);
}

// The packet is in the socket that it is for, whose owner is told now.
static __noinline int deliver_watched(struct cpu_area *cpu, struct slot *slot, u64 socket, u32 moment_and_queue) {
    u32 station = end_station(END_CLIENT, moment_and_queue & ((1 << QUEUE_SHIFT) - 1));
    u64 now = bpf_ktime_get_ns();
    struct series_key key;
    struct readable *readable;
    struct journey *journey;

    if (!cpu || !slot)
        return 0;
    journey = journey_of(slot);
    if (!journey)
        return 0;
    key.target = slot->flow;
    key.flow = slot->sender;
    key.from = slot->station;
    key.to = station;
    end_watched_stretch(cpu, &key, 0, slot->when, now);
    mark_journey(cpu, journey, station, 0, now, moment_and_queue >> QUEUE_SHIFT);
    judge(cpu, journey);
    readable = readable_of(socket);
    if (readable && (readable->socket != socket || !readable->when)) {
        readable->socket = socket;
        readable->target = slot->flow;
        readable->when = now;
    }
    slot->skb = 0;
    return 0;
}

// Is this the socket that the packet is for? A packet that has passed no device of its receiver's becomes that
// namespace's.
static __noinline int claim_for_socket(struct cpu_area *cpu, struct slot *slot, u64 ports, u32 netns) {
    struct journey *journey;
    u32 target;

    if (!cpu || !slot)
        return false;
    journey = journey_of(slot);
    if (!journey || journey->dest_port != (u16)ports)
        return false;
    if (journey->protocol == TCP_PROTOCOL && journey->source_port != (u16)(ports >> 16))
        return false;
    if (slot->timeline & SLOT_DELIVERED)
        return true;
    target = target_of_netns(netns);
    if (!target && slot->flow) { // the node's own socket, or that of a container which is not watched
        count(cpu, TALLY_COMPLETED);
        judge(cpu, journey);
        slot->skb = 0;
    }
    if (!target || target == slot->flow)
        return false;
    if (slot->flow)
        hand_over(slot, journey, target); // between two on one parent, where no device of the second's is passed
    else
        claim(cpu, slot, journey, target);
    slot->timeline |= SLOT_DELIVERED;
    count(cpu, TALLY_COMPLETED);
    return true;
}

static __always_inline u64 ports_of(u16 port, u16 peer_port) {
    return (u64)peer_port << 16 | port;
}

// The application has read from a socket.
static __always_inline void has_read(struct cpu_area *cpu, u64 socket) {
    struct readable *readable = readable_of(socket);
    struct series_key key;
    u64 since;

    if (!readable || readable->socket != socket)
        return;
    since = readable->when;
    if (!since)
        return;
    readable->when = 0;
    key.target = readable->target;
    key.flow = WATCH_IN;
    key.from = end_station(END_CLIENT, sees_data_ready ? MOMENT_DATA_READY : MOMENT_TCP_RCV);
    key.to = end_station(END_CLIENT, MOMENT_APP_RECV);
    end_watched_stretch(cpu, &key, 0, since, bpf_ktime_get_ns());
}

// ---- the way ends early

static __noinline int end_early(struct cpu_area *cpu, struct slot *slot, u32 reason, u32 is_gso) {
    struct drop_key key = {};
    u64 one = 1, *found;

    if (!cpu || !slot)
        return 0;
    key.target = slot->flow;
    key.reason = reason;
    key.flow = slot->sender;
    key.station = slot->station;
    slot->skb = 0;
    if (reason == DROP_CONSUMED) {
        if (key.target && !(slot->timeline & SLOT_DELIVERED))
            count(cpu, is_gso ? TALLY_SEGMENTED : TALLY_CONSUMED);
        return 0;
    }
    if (key.target) {
        count(cpu, TALLY_DROPPED);
        if (slot->timeline & SLOT_DELIVERED)
            cpu->tallies[TALLY_COMPLETED]--; // it was taken for delivered
    }
    found = bpf_map_lookup_elem(&drops, &key);
    if (!found) {
        if (!bpf_map_update_elem(&drops, &key, &one, BPF_NOEXIST))
            return 0;
        found = bpf_map_lookup_elem(&drops, &key);
    }
    if (found)
        __sync_fetch_and_add(found, 1);
    else
        count(cpu, TALLY_DROPS_OVERFLOW);
    return 0;
}

#endif
