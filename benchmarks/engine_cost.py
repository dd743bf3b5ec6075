"""What the embedded engine's first picture costs: python benchmarks/engine_cost.py [VARIANT]

A checkpoint of full size with random weights (fp16 on the disk, fp32 in memory), 256x256, 4 steps, on the CPU, with the
adapter faceid (or plusv2, which looks through CLIP ViT-H). Prints seconds and the peak of the process's memory.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time

import _setup  # noqa: F401
import torch
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
from support.embedded import embedded_models, keep_people


def peak() -> str:
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.2f} GB"  # KiB on Linux


def main() -> None:
    variant = sys.argv[1] if len(sys.argv) > 1 else "faceid"
    engine = DiffusersEngine(embedded_models(variant), device="cpu", preview=True)
    prompt = Prompt("<faceid:astronaut:1> a woman in the alps", w=256, h=256, steps=4)
    marks = {}
    with tempfile.TemporaryDirectory() as home, open_store(home) as store:
        keep_people(store)
        print(f"{variant}, {torch.get_num_threads()} threads; before: {peak()}")
        for which in ("first", "second"):
            start = time.perf_counter()
            engine.draw(prompt, store, lambda stage, done, total: marks.setdefault(stage, time.perf_counter()))
            end = time.perf_counter()
            if which == "first":
                print(f"loading {marks['drawing'] - start:.1f} s (to the end of the first step)")
            print(f"{which} picture {end - start:.1f} s, {peak()}", flush=True)


if __name__ == "__main__":
    main()
