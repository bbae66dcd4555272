"""Nodes made of network namespaces: built in a few lines, gone however a test ends."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "real"


class Missing(Exception):
    """Something that this machine does not have. The test is skipped with that word."""


def need(*programs):
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise Missing(f"{program} is not installed")


def run(*words, text=None, check=True, timeout=60, env=None):
    """A command's output. What it said on stderr is part of the failure."""
    done = subprocess.run(
        [str(word) for word in words], input=text, capture_output=True, text=True, check=False, timeout=timeout, env=env
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def eventually(condition, what, seconds=20):
    """Waits until `condition` gives something that is true, and hands that back."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise RuntimeError(f"not within {seconds} s: {what}")


class Namespace:
    """A network namespace, known by a path. It outlives no node."""

    def __init__(self, node, path, name):
        self.node, self.path, self.name = node, str(path), name

    @property
    def inode(self):
        return os.stat(self.path).st_ino

    def line(self, *words):
        return ["nsenter", f"--net={self.path}", "--", *map(str, words)]

    def run(self, *words, **options):
        return run(*self.line(*words), **options)

    def start(self, *words, **options):
        return self.node.start(*self.line(*words), **options)

    def ip(self, *words):
        return self.run("ip", *words)

    def set(self, **settings):
        for key, value in settings.items():
            self.run("sysctl", "-qw", f"{key.replace('__', '.')}={value}")

    def nft(self, rules):
        self.run("nft", "-f", "-", text=rules)

    def address(self, device, *addresses):
        for address in addresses:
            self.ip("addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        self.ip("link", "set", device, "up")

    def forwards(self):
        """It routes, for IPv4 and IPv6."""
        self.set(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)

    def packets(self, device):
        """What its driver has counted: (received, transmitted)."""
        stats = json.loads(self.run("ip", "-s", "-j", "link", "show", "dev", device))[0]["stats64"]
        return stats["rx"]["packets"], stats["tx"]["packets"]

    def lost(self, device=None):
        """Packets that the kernel itself counts as lost here, whatever the reason."""
        total = 0
        fields = {
            "Ip:": ("InDiscards", "OutDiscards"),
            "Tcp:": ("InErrs",),
            "Udp:": ("InErrors",),
            "TcpExt:": ("ListenDrops", "TCPBacklogDrop", "TCPRcvQDrop", "TCPZeroWindowDrop"),
        }
        for file in ("snmp", "netstat"):
            lines = self.run("cat", f"/proc/net/{file}").splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                counted = dict(zip(names.split()[1:], map(int, values.split()[1:])))
                total += sum(counted.get(field, 0) for field in fields.get(names.split()[0], ()))
        if device:
            stats = json.loads(self.run("ip", "-s", "-j", "link", "show", "dev", device))[0]["stats64"]
            total += stats["rx"]["dropped"] + stats["tx"]["dropped"]
        return total

    def retransmitted(self):
        names, values = [line.split() for line in self.run("cat", "/proc/net/snmp").splitlines() if line.startswith("Tcp:")]
        return int(values[names.index("RetransSegs")])

    def listens(self, port, protocol="tcp"):
        return self.run("ss", "-Hln", f"--{protocol}", f"sport = :{port}").strip() != ""

    def serve(self, port, *words, protocol="tcp", command=None, **options):
        """A server that listens already when this returns; by default the project's own small one."""
        if command is None:
            command = [*talk(), "serve", "--port", port, *words]
            if protocol == "udp":
                command.append("--udp")
        server = self.start(*command, **options)
        eventually(lambda: self.listens(port, protocol) or server.poll() is not None, f"{command}: port {port}")
        if server.poll() is not None:
            raise RuntimeError(f"{command}: exit {server.returncode}: {self.node.said_by(server)}")
        return server

    def ask(self, host, port, *words, timeout=100):
        """The project's own small client. Its count."""
        return json.loads(self.run(*talk(), "ask", host, port, *words, timeout=timeout))


def talk():
    return [os.environ.get("REAL_PYTHON", "python3"), "-B", str(HERE / "talk.py")]


class Node:
    """What a test makes: namespaces, processes, folders, and what else says how to undo it."""

    def __init__(self, suffix=""):
        self.prefix = f"{PREFIX}-{os.getpid()}{suffix}"
        self._undo = contextlib.ExitStack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=self.prefix + "-"))
        self._undo.callback(shutil.rmtree, self.folder, True)
        self.host = self.namespace("host")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._undo.close()

    def undo(self, action, *arguments):
        self._undo.callback(action, *arguments)

    def namespace(self, name):
        full = f"{self.prefix}-{name}"
        run("ip", "netns", "add", full)
        self.undo(lambda: run("ip", "netns", "del", full, check=False))
        made = Namespace(self, f"/run/netns/{full}", full)
        made.ip("link", "set", "lo", "up")
        # No address of its own makes packets that nobody asked for.
        made.set(net__ipv6__conf__default__accept_ra=0, net__ipv6__conf__default__router_solicitations=0)
        return made

    def of_process(self, pid, name):
        return Namespace(self, f"/proc/{pid}/ns/net", name)

    def start(self, *words, env=None, cwd=None):
        log = tempfile.NamedTemporaryFile(dir=self.folder, delete=False)
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, env=env, cwd=cwd,
        )
        process.log = log.name
        self.undo(stop, process)
        return process

    @staticmethod
    def said_by(process):
        return pathlib.Path(process.log).read_text(errors="replace")[-2000:]

    def veth(self, one, device, other, peer):
        one.ip("link", "add", device, "type", "veth", "peer", "name", peer, "netns", pathlib.Path(other.path).name)

    # ---- shapes that many networks share

    def outside(self, name="outside"):
        """Somebody beyond the host's uplink `up0`: 192.0.2.2, or 2001:db8:1::2, who knows the way to all others."""
        other = self.namespace(name)
        self.veth(self.host, "up0", other, "eth0")
        self.host.address("up0", "192.0.2.1/24", "2001:db8:1::1/64")
        other.address("eth0", "192.0.2.2/24", "2001:db8:1::2/64")
        other.ip("route", "add", "default", "via", "192.0.2.1")
        other.ip("-6", "route", "add", "default", "via", "2001:db8:1::1")
        self.host.ip("route", "add", "default", "via", "192.0.2.2")
        self.host.ip("-6", "route", "add", "default", "via", "2001:db8:1::2")
        self.host.forwards()
        return other

    def routed(self, number=1, host=None, name=None):
        """A container at the end of a veth that the host routes to: 10.9.N.2, or 2001:db8:9:N::2."""
        host = host or self.host
        container = self.namespace(name or f"c{number}")
        self.veth(host, f"v{number}", container, "eth0")
        host.address(f"v{number}", f"10.9.{number}.1/24", f"2001:db8:9:{number}::1/64")
        container.address("eth0", f"10.9.{number}.2/24", f"2001:db8:9:{number}::2/64")
        container.ip("route", "add", "default", "via", f"10.9.{number}.1")
        container.ip("-6", "route", "add", "default", "via", f"2001:db8:9:{number}::1")
        host.forwards()
        return container

    def bridge(self, name="br0", address="10.8.0.1/16", host=None):
        host = host or self.host
        host.ip("link", "add", "name", name, "type", "bridge")
        host.address(name, address)
        host.forwards()

    def bridged(self, number, bridge="br0", net="10.8", host=None, name=None):
        """A container at a port of a bridge: NET.0.N+1."""
        host = host or self.host
        container = self.namespace(name or f"b{number}")
        port = f"p{bridge[-1]}x{number}"
        self.veth(host, port, container, "eth0")
        host.ip("link", "set", port, "master", bridge, "up")
        container.address("eth0", f"{net}.0.{number + 1}/16")
        container.ip("route", "add", "default", "via", f"{net}.0.1")
        return container


def stop(process):
    """With all that it has started."""
    for kind, patience in ((signal.SIGTERM, 2), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, kind)
        except ProcessLookupError:
            pass
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def sweep():
    """Namespaces of runs that were killed."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        owner = re.match(rf"{PREFIX}-(\d+)-", name)
        if owner and not pathlib.Path(f"/proc/{owner[1]}").exists():
            run("ip", "netns", "del", name, check=False)
