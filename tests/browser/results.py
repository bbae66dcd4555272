#!/usr/bin/env python3
"""results.py BINARY PULSE DIRECTORY: real results for the pages to show, made on this kernel as root. A run of this is a
fixture of the other tests here. All traffic is in network namespaces of its own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

# What somebody could call a program, in the hope that a page takes it for more than a name.
MARKUP = "</script><script>window.injected=1</script><img src=x onerror='window.injected=1'>"


def run(words, allowed=(0,), **more):
    finished = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **more)
    if finished.returncode not in allowed:
        sys.exit(f"{' '.join(map(str, words))}: status {finished.returncode}\n{finished.stdout}")
    return finished.stdout


class Node:
    """A namespace that plays the host, and containers on its bridge."""

    def __init__(self, containers):
        self.prefix = f"vtb{os.getpid()}"
        self.host = f"{self.prefix}-host"
        self.names = [f"{self.prefix}-{i}" for i in range(1, containers + 1)]

    def __enter__(self):
        def ip(words):
            run(["ip"] + words.split())
        ip(f"netns add {self.host}")
        ip(f"-n {self.host} link add br0 type bridge")
        ip(f"-n {self.host} link set br0 up")
        for i, name in enumerate(self.names, 1):
            ip(f"netns add {name}")
            ip(f"-n {self.host} link add v{i} type veth peer name eth0 netns {name}")
            ip(f"-n {self.host} link set v{i} master br0 up")
            ip(f"-n {name} link set lo up")
            ip(f"-n {name} addr add {self.address(i)}/16 dev eth0")
            ip(f"-n {name} link set eth0 up")
        return self

    def __exit__(self, *_):
        for name in self.names + [self.host]:
            subprocess.run(["ip", "netns", "del", name], check=False)

    @staticmethod
    def address(i):
        return f"10.97.0.{i}"

    @staticmethod
    def inside(name, words):
        return ["ip", "netns", "exec", name] + [str(word) for word in words]


def wait_until_serving(name):
    for _ in range(200):
        sockets = run(Node.inside(name, ["cat", "/proc/net/tcp", "/proc/net/tcp6"]))
        if " 0A " in sockets:
            return
        time.sleep(0.02)
    sys.exit("`rr serve` does not listen")


def watched(binary, pulse, out):
    """TCP_RR and UDP that is dropped, recorded; the page of the watch itself beside it."""
    with Node(3) as node:
        one, two, three = node.names
        run(Node.inside(two, ["nft", "table ip t { chain i { type filter hook input priority 0; "
                                     "udp dport 7001 counter drop; }; }"]))
        server = subprocess.Popen(Node.inside(two, [binary, "rr", "serve"]), stdout=subprocess.DEVNULL)
        try:
            wait_until_serving(two)
            with open(out / "watch.txt", "w", encoding="utf-8") as said:
                watch = subprocess.Popen(
                    Node.inside(node.host, [binary, "watch"] + [word for name in node.names for word in ("--netns", name)]
                                + ["-i", "0.2", "--max-overhead", "100", "--slower-than", "1ms",
                                   "--record", out / "watch.jsonl", "--html", out / "watch.html"]),
                    stdout=said, stderr=subprocess.STDOUT)
            time.sleep(1.5)  # it has attached by then
            drops = subprocess.Popen(Node.inside(three, [pulse, Node.address(2), 7001, 200, 2]))
            run(Node.inside(one, [binary, "rr", "run", Node.address(2), "-d", "2", "-o", out / "rr.json"]))
            drops.wait()
            time.sleep(0.3)
            watch.send_signal(signal.SIGINT)
            if watch.wait(30) != 0:
                sys.exit((out / "watch.txt").read_text())
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)


def main():
    binary, pulse, out = map(pathlib.Path, sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if os.geteuid() != 0:
        print("SKIPPED: needs root: network namespaces (CAP_SYS_ADMIN) and BPF tracing (CAP_BPF, CAP_PERFMON)")
        return
    # Status 3: on a machine that does other things as well a result may not be valid; its page has to show it then, too.
    valid_or_not = (0, 3)
    run([binary, "--mode", "veth", "-c", "5000", "--follow", "2", "-o", out / "run.json", "--html", out / "run.html"],
        valid_or_not)
    run([binary, "--mode", "veth", "-c", "3000", "-o", out / "later.json"], valid_or_not)
    for mode, topology in (("bridge", "wire"), ("macvlan", "wire"), ("macvlan", "local"), ("host", "wire")):
        run([binary, "--mode", mode, "--topology", topology, "-c", "300", "-o", out / f"{mode}-{topology}.json"],
            valid_or_not)
    run([binary, "compare", "host", "veth", "macvlan", "--rounds", "4", "-d", "0.05",
         "-o", out / "compare.json", "--html", out / "compare.html"], valid_or_not)
    run([binary, "diff", out / "run.json", out / "later.json", "--fail-over", "50", "--anyway",
         "-o", out / "diff.json", "--html", out / "diff.html"], (0, 4))
    run([binary, "features", "-o", out / "features.json", "--html", out / "features.html"])
    run([binary, "explain", "veth", "--html", out / "explain.html"])
    # A task that calls itself by markup, as much of it as the kernel keeps, and a command that holds more of it.
    evil = out / "<img onerror=i>"
    shutil.copy(shutil.which("sleep"), evil)
    run([binary, "--mode", "veth", "--peer-cmd", f"{binary} rr serve", "--cmd",
         f"{binary} rr run $VETHTRACE_PEER -d 0.5; '{evil}' 0.1; : \"{MARKUP}\"",
         "-o", out / "lab.json", "--html", out / "lab.html"], valid_or_not)
    watched(binary, pulse, out)
    print(json.dumps(sorted(path.name for path in out.iterdir())))


if __name__ == "__main__":
    main()
