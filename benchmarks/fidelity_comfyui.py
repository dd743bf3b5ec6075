"""The same in ComfyUI: COMFYUI_PATH=... <ComfyUI's python> benchmarks/fidelity_comfyui.py

FaceIDApply on a ComfyUI model, sampled by ComfyUI's own CFG guider, against the formula written out on a diffusers UNet
with the same weights. SD 1.5 at true width, SDXL at reduced width, fp32; the bound is 1e-5.
"""

from __future__ import annotations

import _setup

_setup.comfyui()

from fidelity import BOUND, matrix  # noqa: E402
from support.comfy_fidelity import error_in_comfyui  # noqa: E402
from support.comfy_model import comfy_model  # noqa: E402
from support.fidelity import adapter_for  # noqa: E402


def main() -> None:
    worst = 0.0
    print(f"{'base':5} {'variant':16} {'strength':>8} {'lora':>5} {'vs formula':>11}")
    for base, unet, variants, settings in matrix():
        model = comfy_model(unet)
        for variant in variants:
            sections = adapter_for(unet, variant, base, lora_rank=128)
            for strength, lora in settings:
                error = error_in_comfyui(unet, model, sections, variant, strength, lora)
                worst = max(worst, error)
                print(f"{base:5} {variant:16} {strength:8} {lora:5} {error:11.2e}", flush=True)
    print(f"worst {worst:.2e}, bound {BOUND:.0e}: {'met' if worst <= BOUND else 'MISSED'}")


if __name__ == "__main__":
    main()
