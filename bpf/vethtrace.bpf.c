// SPDX-License-Identifier: GPL-2.0-only
//
// The way of a packet, read from send to receive: each station is a handler, and the SEC()s beside it are the rungs of
// its ladder. User space loads the rung that this kernel allows, sets the constants below and turns all others off.
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "cpu.bpf.h"
#include "flow.bpf.h"
#include "in_flight.bpf.h"
#include "layout.h"
#include "watch.bpf.h"

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

    end_stretch(cpu, &from, station, now);
    if (mutation == MUTATION_DOUBLE_COUNT && (now & 127) == 0)
        end_stretch(cpu, &from, station, now);
    mark(cpu, slot->timeline, from.sender, station, now);

    if (station == slot->last) {
        complete(cpu, slot, station, now);
    } else {
        slot->when = now;
        slot->events = cpu->events;
        slot->station = station;
    }
}

// This CPU is about to put a packet where its next NET_RX run will find it.
static __always_inline void note_enqueued(struct cpu_area *cpu, u32 point) {
    if (point == POINT_NETIF_RX || (through_napi && point == POINT_XMIT))
        cpu->net_rx.enqueued = 1;
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

    if (!watching && !slot && cpu->orphans && address)
        return adopt(cpu, address);
    return slot;
}

// A followed packet of a target is where only packets get to that are still under way.
static __always_inline void pass(struct cpu_area *cpu, struct slot *slot, u64 place, u32 point) {
    if (!(slot->timeline & SLOT_DELIVERED))
        reach(cpu, slot, place, point);
}

// A followed packet is at a kernel function that takes it as its first argument.
static __always_inline int at_function(struct sk_buff *skb, u32 point) {
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;
    u64 address;

    if (!cpu)
        return 0;
    note_enqueued(cpu, point);
    address = address_of(cpu, skb);
    slot = find_or_adopt(cpu, address);
    if (!slot)
        return 0;
    if (watching)
        pass(cpu, slot, place_of_device(skb->dev), point);
    else
        arrive(cpu, slot, device_station(role_of(skb->dev), point));
    return 0;
}

// The same for a kprobe, which gets a plain number that may not be followed without a helper. From a device's queue a
// packet can go to that device's transmit only, so there no helper is needed.
static __always_inline int at_kprobe(struct sk_buff *skb, u32 point) {
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;
    u32 role;

    if (!cpu)
        return 0;
    note_enqueued(cpu, point);
    slot = find_or_adopt(cpu, (u64)skb);
    if (!slot)
        return 0;
    if (watching) {
        pass(cpu, slot, read_place_of_device(BPF_CORE_READ(skb, dev)), point);
        return 0;
    }
    if (point == POINT_XMIT && slot->station % POINTS == POINT_QUEUE && slot->station < FIRST_END_STATION)
        role = slot->station / POINTS;
    else
        role = BPF_CORE_READ(skb, dev, ifindex) - LAB_IFINDEX;
    arrive(cpu, slot, device_station(role < ROLES ? role : ROLE_ELSEWHERE, point));
    return 0;
}

// ---- queue: a packet is handed to its device's qdisc

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

        end_stretch(cpu, &sent, station, now);
        if (mutation == MUTATION_SEND_REUSED && (message & 127) == 0)
            end_stretch(cpu, &sent, station, now);
    }
    if (way->sent != way->complete) {
        count(cpu, TALLY_SEGMENTS);
        return;
    }
    if (!first) {
        struct origin begun = {.when = way->begun_when, .events = way->begun_events, .station = station, .sender = end};

        end_stretch(cpu, &begun, station, now);
    }

    way->last_bytes = payload.bytes;
    slot = follow(cpu, address, flow, end, now, cpu->events, station);
    if (!slot)
        return;
    count(cpu, TALLY_ENTERED);
    mark(cpu, slot->timeline, end, station, now);
}

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

// A packet of whoever is handed to a device's qdisc. One that was received nowhere was made here and now, unless it has
// just been through another device, as on its way from a macvlan to its parent. Whether it has a socket tells nothing:
// a bridge passes on the packets of a container with the socket that they come from.
static __always_inline void queue_watched(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    const struct watched_device *device;
    struct slot *slot = find(address);
    bool received = skb->skb_iif;
    struct beginning at;

    if (!address)
        return;
    if (slot) {
        bool routed = received && slot->station / POINTS == ROLE_UPLINK;
        bool passed = received || slot->station % POINTS == POINT_XMIT;

        if (slot->timeline & SLOT_DELIVERED ? routed : passed) {
            reach(cpu, slot, place_of_device(skb->dev), POINT_QUEUE | queue_length(skb) << QUEUE_SHIFT);
            return;
        }
        forget_watched(cpu, address);
    }
    if (!is_watched(cpu))
        return;
    at.place = place_of_device(skb->dev);
    device = device_at(at.place);
    if (!device || !device->target || (device->role == ROLE_HOST && received))
        return;
    at.skb = address;
    at.header = (u64)skb->head + skb->network_header;
    at.target = device->target;
    at.flow = device->role == ROLE_HOST ? WATCH_IN : WATCH_OUT;
    at.station = device_station(device->role, POINT_QUEUE);
    at.bytes = skb->len;
    at.queue = queue_length(skb);
    at.marks = 0;
    begin(cpu, &at);
}

SEC("?tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();
    struct net_device *dev = skb->dev;
    u32 role = role_of(dev);
    struct slot *slot;
    u64 address;

    if (!cpu)
        return 0;
    address = address_of(cpu, skb);
    if (watching) {
        queue_watched(cpu, skb, address);
        return 0;
    }
    if (role == entry_role[END_CLIENT]) {
        if (dev->nd_net.net->ns.inum == entry_netns[END_CLIENT])
            enter(cpu, skb, address, END_CLIENT, device_station(role, POINT_QUEUE));
        return 0;
    }
    if (role == entry_role[END_SERVER]) {
        if (dev->nd_net.net->ns.inum == entry_netns[END_SERVER])
            enter(cpu, skb, address, END_SERVER, device_station(role, POINT_QUEUE));
        return 0;
    }
    slot = find_or_adopt(cpu, address);
    if (slot)
        arrive(cpu, slot, device_station(role, POINT_QUEUE));
    return 0;
}

// ---- xmit: the driver's transmit function begins

SEC("?tp_btf/net_dev_start_xmit")
int BPF_PROG(net_dev_start_xmit, struct sk_buff *skb, struct net_device *dev)
{
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;
    u64 address;
    u32 role;

    if (!cpu)
        return 0;
    address = address_of(cpu, skb);
    slot = find_or_adopt(cpu, address);
    if (!slot)
        return 0;
    role = role_of(dev);
    note_enqueued(cpu, POINT_XMIT);
    if (watching)
        pass(cpu, slot, place_of_device(dev), POINT_XMIT);
    else if (xmit_by_tracepoint & 1U << role)
        arrive(cpu, slot, device_station(role, POINT_XMIT));
    return 0;
}

// The drivers' functions; which of them a program is attached to is the ladder's choice.
SEC("?fentry")
int BPF_PROG(veth_xmit_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_XMIT); }

SEC("?kprobe")
int BPF_KPROBE(veth_xmit_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_XMIT); }

SEC("?fentry")
int BPF_PROG(bridge_xmit_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_XMIT); }

SEC("?kprobe")
int BPF_KPROBE(bridge_xmit_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_XMIT); }

SEC("?fentry")
int BPF_PROG(netkit_xmit_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_XMIT); }

SEC("?kprobe")
int BPF_KPROBE(netkit_xmit_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_XMIT); }

SEC("?fentry")
int BPF_PROG(macvlan_xmit_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_XMIT); }

SEC("?kprobe")
int BPF_KPROBE(macvlan_xmit_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_XMIT); }

SEC("?fentry")
int BPF_PROG(ipvlan_xmit_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_XMIT); }

SEC("?kprobe")
int BPF_KPROBE(ipvlan_xmit_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_XMIT); }

// ---- netif_rx: the packet is put into a CPU's backlog

SEC("?tp_btf/netif_rx")
int BPF_PROG(netif_rx, struct sk_buff *skb)
{ return mutation == MUTATION_STATION_OFF ? 0 : at_function(skb, POINT_NETIF_RX); }

SEC("?fentry")
int BPF_PROG(netif_rx_fentry, struct sk_buff *skb)
{ return at_function(skb, POINT_NETIF_RX); }

SEC("?kprobe")
int BPF_KPROBE(netif_rx_kprobe, struct sk_buff *skb)
{ return at_kprobe(skb, POINT_NETIF_RX); }

// ---- gro: a device's NAPI poll took the packet up and hands it to GRO, which holds it, merges it or lets it pass

SEC("?tp_btf/napi_gro_receive_entry")
int BPF_PROG(napi_gro_receive_entry, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;
    u64 address;

    if (!cpu)
        return 0;
    cpu->gro = 0;
    address = address_of(cpu, skb);
    slot = find_or_adopt(cpu, address);
    if (!slot)
        return 0;
    if (watching) {
        if (slot->station % POINTS == POINT_XMIT) {
            pass(cpu, slot, place_of_device(skb->dev), POINT_GRO);
            cpu->gro = address;
        } else {
            forget_watched(cpu, address); // a driver's new packet at an old address
        }
        return 0;
    }
    arrive(cpu, slot, device_station(role_of(skb->dev), POINT_GRO));
    // What it is merged into can be on its way to the next station before GRO says so.
    cpu->gro = address;
    cpu->gro_way = slot->flow << 1 | (slot->sender == END_SERVER);
    orphan(cpu, slot, true);
    return 0;
}

SEC("?tp_btf/napi_gro_receive_exit")
int BPF_PROG(napi_gro_receive_exit, int result)
{
    struct cpu_area *cpu = this_cpu();
    struct flow *flow;
    struct slot *slot;

    if (!cpu || !cpu->gro)
        return 0;
    slot = find(cpu->gro);
    cpu->gro = 0;
    if ((u32)result != bpf_core_enum_value(enum gro_result, GRO_MERGED) &&
        (u32)result != bpf_core_enum_value(enum gro_result, GRO_MERGED_FREE)) {
        flow = watching ? NULL : flow_by_index(cpu->gro_way >> 1);
        if (flow)
            found(cpu, &flow->way[cpu->gro_way & 1]);
    } else if (slot) {
        slot->skb = 0;
        count(cpu, TALLY_MERGED);
    }
    return 0;
}

// ---- NET_RX: the softirq that empties the backlog

// Numerical Recipes' linear congruential generator; its upper bits are the random ones.
static __always_inline bool is_timed(struct cpu_area *cpu) {
    cpu->chance = cpu->chance * 1664525 + 1013904223;
    return !(cpu->chance >> 16 & (TIMED_RUNS - 1));
}

SEC("?tp_btf/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int vector)
{
    struct softirq_state *run;
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (!cpu)
        return 0;
    run = &cpu->net_rx;
    run->raises++;
    if (!run->pending) {
        run->pending = 1;
        run->raised_inline = run->enqueued;
        run->raiser = bpf_get_current_task();
        if (is_timed(cpu))
            run->raised_when = bpf_ktime_get_ns();
    }
    run->enqueued = 0;
    return 0;
}

static __always_inline bool in_ksoftirqd(void) {
    char comm[16];

    bpf_get_current_comm(comm, sizeof(comm));
    return comm[0] == 'k' && comm[1] == 's' && comm[2] == 'o' && comm[3] == 'f' && comm[4] == 't' && comm[5] == 'i' &&
           comm[6] == 'r' && comm[7] == 'q' && comm[8] == 'd' && comm[9] == '/';
}

// The run that is under way has a followed packet, so it is one that counts.
static __always_inline void handle(struct cpu_area *cpu, const struct slot *slot) {
    struct softirq_state *run = &cpu->net_rx;

    run->handled = 1;
    if (run->context == TALLY_NET_RX_OTHER && in_ksoftirqd())
        run->context = TALLY_NET_RX_KSOFTIRQD;
    else if (!is_same_cpu(cpu->events, slot->events))
        run->context = TALLY_NET_RX_OTHER_CPU;
}

SEC("?tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
    struct softirq_state *run;
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (!cpu)
        return 0;
    run = &cpu->net_rx;
    run->handled = 0;
    run->context =
        run->raised_inline && run->raiser == bpf_get_current_task() ? TALLY_NET_RX_INLINE : TALLY_NET_RX_OTHER;
    run->raised = run->raises;
    run->entered_when = 0;
    if (run->raised_when) {
        run->entered_when = bpf_ktime_get_ns();
        run->waited = run->entered_when - run->raised_when;
    }
    run->raised_when = 0;
    run->raises = 0;
    run->pending = 0;
    return 0;
}

SEC("?tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
    struct softirq_state *run;
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (!cpu)
        return 0;
    run = &cpu->net_rx;
    if (run->handled) {
        u32 context = run->context;

        if (run->entered_when) {
            measure(edge_at(cpu, EDGE_NET_RX_RUN), bpf_ktime_get_ns() - run->entered_when);
            measure(edge_at(cpu, EDGE_NET_RX_WAIT), run->waited);
        }
        cpu->tallies[TALLY_NET_RX_RAISED] += run->raised;
        count(cpu, TALLY_NET_RX_RUNS);
        if (context < TALLIES)
            count(cpu, context);
    }
    // What this run put into the backlog tells nothing of a later raise, and what it raised is run as it was run
    // itself.
    run->enqueued = 0;
    run->raised_inline = run->context == TALLY_NET_RX_INLINE;
    run->context = 0;
    return 0;
}

// ---- receive: the packet enters its device's receive path

// A packet of whoever is received. At a device of the host that is no target's it may have come from another machine,
// or from a container that is not watched; whose it is will show.
static __always_inline void receive_watched(struct cpu_area *cpu, struct sk_buff *skb, u64 address) {
    const struct watched_device *device;
    struct slot *slot = find(address);
    struct beginning at;

    cpu->arrived_skb = 0;
    if (!address || (!slot && !is_watched(cpu)))
        return;
    at.place = place_of_device(skb->dev);
    device = device_at(at.place);
    if (slot) {
        bool is_up_a_bridge = device && device->role == ROLE_BRIDGE;

        if (!(slot->timeline & SLOT_DELIVERED) && (slot->flow || is_up_a_bridge)) {
            if (!cpu->net_rx.handled)
                handle(cpu, slot);
            reach(cpu, slot, at.place, POINT_RECEIVE);
            return;
        }
        forget_watched(cpu, address);
        if (!is_watched(cpu))
            return;
    }
    if (!device || (device->role != ROLE_UPLINK && device->role != ROLE_ELSEWHERE))
        return;
    at.skb = address;
    at.header = (u64)skb->data;
    at.target = device->target;
    at.flow = WATCH_IN;
    at.station = device_station(device->role, POINT_RECEIVE);
    at.bytes = skb->len;
    at.queue = 0;
    at.marks = device->target ? SLOT_DELIVERED : 0;
    begin(cpu, &at);
    cpu->arrived_skb = address;
}

SEC("?tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;
    u64 address;

    if (!cpu)
        return 0;
    address = address_of(cpu, skb);
    if (watching) {
        receive_watched(cpu, skb, address);
        return 0;
    }
    slot = find_or_adopt(cpu, address);
    if (!slot)
        return 0;
    if (!cpu->net_rx.handled)
        handle(cpu, slot);
    arrive(cpu, slot, device_station(role_of(skb->dev), POINT_RECEIVE));
    return 0;
}

// ---- data_ready: the socket tells its owner that there is something to read

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
    end_stretch(cpu, &from, station, now);
    mark(cpu, way->timeline, from.sender, station, now);
    way->rx_when = 0;
    flow->end[end].ready_when = now;
    flow->end[end].ready_events = cpu->events;
    flow->end[end].ready_seq = way->seq;
}

// A socket of whoever has something to read: the packet that TCP has just begun with, or for UDP the one that was just
// received.
static __always_inline void watched_data_ready(struct cpu_area *cpu, const struct sock *sk, u16 port) {
    u64 socket = address_of(cpu, sk);
    struct slot *slot;
    u32 queue;

    if (cpu->joined_socket == socket) {
        slot = find(cpu->joined_skb);
    } else {
        slot = find(cpu->arrived_skb);
        if (slot &&
            !claim_for_socket(cpu, slot, ports_of(port, 0), BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum)))
            return;
    }
    cpu->joined_socket = 0;
    cpu->arrived_skb = 0;
    if (!slot)
        return;
    queue = BPF_CORE_READ(sk, sk_backlog.len);
    deliver_watched(cpu, slot, socket, MOMENT_DATA_READY | queue << QUEUE_SHIFT);
}

// Called when bytes have become readable: is the stream complete up to the last byte of the message?
static __always_inline int data_ready(const struct sock *sk, const struct socket_name *name) {
    struct cpu_area *cpu = this_cpu();
    u32 end = end_of(name);
    struct flow *flow;

    if (!cpu)
        return 0;
    if (watching) {
        watched_data_ready(cpu, sk, name->port);
        return 0;
    }
    flow = flow_of(name, end);
    if (!flow)
        return 0;
    // With sampling hardly any message is one that is waited for.
    if (!flow->way[other(end)].rx_when && cpu->sample_limit != ~0U)
        return 0;
    if (received_up_to(sk) == flow->way[other(end)].complete)
        deliver(cpu, flow, end, MOMENT_DATA_READY);
    return 0;
}

SEC("?tp_btf/sk_data_ready")
int BPF_PROG(sk_data_ready, const struct sock *sk)
{
    struct socket_name name = name_of(sk);

    return data_ready(sk, &name);
}

SEC("?fentry")
int BPF_PROG(sock_def_readable_fentry, const struct sock *sk)
{
    struct socket_name name = name_of(sk);

    return data_ready(sk, &name);
}

SEC("?kprobe")
int BPF_KPROBE(sock_def_readable_kprobe, const struct sock *sk)
{
    struct socket_name name = read_name_of(sk);

    return data_ready(sk, &name);
}

// TCP begins with a packet for this socket. Where data_ready is hooked, it follows, unless nothing has become readable.
static __always_inline void watched_tcp_rcv(struct cpu_area *cpu, struct sock *sk, struct sk_buff *skb,
                                            const struct socket_name *name) {
    u64 address = address_of(cpu, skb), socket;
    struct slot *slot = find(address);
    struct payload payload;

    if (!slot ||
        !claim_for_socket(cpu, slot, ports_of(name->port, name->peer_port), sk->__sk_common.skc_net.net->ns.inum))
        return;
    socket = address_of(cpu, sk);
    if (sees_data_ready) {
        cpu->joined_socket = socket;
        cpu->joined_skb = address;
    } else if (read_payload(skb, &payload) && payload.bytes) {
        deliver_watched(cpu, slot, socket, MOMENT_TCP_RCV);
    }
}

// The last rung sees the packet a little earlier, when TCP begins with it; its station has a name of its own.
SEC("?tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();
    struct socket_name name = name_of(sk);
    u32 end = end_of(&name);
    struct payload payload;
    struct flow *flow;

    if (!cpu)
        return 0;
    if (watching) {
        watched_tcp_rcv(cpu, sk, skb, &name);
        return 0;
    }
    flow = flow_of(&name, end);
    if (!flow || !read_payload(skb, &payload) || !payload.bytes)
        return 0;
    if (payload.seq + payload.bytes == flow->way[other(end)].complete)
        deliver(cpu, flow, end, MOMENT_TCP_RCV);
    return 0;
}

// ---- app_recv: the application has read; only for traffic that is not the load's, which tells by itself

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

// ---- the way ends early

// Is that one packet for the network card that is several on the wire?
static __always_inline bool is_gso(struct sk_buff *skb) {
    const struct skb_shared_info *info = (const void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));

    return BPF_CORE_READ(info, gso_size);
}

static __always_inline void drop(struct sk_buff *skb, u32 reason) {
    struct cpu_area *cpu = this_cpu();
    struct slot *slot;

    if (!cpu)
        return;
    slot = find(address_of(cpu, skb));
    if (!slot)
        return;
    if (watching) {
        if (reason >= DROP_UNNAMED && reason != DROP_CONSUMED)
            reason = DROP_UNNAMED;
        end_early(cpu, slot, reason, reason == DROP_CONSUMED && is_gso(skb));
        return;
    }
    if (mutation == MUTATION_ONE_PAIR)
        slot->skb = 1; // an address that no packet has
    else if (mutation != MUTATION_WRONG_JOIN && mutation != MUTATION_DEATH_UNSEEN)
        slot->skb = 0;
    if (reason == DROP_CONSUMED)
        orphan(cpu, slot, false);
    if (reason >= DROP_UNNAMED && reason != DROP_CONSUMED)
        reason = DROP_UNNAMED;
    cpu->dropped[BOUNDED(reason, DROP_REASONS)]++;
}

// Written out, because the reason is an argument only since 5.17, and older kernels refuse to have it read.
SEC("?tp_btf/kfree_skb")
int kfree_skb(u64 *ctx) {
    u32 reason = DROP_UNNAMED;

    if (bpf_core_type_exists(enum skb_drop_reason))
        reason = ctx[2];
    drop((struct sk_buff *)ctx[0], reason);
    return 0;
}

SEC("?tp_btf/consume_skb")
int BPF_PROG(consume_skb, struct sk_buff *skb)
{
    drop(skb, DROP_CONSUMED);
    return 0;
}
