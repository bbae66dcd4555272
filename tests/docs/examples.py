#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs each example of the documentation by itself, as it stands, in a machine of tools/vm.

    examples.py PAGE... -- tools/vm run OPTION...

Examples are the lines of each block behind <!-- run each --> (in a man page: of every block), without a comment at their
end. What goes on until Ctrl-C gets one. Exit status 1: an example failed, or a page has none.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from commands import RUN_EACH, blocks

# Seconds before Ctrl-C; a round of each mode takes longer.
PATIENCE = 8
PATIENCE_TO_COMPARE = 45
# 3: a result that is not valid says so itself; 4: diff has found a difference.
GOOD = {0, 3, 4}

# What the examples speak of: a container of that name with traffic, rules, results of earlier days, another machine.
# busybox's shell has an ip of its own, which it prefers whatever PATH says.
SURROUNDINGS = f"""\
PATH=/work:$PATH
./ip netns add web
./ip link add v-web type veth peer name eth0 netns web
./ip addr add 10.1.0.1/24 dev v-web && ./ip link set v-web up
./ip -n web addr add 10.1.0.2/24 dev eth0 && ./ip -n web link set eth0 up
ping -i 0.1 10.1.0.2 >/dev/null 2>&1 &
echo 'table ip example {{ chain c {{ type filter hook forward priority 0; }}; }}' >my.rules
for name in run a b before after; do
    vethtrace --mode veth -c 200 -q -o $name.json >/dev/null
done
vethtrace rr serve >/dev/null 2>&1 &
other=$!
try() {{
    [ "$1" != 'vethtrace rr serve' ] || kill $other
    patience={PATIENCE}
    case $1 in
    'vethtrace lab up'*) vethtrace lab down >/dev/null 2>&1 ;;
    *compare*) patience={PATIENCE_TO_COMPARE} ;;
    esac
    sh -c "exec $1" >said 2>&1 </dev/null &
    example=$!
    (sleep $patience && kill -INT $example) 2>/dev/null &
    clock=$!
    wait $example
    status=$?
    kill $clock 2>/dev/null
    echo "example $status $1"
    case $status in {'|'.join(str(status) for status in sorted(GOOD))}) ;; *) cat said ;; esac
    [ "$1" != 'vethtrace rr serve' ] || {{ vethtrace rr serve >/dev/null 2>&1 & other=$!; sleep 0.2; }}
}}
"""


def examples(page):
    found = []
    for _, before, lines, _ in blocks(page):
        if before == RUN_EACH or page.suffix == ".scd":
            found += [re.sub(r"\s+#.*| \.\.\..*", "", line).removeprefix("sudo ") for line in lines if line.strip()]
    return [line.replace("SERVER", "127.0.0.1") for line in found]


def main():
    words = sys.argv[1:]
    if "--" not in words:
        print(__doc__, file=sys.stderr)
        return 2
    pages = [Path(word) for word in words[:words.index("--")]]
    machine = words[words.index("--") + 1:]
    found = []
    for page in pages:
        if not examples(page):
            print(f"{page}: no examples")
            return 1
        found += [line for line in examples(page) if line not in found]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "examples.sh"
        script.write_text(SURROUNDINGS + "".join(f"try {shlex.quote(line)}\n" for line in found))
        done = subprocess.run([*machine, "--with", script, "--", "sh", "examples.sh"], stdout=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, check=False)
    print(done.stdout)
    ended = dict(reversed(line.split(" ", 2)[1:]) for line in done.stdout.splitlines() if line.startswith("example "))
    bad = [line for line in found if int(ended.get(line, "1")) not in GOOD]
    for line in bad:
        print(f"failed: {line}")
    return 1 if bad or done.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
