"""What applying an identity costs: COMFYUI_PATH=... <ComfyUI's python> benchmarks/apply.py

FaceIDApply on SD 1.5 at true width with a published-size adapter: first and second apply, what stays in memory, whether
clones share it, and how many random numbers were drawn (building modules for the adapter would draw millions).
"""

from __future__ import annotations

import statistics
import time
from collections import Counter

import _setup

_setup.comfyui()

import torch  # noqa: E402
from faceid_tunes.nodes.sampling_run import IDENTITIES  # noqa: E402
from sampling_cost import OperationCount  # noqa: E402
from support.comfy_model import StandInViTH, apply, comfy_model  # noqa: E402
from support.fidelity import adapter_for, random_clip, random_faces, saved_adapter  # noqa: E402
from support.unet import sd15_unet  # noqa: E402

RANDOM = {"normal_", "uniform_", "random_", "randn", "rand", "bernoulli_", "exponential_"}


def seconds(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    unet = sd15_unet()
    model = comfy_model(unet)
    for variant in ("faceid", "plusv2"):
        measure(unet, model, variant)


def measure(unet, model, variant: str) -> None:
    with saved_adapter(adapter_for(unet, variant, "sd15", lora_rank=128), variant) as adapter:
        faces, clip_vision = random_faces(), StandInViTH(random_clip(1))
        with OperationCount() as count:
            first = seconds(lambda: apply(model, adapter, faces, clip_vision=clip_vision))
        drawn = sum(number for name, number in Counter(count.seen).items() if name in RANDOM)
        again = [seconds(lambda: apply(model, adapter, faces, clip_vision=clip_vision)) for _ in range(10)]
        baseline = [seconds(lambda: model.clone()) for _ in range(10)]
        shown = apply(model, adapter, faces, clip_vision=clip_vision)
    clone, stores = shown, set()
    for _ in range(10):
        clone = clone.clone()
        kv = clone.model_options["transformer_options"][IDENTITIES][0].attention.kv
        stores.add((kv.keys.data_ptr(), kv.values.data_ptr()))
    second, bare = statistics.median(again), statistics.median(baseline)
    print(
        f"{variant:7} first apply {first * 1e3:7.1f} ms (random operations: {drawn}), "
        f"second {second * 1e3:5.1f} ms (a bare model.clone(): {bare * 1e3:.1f} ms), "
        f"K/V {kv.nbytes / 1e6:.3f} MB, 10 clones hold {len(stores)} copy"
    )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
