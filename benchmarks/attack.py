"""Everything that a stranger may hand us, made to do harm: python benchmarks/attack.py [--verbose] [AREA ...]

Each trick and each mutated file has to end in a sentence or without harm: no traceback, nothing that takes over 30 s or
2 GB more (or waits for 2 minutes), no code that runs, no file or request outside. Options: ``--files COUNT`` mutated
files (default: 20,600), ``--verbose`` prints what a user reads of every trick. An area runs in a process of its own;
that of the nodes' inputs in ComfyUI's Python.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _setup  # noqa: F401
from attacks import areas
from attacks.trick import SECRET, Area, Place, Tricks, outcome
from support.comfyui import find_comfyui

FILES = 20_600
_LIMIT = 1500.0  # seconds for an area
_DATA = 8 * 2**30  # bytes of memory for an area: it fails before the machine does


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("areas", nargs="*", default=list(areas()))
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(areas()[options.areas[0]], options.files)
    rows = [row(name, options) for name in options.areas]
    print(f"\n{'area':26} {'tricks':>7} {'held':>7} {'files':>7} {'held':>7} {'seconds':>8}")
    for name, *numbers in [*rows, ("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True)))]:
        print(f"{name:26} {numbers[0]:7} {numbers[1]:7} {numbers[2]:7} {numbers[3]:7} {numbers[4]:8.0f}")
    return int(any(row[1] != row[2] or row[3] != row[4] for row in rows))


def row(name: str, options: argparse.Namespace) -> tuple[str, int, int, int, int, float]:
    """Runs an area and prints what got through, or everything."""
    started, counts = time.monotonic(), [0, 0, 0, 0]
    python = str(find_comfyui().python) if areas()[name].in_comfyui else sys.executable
    command = [python, __file__, "--worker", name, "--files", str(options.files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            at = 2 * (told["kind"] == "file")
            counts[at] += 1
            counts[at + 1] += told["held"]
            if not told["held"] or (options.verbose and told["kind"] == "trick"):
                print(f"{'held' if told['held'] else 'THROUGH':8}{name}: {told['name']}\n        {told['said']}")
        assert process.stderr is not None
        complaint = process.stderr.read()
    if process.returncode:
        counts[0] += 1
        print(f"THROUGH {name}: the process ended with {process.returncode}\n{complaint[-2000:]}")
    return (name, *counts, time.monotonic() - started)


def work(area: Area, files: int) -> int:
    """One area, in this process; a line of JSON for each outcome."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA, _DATA))
    told, sys.stdout = sys.stdout, sys.stderr  # a program may print; the lines stay whole
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.outside.mkdir()
        place.inside.mkdir()
        (place.outside / "secret").write_text(SECRET)
        os.chdir(place.inside)  # a trick may be a file's name
        kinds: list[tuple[str, Tricks]] = [("trick", area.tricks(place))]
        if area.mutated is not None:
            mutated = area.mutated(place, random.Random(area.name))
            kinds.append(("file", itertools.islice(mutated, round(files * area.share))))
        ends = time.monotonic() + _LIMIT
        for kind, tricks in kinds:
            for name, attempt in tricks:
                found = outcome(place, attempt)
                line = {"kind": kind, "name": name, "held": found.is_held, "said": found.said}
                print(json.dumps(line), file=told, flush=True)
                if time.monotonic() > ends:
                    raise SystemExit(f"{area.name} takes over {_LIMIT:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
