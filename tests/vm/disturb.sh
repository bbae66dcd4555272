#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest by tools/vm: a known disturbance is put into the lab of a run, and disturb_test.cpp looks for it in the
# result. `disturb.sh one` wants one CPU, `disturb.sh two` two. iproute2's ip lies in /work, busybox's own shadows it.

# In a part of the running lab: lab PART COMMAND...
lab() {
    part=$1
    shift
    /work/ip netns exec "vethtrace-$pid-$part" "$@"
}

# run NAME INJECTION OPTIONS... : under the scheduler's $policy; as SCHED_BATCH for the reason that matrix.sh tells. The
# process is stopped when its lab stands and before it connects, which takes it half a second more; so the load knows
# nothing but the disturbed lab.
run() {
    name=$1
    injection=$2
    shift 2
    $policy vethtrace --json "$@" >"$name.json" 2>"$name.err" &
    pid=$!
    # Forwarding on the uplink is the last step of the building.
    while kill -0 $pid && [ "$(lab host cat /proc/sys/net/ipv4/conf/uplink/forwarding 2>/dev/null)" != 1 ]; do
        sleep 0.01
    done
    kill -STOP $pid
    lab peer cat /proc/net/tcp >"$name.sockets" # of the load: none yet, if the injection comes in time
    $injection >"$name.injection" 2>&1 || echo "failed: $injection" >>"$name.injection"
    kill -CONT $pid
    wait $pid
    echo $? >"$name.status"
}

# witness EVENTS RUN... : the same, recorded by the kernel's own tracer as well. The calls of bpf() and close() tell
# where each traced slice begins and ends, because there the programs are attached and detached.
witness() {
    events="syscalls:sys_enter_bpf syscalls:sys_enter_close $1"
    shift
    trace-cmd start -b 16384 -C mono $(printf ' -e %s' $events) >witness.log 2>&1
    run "$@"
    trace-cmd stop >>witness.log 2>&1
    trace-cmd extract -o "$name.dat" >>witness.log 2>&1
    trace-cmd reset >>witness.log 2>&1
}

netem() {
    lab "$1" /work/tc qdisc add dev "$2" root netem delay 200us
}

rules() {
    {
        echo 'add table ip disturb'
        echo 'add chain ip disturb forward { type filter hook forward priority 0; }'
        for i in $(seq 1000); do
            echo "add rule ip disturb forward ip saddr 203.0.113.$((i % 250)) drop"
        done
    } >/run/rules
    lab host nft -f /run/rules
}

# One in a hundred packets with data that come from that device of the host.
drops() {
    lab host nft "add table ip disturb; add counter ip disturb lost;
        add chain ip disturb forward { type filter hook forward priority 0; };
        add rule ip disturb forward iifname $1 tcp flags & psh == psh numgen inc mod 100 0 counter name lost drop" ||
        return
    # Keeps the namespace, and so the counter, when the lab is gone.
    /work/ip netns exec "vethtrace-$pid-host" sleep 3600 </dev/null >/dev/null 2>&1 &
    holder=$!
}

spin() {
    $policy sh -c 'while :; do :; done' &
    disturber=$!
}

# From the container to a port of the peer where nobody listens.
flood() {
    $policy /work/ip netns exec "vethtrace-$pid-container" flood 198.18.2.2 9 65536 10000000 &
    disturber=$!
}

# Round by an ifb, as shapers do it: what goes on is a clone, and the skb that came ends here.
detour() {
    lab host /work/ip link add name detour type ifb && lab host /work/ip link set detour up &&
        lab host /work/tc qdisc add dev uplink clsact &&
        lab host /work/tc filter add dev uplink egress matchall action mirred egress redirect dev detour
}

# What the devices of the lab receive goes to the backlog of CPU 0.
steer() {
    for place in host/host host/uplink peer/peer container/container; do
        echo 1 | lab ${place%/*} tee /sys/class/net/${place#*/}/queues/rx-0/rps_cpus >/dev/null || return
    done
}

steered_flood() {
    steer && policy='chrt -i 0 taskset 2' flood
}

# What may happen to a node while it is watched: a CPU goes and comes back, the clock is set, a container and an
# interface vanish. Between two containers, CLIENT and SERVER, there is traffic all the time.
rough() {
    for name in client server passing; do
        /work/ip netns add $name
        /work/ip link add $name type veth peer name eth0 netns $name
        /work/ip link set $name up
        /work/ip -n $name link set eth0 up
    done
    /work/ip link add bridge type bridge
    /work/ip link set bridge up
    for name in client server; do
        /work/ip link set $name master bridge
    done
    /work/ip -n client address add 203.0.113.1/24 dev eth0
    /work/ip -n server address add 203.0.113.2/24 dev eth0
    /work/ip netns exec server vethtrace rr serve >/dev/null 2>&1 &
    server=$!
    sleep 0.5
    /work/ip netns exec client vethtrace rr run 203.0.113.2 -d 600 >/dev/null 2>&1 &
    client=$!
    vethtrace watch --all --json -i 0.2 --max-overhead 100 >rough.json 2>rough.err &
    watch=$!
    while ! [ -s rough.json ]; do sleep 0.05; done
    for event in 'echo 0 >/sys/devices/system/cpu/cpu1/online' 'echo 1 >/sys/devices/system/cpu/cpu1/online' \
        "date -s @$(($(date +%s) + 3600))" "date -s @$(($(date +%s) - 3600))" \
        '/work/ip netns del passing' '/work/ip link add gone type dummy; /work/ip link del gone'; do
        sh -c "$event" >>rough.injection 2>&1 || echo "failed: $event" >>rough.injection
        wc -l <rough.json >>rough.events
        sleep 0.8
    done
    sleep 1
    kill -INT $watch
    wait $watch
    echo $? >rough.status
    kill $client $server
}

# One CPU.
one() {
    policy='chrt -b 0'
    run quiet true -c 2000
    run netem.uplink 'netem host uplink' -c 2000
    run netem.peer 'netem peer peer' -c 2000
    run netem.container 'netem container container' -c 2000
    run rules rules -c 2000
    run detour detour -c 2000

    stations='net:net_dev_queue net:net_dev_start_xmit net:netif_rx net:netif_receive_skb sock:sk_data_ready'
    witness "$stations" witness true -c 2000 --no-hook fentry --no-hook kprobe

    for from in host uplink; do
        witness skb:kfree_skb "drops.$from" "drops $from" -c 2000 --warmup 0
        nsenter --net=/proc/$holder/ns/net nft list counter ip disturb lost >"$name.counter"
        kill $holder
    done

    run few true -c 200 --warmup 4
    run flood flood -c 200 --warmup 4
    kill $disturber
    scheduler='sched:sched_wakeup sched:sched_switch sock:sk_data_ready'
    for policy in 'chrt -b 0' 'chrt -o 0'; do
        kind=$(echo "$policy" | tr -dc bo)
        witness "$scheduler" "alone.$kind" true -c 200 --warmup 4
        witness "$scheduler" "spin.$kind" spin -c 200 --warmup 4
        kill $disturber
    done
}

# Two CPUs. The load is on CPU 1, and so is the flood, which runs while the load waits.
two() {
    policy='chrt -b 0'
    run together true -c 1000
    run steered steer -c 1000
    run steered.flood steered_flood -c 1000
    kill $disturber
    rough
}

"$@"
