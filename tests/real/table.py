"""docs/networks.md: of what was seen on each network, as the last run of each has found it."""

import json
import platform

from scene import STAGES, slack

HEAD = """# What is seen on each kind of network

Written by `tests/real/run --table` from what it has seen; not to be edited. Each row is a network of real parts with one
target; the numbers beside it are the load's own.

A stage is **yes** where `watch` counted all packets of the target that passed it (within 0.5 % of what the load or the
kernel counted), **(n)** where it does not, and the output says why: the reasons stand below the table. `-`: packets do not
pass it there.

"""


def kernel():
    return ".".join(platform.release().split(".")[:2])


def mark(one, reasons):
    if one["unseen"]:
        reasons.setdefault(one["unseen"], len(reasons) + 1)
        return f"({reasons[one['unseen']]})"
    if not one["promised"]:
        return "-"
    right = one["truth"] is None or abs(one["count"] - one["truth"]) <= slack(one["truth"])
    return "yes" if one["count"] and right else "**no**"


def render(rows, folder):
    lines, reasons, missing = [], {}, []
    columns = [(direction, stage) for direction in ("out", "in") for stage in STAGES[direction]]
    lines.append("| network | " + " | ".join(f"{direction} `{stage}`" for direction, stage in columns) + " |")
    lines.append("| --- |" + " --- |" * len(columns))
    for row in rows.values():
        file = folder / f"{row.name}.json"
        if not file.exists():
            missing.append(row.name)
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        # Where several targets are watched, the first stands for all.
        first = found["stages"][0]["target"] if found["stages"] else ""
        cells = {(one["direction"], one["stage"]): mark(one, reasons) for one in found["stages"] if one["target"] == first}
        lines.append(f"| {row.summary} | " + " | ".join(cells.get(column, "-") for column in columns) + " |")
    text = HEAD + "\n".join(lines) + "\n"
    if reasons:
        text += "\n" + "\n".join(f"{number}. {why}" for why, number in reasons.items()) + "\n"
    if missing:
        text += "\nNot tried on the machine that wrote this (Linux " + kernel() + "): " + ", ".join(missing) + ".\n"
    return text
