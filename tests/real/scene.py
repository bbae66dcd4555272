"""What a network is to a test, and what is then asked of `watch` there."""

import dataclasses
import json
import math
import os
import pathlib
import unittest

from node import Missing, Namespace, Node
from watching import Watch

TOLERANCE = 0.005  # of the packets, and never less than ...
AT_LEAST = 4       # ... what ARP and neighbour discovery bring, which devices count and nobody follows

RESULTS = pathlib.Path(os.environ.get("REAL_RESULTS", "/tmp/vethtrace-real"))

# In the order in which a packet meets them.
STAGES = {
    "out": ("qdisc", "device_xmit", "backlog", "bridge", "host_forward", "encap", "uplink_qdisc"),
    "in": ("decap", "host_forward", "bridge", "qdisc", "device_xmit", "backlog", "stack_rx", "wakeup"),
}
SOCKET = ("stack_rx", "wakeup")

# What links promise: the stages of a container's packets.
ROUTED = {"out": ("qdisc", "device_xmit", "backlog", "host_forward", "uplink_qdisc"),
          "in": ("host_forward", "qdisc", "device_xmit", "backlog", *SOCKET)}
# What comes from a container of the same node is counted as `out` of that one up to here, or begins here.
ROUTED_LOCAL = {"out": ("qdisc", "device_xmit", "backlog", "host_forward"), "in": ("qdisc", "device_xmit", "backlog", *SOCKET)}
# From outside over the host to a port of its bridge; a hop between two ports is a bridge's and not the host's.
PUBLISHED = {"out": ("qdisc", "device_xmit", "backlog", "bridge", "host_forward", "uplink_qdisc"),
             "in": ("host_forward", "bridge", "qdisc", "device_xmit", "backlog", *SOCKET)}
BRIDGED = {"out": ("qdisc", "device_xmit", "backlog", "bridge"),
           "in": ("qdisc", "device_xmit", "backlog", *SOCKET)}
# The host's own process is at the other end.
TO_HOST = {"out": ("qdisc", "device_xmit", "backlog"), "in": ("qdisc", "device_xmit", "backlog", *SOCKET)}
# The other end of the veth is in a namespace that nobody watches.
FOREIGN = {"out": ("qdisc", "device_xmit", "backlog"), "in": ("qdisc", "device_xmit", "backlog", *SOCKET)}
# A device of its own on the wire, or on the uplink: `in` begins where the device receives.
OWN_DEVICE = {"out": ("qdisc", "device_xmit"), "in": SOCKET}
TAP = {"out": ("qdisc",), "in": SOCKET}


@dataclasses.dataclass
class Watched:
    """A target, and from whom it is known what it gets."""

    name: str                 # as watch calls it; if it has another, that is found by the namespace's number
    namespace: Namespace
    promises: dict            # {"in": stages, "out": stages}
    device: str = "eth0"
    receives: str = "requests"  # packets with data that come to its sockets, of what the load has counted
    devices_count: bool = True  # its driver counts every packet once


@dataclasses.dataclass
class Scene:
    """A network that stands, with what is watched and what is sent."""

    host: Namespace
    watch: list
    targets: list
    load: object              # calls the load; its own counts {"requests": n, "answers": n}
    losses: list = dataclasses.field(default_factory=list)  # namespaces beside host and targets whose losses are the truth


@dataclasses.dataclass
class Row:
    name: str
    summary: str
    build: object
    ci: bool
    module: list              # kernel modules: not None means that it runs in a machine of tools/vm
    programs: list            # that such a machine is brought


ROWS = {}


def network(name, summary, ci=False, machine=None, programs=()):
    """Registers a network: a function of a Node that gives a Scene."""

    def register(build):
        assert name not in ROWS, name
        ROWS[name] = Row(name, summary, build, ci, machine, list(programs))
        return build

    return register


def slack(truth):
    return max(AT_LEAST, math.ceil(truth * TOLERANCE))


def observe(row):
    """Builds a network, sends, watches. What must be known for every sentence, as plain data."""
    with Node() as node:
        scene = row.build(node)
        spaces = [scene.host, *(one.namespace for one in scene.targets), *scene.losses]
        with Watch(scene.host, *scene.watch) as watch:
            before = {one.name: one.namespace.packets(one.device) for one in scene.targets}
            lost = sum(space.lost() for space in spaces)
            again = sum(space.retransmitted() for space in spaces)
            counted = scene.load()
            lost = sum(space.lost() for space in spaces) - lost
            again = sum(space.retransmitted() for space in spaces) - again
            after = {one.name: one.namespace.packets(one.device) for one in scene.targets}
        seen = watch.seen
        names = {one["netns"]: name for name, one in seen.arrived().items()}
        for one in scene.targets:
            one.name, before[one.namespace.inode], after[one.namespace.inode] = (
                names.get(one.namespace.inode, one.name), before[one.name], after[one.name])
        rows = []
        for one in scene.targets:
            received, sent = (now - then for now, then in zip(after[one.namespace.inode], before[one.namespace.inode]))
            for direction in ("out", "in"):
                unseen, gaps = seen.unseen(one.name, direction), seen.gaps(one.name, direction)
                for stage in STAGES[direction]:
                    promised = stage in one.promises[direction]
                    if not promised and stage not in unseen and not seen.count(one.name, direction, stage):
                        continue
                    if stage in SOCKET:
                        truth, source = counted.get(one.receives, 0), f"the load's {one.receives}"
                    elif one.devices_count:
                        truth, source = (sent, f"tx_packets of {one.device}") if direction == "out" else (
                            received, f"rx_packets of {one.device}")
                    else:
                        truth, source = None, "nobody"
                    rows.append({
                        "target": one.name, "direction": direction, "stage": stage, "promised": promised,
                        "count": seen.count(one.name, direction, stage), "truth": truth, "source": source,
                        "unseen": unseen.get(stage), "gap": gaps.get(stage), "mean_ns": seen.mean(one.name, direction, stage),
                        "hops": [[*ends, n] for ends, n in seen.hops(one.name, direction, stage).items()],
                    })
        return {
            "name": row.name, "summary": row.summary, "stages": rows, "counted": counted,
            "retransmitted": again, "lost": lost, "drops": seen.drops(),
            "balanced": seen.balanced, "books": seen.books,
            "targets": sorted(seen.targets()), "watched": sorted(one.name for one in scene.targets),
            "modes": {name: one.get("mode") for name, one in seen.arrived().items()},
            "notes": seen.notes(),
        }


class NetworkTest(unittest.TestCase):
    """What is to be true on every network. `row` is set by whoever makes the class."""

    row = None

    @classmethod
    def setUpClass(cls):
        try:
            cls.found = cls.look()
        except Missing as missing:
            raise unittest.SkipTest(str(missing)) from missing

    @classmethod
    def look(cls):
        found = observe(cls.row)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{cls.row.name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        return found

    def test_load_has_done_what_it_was_asked_for(self):
        self.assertGreater(self.found["counted"]["requests"], 100)

    def test_every_promised_stage_is_counted_right_or_named_unseen(self):
        for one in self.found["stages"]:
            with self.subTest(**{key: one[key] for key in ("target", "direction", "stage")}):
                if one["unseen"]:
                    self.assertGreater(len(one["unseen"]), 8, "a reason in words")
                elif one["promised"] and one["truth"] is not None:
                    self.assertAlmostEqual(
                        one["count"], one["truth"], delta=slack(one["truth"]) + self.found["retransmitted"],
                        msg=f"{one['source']}; hops {one['hops']}",
                    )
                elif one["promised"]:
                    self.assertGreater(one["count"], 0)

    def test_nothing_that_was_seen_is_called_unseen(self):
        for one in self.found["stages"]:
            with self.subTest(**{key: one[key] for key in ("target", "direction", "stage")}):
                if one["truth"] and abs(one["count"] - one["truth"]) <= slack(one["truth"]):
                    self.assertIsNone(one["gap"], f"{one['unseen']}: {one['count']} of {one['truth']} were seen")

    def test_no_stage_counts_more_than_came(self):
        for one in self.found["stages"]:
            with self.subTest(**{key: one[key] for key in ("target", "direction", "stage")}):
                if one["truth"] is not None:
                    self.assertLessEqual(one["count"], one["truth"] + slack(one["truth"]) + self.found["retransmitted"],
                                         f"{one['source']}; hops {one['hops']}")

    def test_drops_are_those_that_the_kernel_counts(self):
        self.assertEqual(sum(self.found["drops"].values()), self.found["lost"], self.found["drops"])

    def test_books_balance(self):
        self.assertTrue(self.found["balanced"], self.found["books"])

    def test_nothing_is_booked_to_others(self):
        self.assertLessEqual(set(self.found["targets"]) - {""}, set(self.found["watched"]))


def case_of(row):
    """A class of tests for one network."""
    return type(f"Network_{row.name.replace('-', '_')}", (NetworkTest,), {"row": row})
