"""The same packets by the kernel's own tracer: trace-cmd's timestamps, joined by this script alone.

It shares the kernel's tracepoints with `watch`, and neither code nor a table of devices: which device plays which role
is told here by what `ip` shows of the links.
"""

import collections
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import unittest

import networks  # noqa: F401
from cases import Case
from node import Missing, Namespace, Node, need, run
from scene import AT_LEAST, ROWS, TOLERANCE
from watching import Watch

# A hop's mean may differ by a part of it, or by what the two tracers' own programs take at a tracepoint. On a quiet
# machine they agree within STRICT, which VETHTRACE_QUIET=1 asks for; where others use the caches, a miss in a program
# is 100 ns by itself.
STRICT, GENEROUS = (0.02, 100), (0.05, 400)
PART, NANOSECONDS = STRICT if os.environ.get("VETHTRACE_QUIET") else GENEROUS
ENOUGH = 100  # packets, for a mean that is compared

POINTS = {"net_dev_queue": "queue", "net_dev_start_xmit": "xmit", "netif_rx": "netif_rx", "napi_gro_receive_entry": "gro",
          "netif_receive_skb": "receive"}
EVENTS = [*(f"net:{name}" for name in POINTS), "tcp:tcp_probe", "sock:sk_data_ready", "sock:sock_recv_length", "skb:kfree_skb",
          "skb:consume_skb"]
LINE = re.compile(r"^\s*\S.*-\d+\s+\[(\d+)\]\s+(?:\S+\s+)?(\d+)\.(\d{9}): (\w+):\s+(.*)$")
ARP = "0x0806"
INTERNET = ("2", "10")  # AF_INET, AF_INET6


@dataclasses.dataclass
class Mean:
    n: int = 0
    total: int = 0

    def add(self, ns):
        self.n += 1
        self.total += ns

    @property
    def ns(self):
        return self.total / self.n


class Record:
    """The kernel's tracer, in an instance of its own. trace-cmd reads what it has recorded, but does not start it: it
    would first write to kernel.ftrace_enabled, which not every machine allows, and only the function tracer needs."""

    TRACEFS = pathlib.Path("/sys/kernel/tracing")
    BUFFER_KIB = 65536  # of each CPU

    def __init__(self, node):
        need("trace-cmd")
        self.file = node.folder / "trace.dat"
        self.instance = self.TRACEFS / "instances" / node.prefix
        self.lost = None
        if not self.instance.parent.exists():
            run("mount", "-t", "tracefs", "nodev", self.TRACEFS, check=False)
        try:
            self.instance.mkdir()
        except OSError as error:
            raise Missing(f"no tracefs: {error}") from error
        node.undo(self._remove)

    def _write(self, file, text):
        (self.instance / file).write_text(str(text), encoding="utf-8")

    def _remove(self):
        if self.instance.exists():  # trace-cmd has removed it, if it got that far
            self.instance.rmdir()

    def __enter__(self):
        self._write("buffer_size_kb", self.BUFFER_KIB)
        self._write("trace_clock", "mono")
        for event in EVENTS:
            self._write(f"events/{event.replace(':', '/')}/enable", 1)
        return self

    def __exit__(self, *_):
        self._write("tracing_on", 0)
        self.lost = 0
        for file in self.instance.glob("per_cpu/cpu*/stats"):
            counts = dict(line.split(": ") for line in file.read_text().splitlines())
            self.lost += int(counts["overrun"]) + int(counts["dropped events"])
        run("trace-cmd", "extract", "-B", self.instance.name, "-o", self.file)

    def events(self):
        """(CPU, ns, name, fields), in order."""
        with subprocess.Popen(["trace-cmd", "report", "-t", str(self.file)], stdout=subprocess.PIPE, text=True) as said:
            for line in said.stdout:
                found = LINE.match(line)
                if found:
                    cpu, seconds, rest, name, fields = found.groups()
                    yield int(cpu), int(seconds) * 10**9 + int(rest), name, fields


def field(fields, name):
    found = re.search(rf"\b{name} ?= ?([^ ,]+)", fields)
    return found[1] if found else ""


class Walk:
    """Follows skbs from device to device, and data from a socket to its reader. One target."""

    def __init__(self, roles):
        self.roles = roles
        self.knows_sockets = False
        self.hops = collections.defaultdict(Mean)
        self._chains = {}    # by skb: [(station, ns)]
        self._arrived = {}   # by CPU: the skb that was received last
        self._joined = {}    # by CPU: the skb and socket that TCP has begun with
        self._unread = {}    # by socket: since when
        self._arp = set()

    def walk(self, events):
        for cpu, when, name, fields in events:
            if name in POINTS:
                self._pass(cpu, when, POINTS[name], fields)
            elif name == "tcp_probe":
                self._joined[cpu] = field(fields, "skbaddr"), field(fields, "skaddr")
            elif name == "sk_data_ready":
                self._data_ready(cpu, when, fields)
            elif name == "sock_recv_length":
                since = self._unread.pop(field(fields, "sk address"), None)
                if since is not None:
                    self.hops["data_ready@container", "app_recv@container"].add(when - since)
            else:
                self._end(field(fields, "skbaddr"))
        for skb in list(self._chains):
            self._end(skb)
        return self.hops

    def _pass(self, cpu, when, point, fields):
        skb, role = field(fields, "skbaddr"), self.roles.get(field(fields, "dev"))
        if role is None:
            self._end(skb)
            return
        if field(fields, "protocol") == ARP:
            self._arp.add(skb)
        station = f"{point}@{role}"
        if station in ("queue@container", "receive@uplink"):
            self._end(skb)
        chain = self._chains.setdefault(skb, [])
        if not chain or chain[-1][0] != station:
            chain.append((station, when))
        if station == "receive@container":
            self._arrived[cpu] = skb
        if station == "xmit@uplink":
            self._end(skb)

    def _data_ready(self, cpu, when, fields):
        if field(fields, "family") not in INTERNET:
            return
        skb, sock = self._joined.pop(cpu, (None, None))
        if field(fields, "protocol") == "17":
            skb, sock = self._arrived.pop(cpu, None), None
        chain = self._chains.get(skb)
        # What is on the uplink gets its packets without another reception.
        received = ("receive@container",) if "host" in self.roles.values() else ("receive@container", "receive@uplink")
        if not chain or chain[-1][0] not in received:
            return
        chain.append(("data_ready@container", when))
        if sock:
            self.knows_sockets = True
            self._unread.setdefault(sock, when)
        self._end(skb)

    def _end(self, skb):
        self._joined = {cpu: joined for cpu, joined in self._joined.items() if joined[0] != skb}
        chain = self._chains.pop(skb, None)
        is_arp = skb in self._arp
        self._arp.discard(skb)
        roles = ("container", "host") if "host" in self.roles.values() else ("container", "uplink")
        if not chain or is_arp or not any(station.split("@")[1] in roles for station, _ in chain):
            return
        for (start, since), (end, when) in zip(chain, chain[1:]):
            self.hops[start, end].add(when - since)


def links(space):
    return json.loads(space.run("ip", "-d", "-j", "link"))


def kind_of(link):
    return link.get("linkinfo", {}).get("info_kind")


def rename_devices(node, scene):
    """Devices get names that no other namespace has: the tracer tells names, and no namespaces."""
    watched = {one.namespace.inode: one for one in scene.targets}
    others = [Namespace(node, f"/run/netns/{line.split()[0]}", line.split()[0])
              for line in run("ip", "netns", "list").splitlines() if line.startswith(node.prefix)]
    for number, space in enumerate({space.inode: space for space in [*others, *(one.namespace for one in scene.targets)]}.values()):
        if space.inode == scene.host.inode:
            continue
        for link in links(space):
            old = link["ifname"]
            if old == "lo":
                continue
            new = f"n{number}{old}"[-15:]
            space.ip("link", "set", "dev", old, "name", new)
            one = watched.get(space.inode)
            if one and one.device == old:
                one.device = new


def roles_of(scene):
    """{device: role}, of the one target that is watched."""
    (one,) = scene.targets
    device = next(link for link in links(one.namespace) if link["ifname"] == one.device)
    roles = {one.device: "container"}
    master = None
    for link in links(scene.host):
        is_pair = kind_of(link) == kind_of(device) == "veth"
        if is_pair and link["ifindex"] == device["link_index"] and link.get("link_index") == device["ifindex"]:
            roles[link["ifname"]] = "host"
            master = link.get("master")
        elif link["ifname"] == "up0":
            roles["up0"] = "uplink"
    if master:
        roles[master] = "bridge"
    return roles


TRIES = 3  # an interrupt between the two tracers at a single packet can be more than a mean of thousands may differ by


class WitnessTest(unittest.TestCase):
    longMessage = True
    network = None

    def test_hops_are_those_of_the_kernels_own_tracer(self):
        best = {}  # by hop: (how far off, as a part of what it may be, what was seen)
        try:
            for _ in range(TRIES):
                with Node("w") as node:
                    for hop, found in self._compare(node).items():
                        best[hop] = min(best.get(hop, found), found)
                if all(off <= 1 for off, _ in best.values()):
                    break
        except Missing as missing:
            self.skipTest(str(missing))
        self.assertGreaterEqual(len(best), 4, "hops that were compared")
        for hop, (off, what) in best.items():
            with self.subTest(hop=hop):
                self.assertLessEqual(off, 1, what)

    def _compare(self, node):
        scene = ROWS[self.network].build(node)
        rename_devices(node, scene)
        scene.load()  # neighbours are known, and what is translated
        (one,) = scene.targets
        walk = Walk(roles_of(scene))
        with Record(node) as record, Watch(scene.host, *scene.watch) as watch:
            scene.load()
        self.assertEqual(record.lost, 0, "events that the tracer lost")
        names = {arrived["netns"]: name for name, arrived in watch.seen.arrived().items()}
        witnessed = walk.walk(record.events())
        compared = {}
        for (start, end), seen in hops_of(watch.seen, names[one.namespace.inode]).items():
            if seen.n < ENOUGH or {start.split("@")[1], end.split("@")[1]} & {"elsewhere", "host2"}:
                continue  # at devices of others, whose roles are not told here
            if end.startswith("app_recv") and not walk.knows_sockets:
                continue  # of UDP the tracer does not tell which socket has become readable
            other = witnessed[start, end]
            off = max(abs(seen.n - other.n) / max(AT_LEAST, other.n * TOLERANCE),
                      abs(seen.ns - other.ns) / max(NANOSECONDS, PART * other.ns) if other.n else 0)
            what = f"{start} -> {end}: {seen.n} of {seen.ns:.0f} ns; by the tracer {other.n} of {other.ns if other.n else 0:.0f} ns"
            print(f"{self.network}: {what}", flush=True)
            compared[f"{start} -> {end}"] = (off, what)
        return compared


def hops_of(seen, target):
    found = collections.defaultdict(Mean)
    for series in seen.series:
        if series["target"] == target:
            hop = found[series["from"], series["to"]]
            hop.n += series["count"]
            hop.total += series["sum_ns"]
    return found


# One target each, and devices that the tracer's events have.
WITNESSED = {
    "routed": True, "bridge-one-watched": False, "container-to-host": False, "nft-dnat-tcp4": True, "nft-dnat-udp4": False,
    "nft-dnat-tcp6": False, "nft-masquerade": False, "podman-published": False, "cni-portmap": False, "cni-ptp": False,
    "cni-macvlan": False, "tc-redirect": False, "redis": True,
}
CASES = {
    f"witness-{name}": Case(f"witness-{name}", f"{name}: hop by hop as trace-cmd has them",
                            type(f"Witness_{name.replace('-', '_')}", (WitnessTest,), {"network": name}), ci, None, [])
    for name, ci in WITNESSED.items()
}
