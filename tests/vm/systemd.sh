#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run in a guest whose first process is systemd: the exporter's unit, as an administrator has it, on a node with two
# containers of docker on a bridge.
unit=vethtrace-export
ip=./ip
listen=127.0.0.1:9954

# show FILE: what systemd says of the unit.
show() {
    systemctl show $unit \
        -p ActiveState,SubState,Result,MainPID,NRestarts,ExecMainCode,ExecMainStatus,DynamicUser,User >"$1.show"
}

# within SECONDS COMMAND...
within() {
    tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

# Not by wget's own time-out, which makes busybox 1.35 crash.
fetch() {
    timeout 5 wget -q -O "$2" "$1" 2>/dev/null
}

serves() {
    fetch "http://$1/healthz" /dev/null
}

listens() {
    netstat -ltn | grep -q "$1:9954"
}

main_pid() {
    systemctl show -P MainPID $unit
}

another_than() {
    pid=$(main_pid)
    [ "$pid" != 0 ] && [ "$pid" != "$1" ]
}

$ip link add br0 type bridge
$ip addr add 10.99.0.254/24 dev br0
$ip link set br0 up
for i in 1 2; do
    $ip netns add "c$i"
    $ip link add "v$i" type veth peer name eth0 netns "c$i"
    $ip link set "v$i" master br0 up
    $ip -n "c$i" link set lo up
    $ip -n "c$i" addr add "10.99.0.$i/24" dev eth0
    $ip -n "c$i" link set eth0 up
    # What docker leaves, for root's eyes alone.
    id=$(printf '%064d' "$i")
    mkdir -p "/var/lib/docker/containers/$id" "/sys/fs/cgroup/docker-$id.scope"
    chmod 700 /var/lib/docker /var/lib/docker/containers "/var/lib/docker/containers/$id"
    (umask 077 && echo "{\"Name\": \"/web-$i\"}" >"/var/lib/docker/containers/$id/config.v2.json")
    sh -c "echo \$\$ >/sys/fs/cgroup/docker-$id.scope/cgroup.procs && exec $ip netns exec c$i vethtrace rr serve" \
        >/dev/null 2>&1 &
done

mkdir -p /etc/default
cp $unit.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now $unit 2>start.err
echo $? >start.status
within 20 serves $listen
show started
$ip netns exec c2 vethtrace rr run 10.99.0.1 -c 500 --json >rr.json 2>rr.err
sleep 6 # until the window has ended
pid=$(main_pid)
for task in /proc/"$pid"/task/*; do
    awk '/^(Name|Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap(Prm|Eff|Bnd|Amb)):/' "$task/status"
done >tasks
cat "/proc/$pid/mountinfo" >mountinfo
netstat -ltn | awk '/:9954/ { print $4 }' >listening
fetch http://$listen/healthz healthz
fetch http://$listen/metrics metrics
cat /sys/fs/cgroup/system.slice/$unit.service/memory.peak >memory.peak
grep oom_kill /sys/fs/cgroup/system.slice/$unit.service/memory.events >oom

kill -9 "$pid"
within 20 another_than "$pid"
within 20 serves $listen
echo $? >revived.status
show revived

systemctl stop $unit
echo $? >stop.status
show stopped
netstat -ltn | grep -c :9954 >stopped.listening

# As docs/deploy.md lets another machine in: without IPAddressAllow= nobody gets through.
scrape() {
    $ip netns exec c1 timeout 5 wget -q -O "$1" http://10.99.0.254:9954/healthz 2>/dev/null
    echo $? >"$1.status"
}
echo 'ARGS="--listen 10.99.0.254:9954"' >/etc/default/$unit
systemctl start $unit
within 20 listens 10.99.0.254
scrape denied
mkdir -p /etc/systemd/system/$unit.service.d
printf '[Service]\nIPAddressAllow=10.99.0.0/24\n' >/etc/systemd/system/$unit.service.d/scrape.conf
systemctl daemon-reload
systemctl restart $unit
within 20 listens 10.99.0.254
sleep 1
scrape allowed
systemctl stop $unit

# As docs/deploy.md has it for node_exporter's textfile collector.
directory=/var/lib/prometheus/node-exporter
echo 'prometheus:x:100:100::/:/bin/false' >/etc/passwd
echo 'prometheus:x:100:' >/etc/group
mkdir -p $directory
chown prometheus:prometheus $directory
echo "ARGS=\"--textfile $directory/vethtrace.prom\"" >/etc/default/$unit
printf '[Service]\nUser=prometheus\nReadWritePaths=%s\n' $directory >/etc/systemd/system/$unit.service.d/textfile.conf
systemctl daemon-reload
systemctl start $unit
within 20 test -s $directory/vethtrace.prom
cat $directory/vethtrace.prom >textfile
stat -c %U $directory/vethtrace.prom >textfile.owner
netstat -ltn | grep -c :9954 >textfile.listening
systemctl stop $unit

echo 'ARGS="--no-such-option"' >/etc/default/$unit
systemctl start $unit
sleep 12
show wrong
journalctl --no-pager -o cat -u $unit >journal
exit 0
