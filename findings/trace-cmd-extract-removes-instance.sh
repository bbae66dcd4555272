#!/bin/sh
# `trace-cmd extract -B NAME` removes the tracing instance NAME once it has read it, also when somebody else has made it
# and goes on using it.
#
# Seen with trace-cmd 3.1.6-1 of Debian 12 (libtracefs 1.6.4-1, libtraceevent 1.7.1-1). Its manual page says of -B that it
# extracts the trace of that buffer and affects no other; that the instance goes, with its buffer, its clock and its
# enabled events, stands nowhere. Where a program holds one of its files open it stays, with tracing and all its events
# switched off.
#
# What to do: read an instance that shall live on through its `trace` or `trace_pipe` file, or expect it to be gone.
#
# Needs root, tracefs and apt. Exits with 0 if it is still so, with 1 if not, with 77 if it cannot be tried.
set -eu
[ "$(id -u)" = 0 ] || { echo "not root" >&2; exit 77; }
tracefs=/sys/kernel/tracing
[ -d "$tracefs/instances" ] || mount -t tracefs nodev "$tracefs" 2>/dev/null || { echo "no tracefs" >&2; exit 77; }

folder=$(mktemp -d)
instance=finding-$$
cleanup() {
    [ ! -d "$tracefs/instances/$instance" ] || rmdir "$tracefs/instances/$instance"
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"
apt-get -qq download trace-cmd=3.1.6-1 libtracefs1=1.6.4-1 libtraceevent1=1:1.7.1-1 2>/dev/null ||
    { echo "these versions cannot be had here" >&2; exit 77; }
for package in *.deb; do
    dpkg -x "$package" root
done
LD_LIBRARY_PATH=$(dirname "$(find root -name 'libtracefs.so.1' | head -n 1)")
export LD_LIBRARY_PATH
PATH=$folder/root/usr/bin:$PATH
trace-cmd --help 2>&1 | sed -n 2p

mkdir "$tracefs/instances/$instance"
echo mono >"$tracefs/instances/$instance/trace_clock"
echo 1 >"$tracefs/instances/$instance/events/sched/sched_switch/enable"
sleep 0.2
status=0
trace-cmd extract -B "$instance" -o first.dat >/dev/null 2>&1 || { echo "the first extract failed" >&2; status=1; }
[ "$(trace-cmd report first.dat 2>/dev/null | grep -c sched_switch)" -gt 0 ] || { echo "it has read nothing" >&2; status=1; }
if [ -d "$tracefs/instances/$instance" ]; then
    echo "the instance is still there: not as it was seen"
    status=1
else
    echo "instances/$instance was made by mkdir and is gone after one extract"
fi

# The same with one of its files held open.
mkdir "$tracefs/instances/$instance"
echo 1 >"$tracefs/instances/$instance/events/sched/sched_switch/enable"
exec 3<"$tracefs/instances/$instance/trace_pipe"
trace-cmd extract -B "$instance" -o second.dat >/dev/null 2>&1 || status=1
kept="tracing_on $(cat "$tracefs/instances/$instance/tracing_on"), sched_switch $(cat "$tracefs/instances/$instance/events/sched/sched_switch/enable")"
exec 3<&-
echo "held open it stays: $kept"
[ "$kept" = "tracing_on 0, sched_switch 0" ] || status=1
exit $status
