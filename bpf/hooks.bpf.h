// SPDX-License-Identifier: GPL-2.0-only
//
// The hooks by which both programs see packets, each once. What is to be done there is said by the functions on_...()
// of the program that includes this. User space loads the rung of each ladder that this kernel allows, and no others.
#ifndef VETHTRACE_HOOKS_BPF_H
#define VETHTRACE_HOOKS_BPF_H

#include "packet.bpf.h"
#include "softirq.bpf.h"
#include "track.bpf.h"

#include <bpf/bpf_tracing.h>

static __always_inline int at_function(struct sk_buff *skb, u32 point) {
    struct cpu_area *cpu = this_cpu();

    if (!cpu)
        return 0;
    if (point == POINT_NETIF_RX)
        note_enqueued(cpu);
    on_point(cpu, skb, address_of(cpu, skb), point);
    return 0;
}

static __always_inline int at_kprobe(struct sk_buff *skb, u32 point) {
    struct cpu_area *cpu = this_cpu();

    if (!cpu)
        return 0;
    if (point == POINT_NETIF_RX)
        note_enqueued(cpu);
    on_kprobe(cpu, skb, point);
    return 0;
}

// ---- queue: a packet is handed to its device's qdisc

SEC("?tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_queue(cpu, skb, address_of(cpu, skb));
    return 0;
}

// ---- xmit: the driver's transmit function begins

SEC("?tp_btf/net_dev_start_xmit")
int BPF_PROG(net_dev_start_xmit, struct sk_buff *skb, struct net_device *dev)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_start_xmit(cpu, skb, dev, address_of(cpu, skb));
    return 0;
}

// ---- netif_rx: the packet is put into a CPU's backlog

SEC("?tp_btf/netif_rx")
int BPF_PROG(netif_rx, struct sk_buff *skb)
{ return at_function(skb, POINT_NETIF_RX); }

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

    if (cpu)
        on_gro(cpu, skb, address_of(cpu, skb));
    return 0;
}

SEC("?tp_btf/napi_gro_receive_exit")
int BPF_PROG(napi_gro_receive_exit, int result)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_gro_done(cpu, (u32)result == bpf_core_enum_value(enum gro_result, GRO_MERGED) ||
                             (u32)result == bpf_core_enum_value(enum gro_result, GRO_MERGED_FREE));
    return 0;
}

// ---- receive: the packet enters its device's receive path

SEC("?tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_receive(cpu, skb, address_of(cpu, skb));
    return 0;
}

// ---- NET_RX

SEC("?tp_btf/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int vector)
{
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (cpu)
        on_net_rx_raise(cpu);
    return 0;
}

SEC("?tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (cpu)
        on_net_rx_entry(cpu);
    return 0;
}

SEC("?tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
    struct cpu_area *cpu;

    if (vector != NET_RX_SOFTIRQ)
        return 0;
    cpu = this_cpu();
    if (cpu)
        on_net_rx_exit(cpu);
    return 0;
}

// ---- the socket: TCP begins with a packet, and the socket tells its owner that there is something to read

SEC("?tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_tcp_rcv(cpu, sk, skb);
    return 0;
}

static __always_inline int data_ready(const struct sock *sk, const struct socket_name *name) {
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_data_ready(cpu, sk, name);
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

// ---- the path ends early

// Written out, because the reason is an argument only since 5.17, and older kernels refuse to have it read.
SEC("?tp_btf/kfree_skb")
int kfree_skb(u64 *ctx) {
    struct sk_buff *skb = (struct sk_buff *)ctx[0];
    struct cpu_area *cpu = this_cpu();
    u32 reason = DROP_UNNAMED;

    if (!cpu)
        return 0;
    if (bpf_core_type_exists(enum skb_drop_reason))
        reason = ctx[2];
    if (reason >= DROP_UNNAMED)
        reason = DROP_UNNAMED;
    on_free(cpu, skb, address_of(cpu, skb), reason);
    return 0;
}

SEC("?tp_btf/consume_skb")
int BPF_PROG(consume_skb, struct sk_buff *skb)
{
    struct cpu_area *cpu = this_cpu();

    if (cpu)
        on_free(cpu, skb, address_of(cpu, skb), DROP_CONSUMED);
    return 0;
}

#endif
