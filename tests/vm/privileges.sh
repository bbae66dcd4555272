#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest by tools/vm: vethtrace by a user who is not root, with the capabilities of docs/privileges.md and no
# others. busybox has a setpriv of its own, which can less.
all=bpf,perfmon,sys_admin,net_admin,dac_override

# as_user CAPABILITIES COMMAND... : what the file system's owner could do is not at hand either.
as_user() {
    caps=+$(echo "$1" | sed 's/,/,+/g')
    shift
    ./setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps "-all,$caps" --ambient-caps "-all,$caps" \
        --bounding-set "-all,$caps" --no-new-privs "$@"
}

trace() {
    name=$1
    caps=$2
    shift 2
    as_user "$caps" chrt -b 0 vethtrace -c 500 --json "$@" >"$name.json" 2>"$name.err"
    echo $? >"$name.status"
}

# Where the lab's names are, only root may write.
mkdir -p /run/netns /run/vethtrace
chmod 755 /run /run/netns /run/vethtrace
ulimit -l 64
trace user.locked $all
ulimit -l unlimited
trace user.fentry $all
trace user.kprobe $all --no-hook fentry
trace user.tracepoint $all --no-hook fentry --no-hook kprobe
for missing in $(echo $all | tr , ' '); do
    trace "user.without.$missing" "$(echo $all | sed "s/$missing,//; s/,$missing//")"
done
# The directories are the user's own, but what lies there is root's.
chown 1000:1000 /run/netns /run/vethtrace
(umask 077 && : >/run/vethtrace/vethtrace-1.lock)
trace user.owner "$(echo $all | sed 's/,dac_override//')"
rm /run/vethtrace/vethtrace-1.lock
as_user $all chrt -b 0 vethtrace compare host veth --rounds 3 -c 200 --warmup 20 --json >user.compare.json \
    2>user.compare.err
echo $? >user.compare.status
as_user bpf,perfmon vethtrace features --json >user.features.json 2>user.features.err

# What the process and its threads may do while they measure: name, permitted, effective.
as_user $all vethtrace -d 0.5 --no-hook fentry --no-hook kprobe --json >user.running.json 2>user.running.err &
running=$!
while kill -0 $running && ! grep -qs rr-client /proc/"$(pidof vethtrace)"/task/*/comm; do
    sleep 0.02
done
for look in 1 2 3 4 5 6 7 8; do
    sleep 0.05
    for task in /proc/"$(pidof vethtrace)"/task/*; do
        echo "$(cat "$task/comm") $(awk '/^CapPrm|^CapEff/ { print $2 }' "$task/status" | tr '\n' ' ')"
    done
done >user.capabilities
wait $running
echo $? >user.running.status
ls -A /run/netns /run/vethtrace >user.left
exit 0
