#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest after matrix.sh, which has loaded the modules: what `vethtrace explain` says, and two witnesses that
# know nothing of it: the kernel's list of symbols, and its function tracer, which counts calls while a load runs.
tracing=/sys/kernel/tracing
[ -e "$tracing/trace" ] || mount -t tracefs tracefs "$tracing"
for mode in ${*:-host veth nat ipvlan ipvlan-l3 macvlan}; do
    name=explain.$mode
    vethtrace explain "$mode" --json >"$name.json" 2>"$name.err"
    echo $? >"$name.status"

    # Names without what the compiler put behind them; of the list of symbols, the lines with these.
    grep -oE '"(function|inlined_into)":"[^"]*"' "$name.json" | cut -d '"' -f 4 | cut -d . -f 1 | sort -u >"$name.names"
    awk 'NR == FNR { wanted[$1]; next } { split($3, part, ".") } part[1] in wanted { print $2, $3 }' \
        "$name.names" /proc/kallsyms >"$name.kallsyms"

    # What the tracer can see of them, and how often it did in a run of 50 transactions.
    awk 'NR == FNR { wanted[$2]; next } $1 in wanted { print $1 }' \
        "$name.kallsyms" "$tracing/available_filter_functions" >"$name.traceable"
    cat "$name.traceable" >"$tracing/set_ftrace_filter"
    echo function >"$tracing/current_tracer" # which empties the trace
    echo 1 >"$tracing/tracing_on"
    vethtrace explain "$mode" --live -c 50 --json >"$name.live.json" 2>"$name.live.err"
    echo $? >"$name.live.status"
    echo 0 >"$tracing/tracing_on"
    awk '/<-/ { calls[$(NF - 1)]++ } END { for (name in calls) print calls[name], name }' "$tracing/trace" \
        >"$name.calls"
    echo nop >"$tracing/current_tracer"
done
echo >"$tracing/set_ftrace_filter"
exit 0
