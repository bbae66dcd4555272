// SPDX-License-Identifier: GPL-2.0-only
//
// The lab: packets of the load between its two ends, read from send to receive. Which message a packet carries is
// known, and so is every device on its path; each hop between two stations is added to a histogram of this CPU. The
// hooks by which packets are seen are in hooks.bpf.h, which calls the functions on_...() below.
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "lab_layout.h"

#include "flow.bpf.h"
#include "packet.bpf.h"
#include "softirq.bpf.h"
#include "track.bpf.h"

char LICENSE[] SEC("license") = "GPL";

// The device where a packet of each end enters, the network namespace that device is in, the station where the packet
// arrives, and how long a message is; all by the end that sends.
const volatile __u32 entry_role[ENDS];
const volatile __u32 entry_netns[ENDS];
const volatile __u32 last_station[ENDS];
const volatile __u32 message_bytes[ENDS];

// Bit r: packets on a device of role r are seen at transmit by the tracepoint, not by the driver's function.
const volatile __u32 xmit_by_tracepoint;

// The mode's devices receive through NAPI and not through the backlog.
const volatile bool through_napi;

// Follow this many transactions of the first flow moment by moment, one in `timeline_stride` messages.
const volatile __u32 timelines_wanted;
const volatile __u64 timeline_stride = 1;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct timeline);
} timelines SEC(".maps");

static __always_inline void mark(struct cpu_area *cpu, u32 timeline, u32 sender, u32 station, u64 now) {
    u32 index = timeline - 1;
    struct timeline_mark *at;
    struct timeline *line;

    if (!timelines_wanted || !timeline)
        return;
    line = bpf_map_lookup_elem(&timelines, &index);
    if (!line)
        return;
    at = &line->at[sender == END_SERVER][BOUNDED(station, STATIONS)];
    at->when = now;
    at->cpu = cpu->cpu;
    at->softirq = cpu->net_rx.context;
    at->pid = (u32)bpf_get_current_pid_tgid();
    bpf_get_current_comm(at->comm, sizeof(at->comm));
}

static __always_inline u32 timeline_of(const struct flow *flow, u64 message) {
    u64 since = flow->measured + message - flow->measure_from;

    if (!timelines_wanted || flow->index != 0)
        return 0;
    if (since % timeline_stride || since / timeline_stride >= timelines_wanted)
        return 0;
    return since / timeline_stride + 1;
}

// ---- hops

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

// Where and when a hop began, and which end sent the packet.
struct origin {
    u64 when;
    u64 events;
    u32 station;
    u32 sender;
};

// Adds the hop that ends now, at station `to`, to its edge.
static __always_inline void end_hop(struct cpu_area *cpu, const struct origin *from, u32 to, u64 now) {
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

// ---- packets in flight

// In the lab no slot can be given away.
static __always_inline bool is_spare(const struct slot *slot, u64 now) {
    return false;
}

// A new packet has this address, so whatever had it before is gone, and if it still has a slot, nobody saw it go.
static __always_inline void forget(struct cpu_area *cpu, u64 skb) {
    struct slot *slot = find(skb);

    if (!slot)
        return;
    slot->skb = 0;
    count(cpu, TALLY_STALE);
}

// Gives a slot to a packet with the flow's present message, last seen at `station`. NULL: there is none for it.
static __always_inline struct slot *follow(struct cpu_area *cpu, u64 address, struct flow *flow, u32 end, u64 when,
                                           u64 events, u32 station) {
    u32 *lock = lock_pair(address);
    struct slot *slot;

    if (!lock) {
        count(cpu, TALLY_CROWDED_OUT);
        return NULL;
    }
    slot = take(cpu, address, when);
    if (!slot) {
        unlock_pair(lock);
        return NULL;
    }
    slot->skb = 0; // nobody finds the slot while it is half written
    barrier();
    slot->when = when;
    slot->events = events;
    slot->flow = flow->index;
    slot->timeline = timeline_of(flow, flow->way[end == END_SERVER].seq);
    slot->station = station;
    slot->last = last_station[end == END_SERVER];
    slot->sender = end;
    barrier();
    slot->skb = address;
    unlock_pair(lock);
    return slot;
}

static __always_inline u32 role_of(const struct net_device *dev) {
    u32 role = dev->ifindex - LAB_IFINDEX;

    return role < ROLES ? role : ROLE_ELSEWHERE;
}

// ---- a followed packet reaches a station

static __always_inline u64 clock(void) {
    enum { BEHIND_NS = 1000000 };
    u64 now = bpf_ktime_get_ns();

    return mutation == MUTATION_CLOCK_BACK && (now & 127) == 0 ? now - BEHIND_NS : now;
}

static __always_inline void complete(struct cpu_area *cpu, struct slot *slot, u32 station, u64 now) {
    struct flow *flow = flow_by_index(slot->flow);
    u32 end = slot->sender == END_SERVER;
    u64 address = slot->skb;

    slot->skb = 0;
    if (mutation == MUTATION_WRONG_JOIN) {
        slot->when = now;
        slot->station = station;
        slot->skb = address;
    }
    count(cpu, TALLY_COMPLETED);
    if (!flow)
        return;
    flow->way[end].rx_when = now;
    flow->way[end].rx_events = cpu->events;
    flow->way[end].rx_station = station;
    flow->way[end].timeline = slot->timeline;
}

static __always_inline void arrive(struct cpu_area *cpu, struct slot *slot, u32 station) {
    u64 now = clock();
    struct origin from = {.when = slot->when, .events = slot->events, .station = slot->station, .sender = slot->sender};

    end_hop(cpu, &from, station, now);
    if (mutation == MUTATION_DOUBLE_COUNT && (now & 127) == 0)
        end_hop(cpu, &from, station, now);
    mark(cpu, slot->timeline, from.sender, station, now);

    if (station == slot->last) {
        complete(cpu, slot, station, now);
    } else {
        slot->when = now;
        slot->events = cpu->events;
        slot->station = station;
    }
}

// ---- a message goes on in another skb than the one it was followed in

// The message of that way is no longer looked for.
static __always_inline void found(struct cpu_area *cpu, struct flow_way *way) {
    if (way->lost && cpu->orphans) // 0: it was lost on another CPU
        cpu->orphans--;
    way->lost = 0;
}

// The skb ends before its last station, but not what it carries: a copy, a segment, or the skb it was merged into.
static __always_inline void orphan(struct cpu_area *cpu, struct slot *slot, bool to_gro) {
    struct flow *flow = flow_by_index(slot->flow);
    struct flow_way *way;

    if (!flow)
        return;
    way = &flow->way[slot->sender == END_SERVER];
    way->lost_when = slot->when;
    way->lost_events = slot->events;
    way->lost_station = slot->station;
    way->lost_to_gro = to_gro;
    if (!way->lost)
        cpu->orphans++;
    way->lost = 1;
}

// Of a packet that is not followed: does it carry on such a message to its end? Then it is from now on.
static __noinline struct slot *adopt(struct cpu_area *cpu, u64 address) {
    struct payload payload;
    struct flow_way *way;
    struct flow *flow;
    struct slot *slot;
    struct ports ports;
    u32 end;

    if (!cpu || !read_packet((struct sk_buff *)address, &ports, &payload) || !payload.bytes)
        return NULL;
    end = ports.source == SERVER_PORT ? END_SERVER : END_CLIENT;
    flow = flow_by_index((u32)(end == END_CLIENT ? ports.source : ports.dest) - CLIENT_PORT);
    if (!flow)
        return NULL;
    way = &flow->way[end];
    if (!way->lost || payload.seq + payload.bytes != way->complete)
        return NULL;
    slot = follow(cpu, address, flow, end, way->lost_when, way->lost_events, way->lost_station);
    if (!slot)
        return NULL;
    found(cpu, way);
    if (way->lost_to_gro)
        count(cpu, TALLY_ENTERED); // in the place of the one that was merged into it
    else
        count(cpu, payload.bytes < way->last_bytes ? TALLY_SEGMENTED : TALLY_CLONED);
    return slot;
}

static __always_inline struct slot *find_or_adopt(struct cpu_area *cpu, u64 address) {
    struct slot *slot = find(address);

    if (!slot && cpu->orphans && address)
        return adopt(cpu, address);
    return slot;
}

// A packet of the lab leaves the end that sends it. Decides whether it is followed, and says why not if it is not.
static __always_inline void enter(struct cpu_area *cpu, struct sk_buff *skb, u64 address, u32 end, u32 station) {
    struct sock *sk = skb->sk;
    struct payload payload;
    struct flow *flow = NULL;
    struct slot *slot;
    struct flow_way *way;
    u64 message, now;
    bool first;

    if (!address)
        return;
    if (mutation == MUTATION_WRONG_JOIN) {
        slot = find(address);
        if (slot) {
            arrive(cpu, slot, station);
            return;
        }
    }
    forget(cpu, address);
    if (sk) {
        struct socket_name name = name_of(sk);

        flow = flow_of(&name, end);
    }
    if (!flow) {
        count(cpu, TALLY_UNREGISTERED);
        return;
    }
    message = flow->end[end].send_seq;
    if (!is_sampled(flow->index, message, cpu->sample_limit)) {
        count(cpu, TALLY_NOT_SAMPLED);
        return;
    }
    now = bpf_ktime_get_ns(); // before the rest of this program's work, as other stations read it
    if (!read_payload(skb, &payload) || !payload.bytes) {
        count(cpu, TALLY_ACKS);
        return;
    }
    way = &flow->way[end];
    first = message != way->seq;
    if (way->begun) {
        u32 next = first ? way->complete + (u32)(message - way->seq - 1) * message_bytes[end] : way->sent;

        if ((s32)(payload.seq - next) < 0) {
            count(cpu, TALLY_RETRANSMITTED);
            return;
        }
        if (payload.seq != next)
            count(cpu, TALLY_MISALIGNED);
    }

    if (first) {
        way->seq = message;
        way->begun_when = now;
        way->begun_events = cpu->events;
        way->begun = 1;
        way->rx_when = 0;
        found(cpu, way);
        way->complete = payload.seq + message_bytes[end];
    }
    way->sent = payload.seq + payload.bytes;

    if (!is_measured(flow, message)) {
        count(cpu, TALLY_OUTSIDE);
        return;
    }
    if (first) {
        struct origin sent = {.when = flow->end[end].send_when,
                              .events = flow->end[end].send_events,
                              .station = end_station(end, MOMENT_APP_SEND),
                              .sender = end};

        end_hop(cpu, &sent, station, now);
        if (mutation == MUTATION_SEND_REUSED && (message & 127) == 0)
            end_hop(cpu, &sent, station, now);
    }
    if (way->sent != way->complete) {
        count(cpu, TALLY_SEGMENTS);
        return;
    }
    if (!first) {
        struct origin begun = {.when = way->begun_when, .events = way->begun_events, .station = station, .sender = end};

        end_hop(cpu, &begun, station, now);
    }

    way->last_bytes = payload.bytes;
    slot = follow(cpu, address, flow, end, now, cpu->events, station);
    if (!slot)
        return;
    count(cpu, TALLY_ENTERED);
    mark(cpu, slot->timeline, end, station, now);
}

// ---- the stations

static __always_inline void on_queue(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    struct net_device *dev = skb->dev;
    u32 role = role_of(dev);
    struct slot *slot;

    if (role == entry_role[END_CLIENT]) {
        if (dev->nd_net.net->ns.inum == entry_netns[END_CLIENT])
            enter(cpu, skb, address, END_CLIENT, device_station(role, POINT_QUEUE));
        return;
    }
    if (role == entry_role[END_SERVER]) {
        if (dev->nd_net.net->ns.inum == entry_netns[END_SERVER])
            enter(cpu, skb, address, END_SERVER, device_station(role, POINT_QUEUE));
        return;
    }
    slot = find_or_adopt(cpu, address);
    if (slot)
        arrive(cpu, slot, device_station(role, POINT_QUEUE));
}

static __always_inline void on_start_xmit(struct cpu_area *cpu, struct sk_buff *skb, struct net_device *dev,
                                          u64 address) {
    struct slot *slot = find_or_adopt(cpu, address);
    u32 role;

    if (!slot)
        return;
    role = role_of(dev);
    if (through_napi)
        note_enqueued(cpu);
    if (xmit_by_tracepoint & 1U << role)
        arrive(cpu, slot, device_station(role, POINT_XMIT));
}

// A packet is at a kernel function, or a tracepoint, that takes it as its first argument.
static __always_inline void on_point(struct cpu_area *cpu, struct sk_buff *skb, u64 address, u32 point) {
    struct slot *slot;

    if (mutation == MUTATION_STATION_OFF && point == POINT_NETIF_RX)
        return;
    if (through_napi && point == POINT_XMIT)
        note_enqueued(cpu);
    slot = find_or_adopt(cpu, address);
    if (slot)
        arrive(cpu, slot, device_station(role_of(skb->dev), point));
}

// The same for a kprobe, which gets a plain number that may not be followed without a helper. From a device's queue a
// packet can go to that device's transmit only, so there no helper is needed.
static __always_inline void on_kprobe(struct cpu_area *cpu, struct sk_buff *skb, u32 point) {
    struct slot *slot;
    u32 role;

    if (through_napi && point == POINT_XMIT)
        note_enqueued(cpu);
    slot = find_or_adopt(cpu, (u64)skb);
    if (!slot)
        return;
    if (point == POINT_XMIT && slot->station % POINTS == POINT_QUEUE && slot->station < FIRST_END_STATION)
        role = slot->station / POINTS;
    else
        role = BPF_CORE_READ(skb, dev, ifindex) - LAB_IFINDEX;
    arrive(cpu, slot, device_station(role < ROLES ? role : ROLE_ELSEWHERE, point));
}

static __always_inline void on_gro(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    struct slot *slot;

    cpu->gro = 0;
    slot = find_or_adopt(cpu, address);
    if (!slot)
        return;
    arrive(cpu, slot, device_station(role_of(skb->dev), POINT_GRO));
    // What it is merged into can be on its way to the next station before GRO says so.
    cpu->gro = address;
    cpu->gro_way = slot->flow << 1 | (slot->sender == END_SERVER);
    orphan(cpu, slot, true);
}

static __always_inline void on_gro_done(struct cpu_area *cpu, bool is_merged) {
    struct flow *flow;
    struct slot *slot;

    if (!cpu->gro)
        return;
    slot = find(cpu->gro);
    cpu->gro = 0;
    if (!is_merged) {
        flow = flow_by_index(cpu->gro_way >> 1);
        if (flow)
            found(cpu, &flow->way[cpu->gro_way & 1]);
    } else if (slot) {
        slot->skb = 0;
        count(cpu, TALLY_MERGED);
    }
}

static __always_inline void on_receive(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    struct slot *slot = find_or_adopt(cpu, address);

    if (!slot)
        return;
    handle(cpu, is_same_cpu(cpu->events, slot->events));
    arrive(cpu, slot, device_station(role_of(skb->dev), POINT_RECEIVE));
}

// ---- NET_RX, some runs of which are timed

// Numerical Recipes' linear congruential generator; its upper bits are the random ones.
static __always_inline bool is_timed(struct cpu_area *cpu) {
    cpu->chance = cpu->chance * 1664525 + 1013904223;
    return !(cpu->chance >> 16 & (TIMED_RUNS - 1));
}

static __always_inline void on_net_rx_raise(struct cpu_area *cpu) {
    if (raise_net_rx(cpu) && is_timed(cpu))
        cpu->raised_when = bpf_ktime_get_ns();
}

static __always_inline void on_net_rx_entry(struct cpu_area *cpu) {
    enter_net_rx(cpu);
    cpu->entered_when = 0;
    if (cpu->raised_when) {
        cpu->entered_when = bpf_ktime_get_ns();
        cpu->waited = cpu->entered_when - cpu->raised_when;
    }
    cpu->raised_when = 0;
}

static __always_inline void on_net_rx_exit(struct cpu_area *cpu) {
    if (exit_net_rx(cpu) && cpu->entered_when) {
        measure(edge_at(cpu, EDGE_NET_RX_RUN), bpf_ktime_get_ns() - cpu->entered_when);
        measure(edge_at(cpu, EDGE_NET_RX_WAIT), cpu->waited);
    }
}

// ---- the socket

static __always_inline u32 other(u32 end) {
    return end == END_CLIENT ? END_SERVER : END_CLIENT;
}

// A message that has completed its way is in the socket of the end that receives it.
static __always_inline void deliver(struct cpu_area *cpu, struct flow *flow, u32 end, u32 moment) {
    struct flow_way *way = &flow->way[other(end)];
    u32 station = end_station(end, moment);
    struct origin from;
    u64 now;

    if (!way->rx_when) {
        if (is_measured(flow, way->seq))
            count(cpu, TALLY_READY_UNJOINED);
        return;
    }
    now = bpf_ktime_get_ns();
    from.when = way->rx_when;
    from.events = way->rx_events;
    from.station = way->rx_station;
    from.sender = other(end);
    end_hop(cpu, &from, station, now);
    mark(cpu, way->timeline, from.sender, station, now);
    way->rx_when = 0;
    flow->end[end].ready_when = now;
    flow->end[end].ready_events = cpu->events;
    flow->end[end].ready_seq = way->seq;
}

// Bytes have become readable: is the stream complete up to the last byte of the message?
static __always_inline void on_data_ready(struct cpu_area *cpu, const struct sock *sk, const struct socket_name *name) {
    u32 end = end_of(name);
    struct flow *flow = flow_of(name, end);

    if (!flow)
        return;
    // With sampling hardly any message is one that is waited for.
    if (!flow->way[other(end)].rx_when && cpu->sample_limit != ~0U)
        return;
    if (received_up_to(sk) == flow->way[other(end)].complete)
        deliver(cpu, flow, end, MOMENT_DATA_READY);
}

// The last rung of data_ready sees the packet a little earlier, when TCP begins with it; its station has a name of its
// own.
static __always_inline void on_tcp_rcv(struct cpu_area *cpu, struct sock *sk, struct sk_buff *skb) {
    struct socket_name name = name_of(sk);
    u32 end = end_of(&name);
    struct flow *flow = flow_of(&name, end);
    struct payload payload;

    if (!flow || !read_payload(skb, &payload) || !payload.bytes)
        return;
    if (payload.seq + payload.bytes == flow->way[other(end)].complete)
        deliver(cpu, flow, end, MOMENT_TCP_RCV);
}

// ---- the path ends early

static __always_inline void on_free(struct cpu_area *cpu, struct sk_buff *skb, u64 address, u32 reason) {
    struct slot *slot = find(address);

    if (!slot)
        return;
    if (mutation == MUTATION_ONE_PAIR)
        slot->skb = 1; // an address that no packet has
    else if (mutation != MUTATION_WRONG_JOIN && mutation != MUTATION_DEATH_UNSEEN)
        slot->skb = 0;
    if (reason == DROP_CONSUMED)
        orphan(cpu, slot, false);
    cpu->dropped[BOUNDED(reason, DROP_REASONS)]++;
}

#include "hooks.bpf.h"

// ---- transmit, by the driver's own function; which of them a program is attached to is the ladder's choice

#define XMIT_HOOKS(driver)                                                                                             \
    SEC("?fentry")                                                                                                     \
    int BPF_PROG(driver##_xmit_fentry, struct sk_buff *skb)                                                            \
    { return at_function(skb, POINT_XMIT); }                                                                           \
    SEC("?kprobe")                                                                                                     \
    int BPF_KPROBE(driver##_xmit_kprobe, struct sk_buff *skb)                                                          \
    { return at_kprobe(skb, POINT_XMIT); }

XMIT_HOOKS(veth)
XMIT_HOOKS(bridge)
XMIT_HOOKS(netkit)
XMIT_HOOKS(macvlan)
XMIT_HOOKS(ipvlan)
