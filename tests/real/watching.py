"""`vethtrace watch --json` in the background, and what it says. The names of its JSON stand here and nowhere else."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import time

from node import eventually

BINARY = os.environ.get("VETHTRACE_BINARY", "vethtrace")

# The schemas that are understood; what they name differently.
SCHEMAS = ("vethtrace.watch/1", "vethtrace.watch/2")
OWN_END = ("container", "client")  # whose socket a target's is called, in the newer schema and in the older


class Watch:
    """Watches from before the first packet of a load until after its last.

        with Watch(node.host, "--netns", name) as watch:
            ...
        watch.seen
    """

    def __init__(self, host, *words, interval=1):
        self.seen = None
        self._file = pathlib.Path(host.node.folder) / f"watch-{time.monotonic_ns()}.json"
        self._words = [BINARY, "watch", "--json", "--interval", interval, "--forever", *words]
        if "--max-overhead" not in words:
            self._words += ["--max-overhead", "100"]  # every packet is followed, or as many as --sample says
        self._host, self._interval = host, interval

    def __enter__(self):
        with open(self._file, "wb") as out:
            self._process = subprocess.Popen(
                self._host.line(*self._words), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._host.node.undo(self._kill)
        try:
            eventually(lambda: self._windows() or self._process.poll() is not None, "a first window", 60)
            if self._process.poll() is not None:
                raise RuntimeError(f"{' '.join(map(str, self._words))}: {self._process.stderr.read().decode()}")
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            self._kill()
            return
        before = self._windows()
        time.sleep(0.3)  # what is still on its way
        eventually(lambda: self._windows() > before or self._process.poll() is not None, "a last window", 60)
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        lines = [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]
        if self._process.returncode != 0 or not lines or not lines[-1].get("final"):
            raise RuntimeError(f"{' '.join(map(str, self._words))}: exit {self._process.returncode}: {said.decode()}")
        self.seen = Seen(lines)

    def _windows(self):
        return self._file.read_bytes().count(b"\n")

    def _kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Seen:
    """What was said of a whole time of watching."""

    def __init__(self, lines):
        self.windows, self.final = lines[:-1], lines[-1]
        assert self.final["schema"] in SCHEMAS, self.final["schema"]
        self.series = self.final["series"]

    # ---- stages

    def hops(self, target, direction, stage):
        """{(from, to): n} of those hops of a stage. What is counted at devices that are nobody's is nobody's."""
        found = collections.Counter()
        for one in self.series:
            if (one["target"], one["direction"], one["stage"]) == (target, direction, stage):
                if not one["from"].endswith("@elsewhere"):
                    found[one["from"], one["to"]] += one["count"]
        return found

    def count(self, target, direction, stage):
        """n of a stage: of the hop that is the target's own where it has one, else of the busiest."""
        hops = self.hops(target, direction, stage)
        own = {ends: n for ends, n in hops.items() if any(end.split("@")[1] in OWN_END for end in ends)}
        return max((own or hops).values(), default=0)

    def stages(self, target, direction):
        return {one["stage"] for one in self.series if (one["target"], one["direction"]) == (target, direction)}

    def targets(self):
        return {one["target"] for one in self.series}

    def _of(self, target, direction, stage):
        return [
            one for one in self.series if (one["target"], one["direction"], one["stage"]) == (target, direction, stage)
        ]

    def mean(self, target, direction, stage):
        """In nanoseconds; None where nothing passed."""
        found = self._of(target, direction, stage)
        n = sum(one["count"] for one in found)
        return sum(one["sum_ns"] for one in found) / n if n else None

    def worst(self, target, direction, stage):
        return max((one["max_ns"] for one in self._of(target, direction, stage)), default=None)

    # ---- what is said to be missing

    def unseen(self, target, direction):
        """{stage: why}, of all windows and of the target itself."""
        found = {}
        for window in self.windows:
            for one in window.get("unseen", []):
                if (one["target"], one["direction"]) == (target, direction):
                    found[one["stage"]] = one["why"]
            for arrived in window["arrived"]:
                for one in arrived.get("unseen", []):
                    if (arrived["name"], one["direction"]) == (target, direction):
                        found.setdefault(one["stage"], one["why"])
        return found

    def gaps(self, target, direction):
        """{stage: (seen, promised)}, of those that are said to be unseen in the whole."""
        return {one["stage"]: (one["seen"], one["promised"]) for one in self.final.get("unseen", [])
                if (one["target"], one["direction"]) == (target, direction) and one["promised"]}

    # ---- what was lost

    def drops(self, target=None):
        """{"REASON at station": n}; without a target of all, also of those that are said to be nobody's."""
        found = collections.Counter()
        for window in self.windows:
            for one in window["drops"]:
                if target is None or one["target"] == target:
                    found[f"{one['reason']} at {one['last']}"] += one["count"]
        return found

    # ---- books and sockets

    @property
    def books(self):
        return self.final["conservation"]

    @property
    def balanced(self):
        return self.books["balanced"]

    def sockets(self, target, key):
        """Sum over all windows of one of the counts of a target's sockets, None where none was told."""
        told = [one[key] for window in self.windows for one in window.get("sockets", []) if one["target"] == target]
        return sum(told) if told else None

    def oldest_unread(self, target):
        """In nanoseconds, the longest that data have waited in any window."""
        keys = ("oldest_ns", "oldest")
        told = [
            one[key]
            for window in self.windows
            for one in window.get("sockets", [])
            if one["target"] == target
            for key in keys
            if key in one
        ]
        return max(told, default=None)

    def advice(self):
        return {one["rule"] for window in self.windows for one in window["advice"]}

    def arrived(self):
        return {one["name"]: one for window in self.windows for one in window["arrived"]}

    def notes(self):
        return [note for window in self.windows for note in window["notes"]]

    def slowest(self):
        return [packet for window in self.windows for packet in window["slowest"]]

    def devices(self):
        """Groups that `--by interface` has."""
        return {one["group"] for one in self.series}
