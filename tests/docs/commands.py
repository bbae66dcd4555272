#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the commands of a page of documentation and compares what they print with what the page shows.

    commands.py PAGE...         runs every ```console block: lines that begin with "$ " are commands, what follows them is
                                their output, and a line "..." stands for any lines
    commands.py --check PAGE... only looks for blocks with commands that are not run and do not say why:
                                <!-- not run: REASON --> on the line before the block, or <!-- run each --> if
                                examples.py runs them

Figures, times and the kernel's name are another's on every machine; they are compared as such. Exit status 1: a command
failed, or printed something of another shape.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

COMMAND = re.compile(r"^(\$|sudo|vethtrace (?!0\.)|tools/|ctest|chrt|nft|git|apt|kubectl|systemctl|promtool|curl)|^\$ ")
LIMIT_SECONDS = 280
RUN_EACH = "<!-- run each -->"


def blocks(page):
    """(info string, the line before, its lines, number of its first line) of every fenced block."""
    inside, found, before = None, [], ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"^\s*```\s*(\S*)", line)
        if fence and inside is None:
            inside = (fence.group(1), before, [], number + 1)
        elif fence:
            found.append(inside)
            inside = None
        elif inside is not None:
            inside[2].append(line)
        before = line if line.strip() else before
    return found


def steps(lines):
    """(command, expected lines) of a console block; a command goes on where its line ends in a backslash."""
    result = []
    for line in lines:
        if result and result[-1][0].endswith("\\"):
            result[-1][0] = result[-1][0][:-1] + line.strip().removeprefix("> ")
        elif line.startswith("$ "):
            result.append([line[2:], []])
        elif result:
            result[-1][1].append(line)
    return result


def shape(line):
    """The line without what is another's on every machine."""
    line = re.sub(r"kernel \S+", "kernel K", line)
    line = re.sub(r"#+", "#", line)
    line = re.sub(r"[+-]?\d[\d,]*(\.\d+)?(ns|us|ms|s)\b", "T", line)
    line = re.sub(r"[+-]?\d[\d,]*(\.\d+)?", "N", line)
    line = re.sub(r"(?<=T)\*", "", line)  # what is certain in one run need not be in another
    line = re.sub(r"(?<=\s)-(?=\s)", "T", line)  # too few samples for this percentile
    return re.sub(r"\s+", " ", line).strip().removesuffix(" #")


def matches(expected, actual):
    """Whether the actual lines are the expected ones, "..." standing for any number of lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and matches(expected[1:], actual[1:])


def run(page):
    good = True
    for info, _, lines, number in blocks(page):
        if info != "console":
            continue
        for command, expected in steps(lines):
            begun = time.monotonic()
            done = subprocess.run(["sh", "-c", command.replace("sudo ", "")], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
            actual = [shape(line) for line in done.stdout.splitlines() if line.strip()]
            wanted = [shape(line) for line in expected if line.strip()]
            same = matches(wanted, actual)
            print(f"{page}:{number}: {command}  ({time.monotonic() - begun:.1f} s)")
            if done.returncode != 0 or not same:
                good = False
                print(f"  exit status {done.returncode}; wanted:")
                print("\n".join("    " + line for line in wanted))
                print("  printed:")
                print("\n".join("    " + line for line in actual))
    return good


def check(page):
    good = True
    for info, before, lines, number in blocks(page):
        has_command = info in ("", "sh", "console") and any(COMMAND.match(line) for line in lines)
        if has_command and info != "console" and before != RUN_EACH and not before.startswith("<!-- not run: "):
            good = False
            print(f"{page}:{number}: commands that nothing runs, and no reason why: {lines[0]}")
    return good


def main():
    words = sys.argv[1:]
    what = run
    if words[:1] == ["--check"]:
        what, words = check, words[1:]
    if not words:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if all([what(Path(word)) for word in words]) else 1


if __name__ == "__main__":
    sys.exit(main())
