"""What an identity adds to each UNet call: COMFYUI_PATH=... <ComfyUI's python> benchmarks/sampling_cost.py

Counts the ATen operations of whole samplings (guider, wrappers, UNet; SD 1.5, CFG, batch 2) with a TorchDispatchMode,
bare and with FaceIDApply, and prints the difference: for the start of sampling and its first UNet call, which moves K
and V to the device, and for each call after it.
"""

from __future__ import annotations

from collections import Counter

import _setup

_setup.comfyui()

import comfy.model_management  # noqa: E402
import comfy.samplers  # noqa: E402
from support.comfy_model import apply, comfy_model, conditioning, sample  # noqa: E402
from support.fidelity import adapter_for, random_faces, saved_adapter  # noqa: E402
from support.unet import sd15_unet  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

LAYERS = 16
LINEARS = {"addmm", "mm", "bmm", "linear", "baddbmm"}
SYNCS = {"_local_scalar_dense", "item", "nonzero", "equal"}


class OperationCount(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def operations(model, steps: int, width: int) -> Counter[str]:
    comfy.model_management.load_models_gpu([model])  # not counted: loading, and merging nothing
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(width, 1.0), conditioning(width, -1.0))
    guider.set_cfg(3.0)
    with OperationCount() as count:
        sample(guider, steps=steps)
    return count.seen


def added(shown, bare, steps: int, width: int) -> Counter[str]:
    with_identity, without = operations(shown, steps, width), operations(bare, steps, width)
    with_identity.subtract(without)
    return with_identity


def report(title: str, extra: Counter[str]) -> None:
    total = sum(extra.values())
    linears = sum(extra[name] for name in LINEARS)
    syncs = sum(extra[name] for name in SYNCS)
    names = ", ".join(f"{name} {count}" for name, count in sorted(extra.items()) if count)
    print(
        f"{title:34} linears {linears:3}  host syncs {syncs:2}  operations {total:4} = {total / LAYERS:.2f} per layer"
    )
    print(f"{'':34} {names}")


def main() -> None:
    unet = sd15_unet((32, 64, 128, 128), context=128)  # the operations are the same at any width
    bare = comfy_model(unet)
    with saved_adapter(adapter_for(unet, "faceid", "sd15", lora_rank=4), "faceid") as adapter:
        for title, range_ in (("full range", {}), ("range 0 to 0.95", {"end_at": 0.95})):
            shown = apply(bare, adapter, random_faces(), lora_strength=0.0, **range_)
            one, two, three = (added(shown, bare, steps, 128) for steps in (1, 2, 3))
            report(f"{title}, start and first call", one)
            report(f"{title}, each further one", Counter({name: three[name] - two[name] for name in three | two}))


if __name__ == "__main__":
    main()
