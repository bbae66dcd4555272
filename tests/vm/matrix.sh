#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest by tools/vm: every mode, topology and rung, one result file for each, for matrix_test.cpp and
# watch_test.cpp.
#
# As SCHED_BATCH, by chrt: under the default policy a woken task preempts the one that woke it or does not, depending on
# the history of both, and the untraced round trip alone then differs by up to 5 % from run to run on 6.1. A batch task
# never preempts.
trace() {
    name=$1
    shift
    chrt -b 0 vethtrace -c 1000 --json "$@" >"$name.json" 2>"$name.err"
    echo $? >"$name.status"
}

containers='veth veth-gro bridge nat netkit ipvlan ipvlan-l3 macvlan'

# Before any mode has loaded its module, and after.
vethtrace features --json >features.early.json
for mode in host $containers; do
    trace "$mode.wire.fentry" --mode "$mode"
    trace "$mode.wire.kprobe" --mode "$mode" --no-hook fentry
    trace "$mode.wire.tracepoint" --mode "$mode" --no-hook fentry --no-hook kprobe
done
for mode in $containers; do
    trace "$mode.local.fentry" --mode "$mode" --topology local
done
trace veth.wire.again --mode veth
trace veth.wire.budget --mode veth --max-overhead 17
trace veth-gro.wire.segments --mode veth-gro --request 16384
trace veth.wire.functions --mode veth --no-hook tracepoint:netif_rx --no-hook tracepoint:sk_data_ready
trace veth.wire.kprobes --mode veth --no-hook fentry --no-hook tracepoint:netif_rx --no-hook tracepoint:sk_data_ready
# The same ways as `watch` sees them, with a load that tells it nothing.
watch() {
    name=watch.$1
    shift
    chrt -b 0 vethtrace --json --peer-cmd 'exec vethtrace rr serve' \
        --cmd "exec vethtrace rr run \$VETHTRACE_PEER -c $count -q" "$@" >"$name.json" 2>"$name.err"
    echo $? >"$name.status"
}
count=500
watch host.wire --mode host
for mode in $containers; do
    watch "$mode.wire" --mode "$mode"
    watch "$mode.local" --mode "$mode" --topology local
done
watch veth.kprobe --mode veth --no-hook fentry
watch veth.tracepoint --mode veth --no-hook fentry --no-hook kprobe
# One packet in so many of the same traffic; so many packets that one in 64 has a mean.
case $(uname -r) in
6.12*)
    count=12800
    for one_in in 1 2 8 64; do
        watch "sampled.$one_in" --mode veth --sample "$one_in"
    done
    ;;
esac
vethtrace features --json >features.json
# What looking costs, in instructions: twice, as a measurement that does not repeat is none.
for turn in once again; do
    chrt -b 0 cost_bench --rounds 5 --count 500 --json >"cost.$turn.json" 2>"cost.$turn.err"
done
cost_bench --programs >programs.json
exit 0
