#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest: what `vethtrace explain` says of each mode, and two witnesses that know nothing of it: the kernel's list
# of symbols, and its function tracer, which counts calls while 100 requests are sent.
tracing=/sys/kernel/tracing
[ -e "$tracing/trace" ] || mount -t tracefs tracefs "$tracing"
echo 16384 >"$tracing/buffer_size_kb"
modes='veth veth-gro nat ipvlan ipvlan-l3'
for mode in $modes; do
    name=explain.$mode
    vethtrace lab up --mode "$mode" >"$name.lab" 2>&1 || continue # whose module the kernel then has
    vethtrace explain "$mode" --json >"$name.json" 2>"$name.err"
    echo $? >"$name.status"
    # Names without what the compiler put behind them.
    grep -oE '"(function|inlined_into)":"[^"]*"' "$name.json" | cut -d '"' -f 4 | cut -d . -f 1 | sort -u >"$name.names"
    vethtrace lab down
done

# Of the kernel's symbols, those with these names, and of them, what the tracer can see. Both lists are long, and so is
# the time that the kernel takes to look names up in them: once for all modes.
cat explain.*.names >names
awk 'NR == FNR { wanted[$1]; next } { split($3, part, ".") } part[1] in wanted { print $2, $3 }' names /proc/kallsyms \
    >kallsyms
awk 'NR == FNR { wanted[$2]; next } $1 in wanted { print $1 }' kallsyms "$tracing/available_filter_functions" >traceable
cat traceable >"$tracing/set_ftrace_filter"

for mode in $modes; do
    name=explain.$mode
    [ -e "$name.names" ] || continue
    awk 'NR == FNR { wanted[$1]; next } { split($2, part, ".") } part[1] in wanted' "$name.names" kallsyms \
        >"$name.kallsyms"
    awk 'NR == FNR { wanted[$2]; next } $1 in wanted' "$name.kallsyms" traceable >"$name.traceable"
    vethtrace lab up --mode "$mode" >"$name.lab" 2>&1
    vethtrace lab exec peer vethtrace rr serve >/dev/null 2>&1 &
    server=$!
    sleep 0.2
    echo function >"$tracing/current_tracer" # which empties the trace
    echo 1 >"$tracing/tracing_on"
    vethtrace lab exec container vethtrace rr run 198.18.2.2 -c 100 --warmup 0 -q >"$name.load" 2>&1
    echo 0 >"$tracing/tracing_on"
    # How often it saw each.
    awk '/<-/ { calls[$(NF - 1)]++ } END { for (name in calls) print calls[name], name }' "$tracing/trace" \
        >"$name.calls"
    echo nop >"$tracing/current_tracer"
    kill "$server"
    wait "$server"
    vethtrace lab down
done
echo >"$tracing/set_ftrace_filter"
echo 64 >"$tracing/buffer_size_kb"

# The packets that the host's netfilter sees.
for mode in ipvlan ipvlan-l3; do
    vethtrace explain "$mode" --live -c 50 --json >"explain.$mode.live.json" 2>"explain.$mode.live.err"
done
exit 0
