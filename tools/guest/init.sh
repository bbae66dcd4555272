#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# The first process of the guest. Makes it ready and goes on with command.sh: by itself, or by systemd where that was
# brought along.
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
if [ -x /lib/systemd/systemd ]; then
    sleep 1000000 >/dev/null 2>&1 & # keeps the line open until command.sh has it
    exec /lib/systemd/systemd --unit=command.service </dev/null >/dev/null 2>&1 3>&-
fi
. /etc/command.sh
