# SPDX-License-Identifier: GPL-2.0-only
# Runs the one command and hands back what came of it, each on a serial line of its own: ttyS0 the console, ttyS1 the
# command's stdout, ttyS2 its stderr, ttyS3 (here 3) how far it is, and at the end its files.
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
