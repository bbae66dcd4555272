#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# The first process of the guest. Runs the one command and hands back what came of it, each on a serial line of its own:
# ttyS0 the console, ttyS1 the command's stdout, ttyS2 its stderr, ttyS3 how far it is, and at the end its files.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/sbin:/usr/sbin:/work HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /sbin && ln -sf /bin/modprobe /sbin/modprobe # where the kernel looks for it
for line in 1 2 3; do
    stty -F /dev/ttyS$line raw -echo
done
ip link set lo up
cd /work || exit 1

if grep -q vethtrace.shell /proc/cmdline; then
    exec 0</dev/ttyS0 1>/dev/ttyS0 2>&1
    setsid -c sh -l
    poweroff -f
fi

# Kept open: what a line still has to send can be lost when it is closed and opened again (seen with two CPUs).
exec 3>/dev/ttyS3
echo up >&3
[ -e /sys/kernel/btf/vmlinux ] || echo no-btf >&3
sleep "$(cat /etc/settle)"
find . >/run/brought
echo begun >&3
# Through pipes: what the command prints goes to a file in the end, and it must not take the serial line for a terminal.
mkfifo /run/stdout /run/stderr
cat /run/stdout >/dev/ttyS1 &
cat /run/stderr >/dev/ttyS2 &
sh -c "$(cat /etc/command)" </dev/null >/run/stdout 2>/run/stderr 3>&-
status=$?
wait
echo "exit $status" >&3
dmesg >/dev/ttyS0
find . -type f | awk 'NR == FNR { brought[$0]; next } !($0 in brought)' /run/brought - >/run/files
: >/run/files.tar
[ -s /run/files ] && tr '\n' '\0' </run/files | xargs -0 tar -cf /run/files.tar
echo "files $(stat -c %s /run/files.tar)" >&3
cat /run/files.tar >&3
exec 3>&- # returns when all has been sent
poweroff -f
