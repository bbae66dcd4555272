#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest by tools/vm: modes against one another; compare_test.cpp reads the results. As SCHED_BATCH for the
# reason that matrix.sh tells.
rounds=5
compare() {
    name=$1
    shift
    chrt -b 0 vethtrace compare --rounds $rounds -c 400 --warmup 50 --json "$@" >"$name.json" 2>"$name.err"
    echo $? >"$name.status"
}

compare ways.once host veth macvlan ipvlan --seed 1
compare ways.again host veth macvlan ipvlan --seed 2
compare lecture host veth bridge nat macvlan ipvlan --seed 1
compare ladder.local veth bridge macvlan ipvlan --topology local --seed 1

# The same mode twice, and the second one has a hook in the host's way that costs some 300 ns in a transaction, although
# there is no rule in it.
cat >/run/rules <<'END'
add table ip priced
add chain ip priced forward { type filter hook forward priority 0; }
END
rounds=10 # and it is enough after the first look, at half of them
compare same veth veth --precision 3 --seed 1
rounds=5
compare rules veth veth --threshold 0.2 --setup 'veth#2=nft -f /run/rules' --seed 1
exit 0
