"""The same in ComfyUI: COMFYUI_PATH=... <ComfyUI's python> benchmarks/fidelity_comfyui.py

FaceIDApply on a ComfyUI model, sampled by ComfyUI's own CFG guider, against the formula written out on a diffusers UNet
with the same weights. SD 1.5 at true width, SDXL at reduced width, fp32; the bound is 1e-5.
"""

from __future__ import annotations

import _setup

_setup.comfyui()

from support.comfy_fidelity import error_in_comfyui  # noqa: E402
from support.comfy_model import comfy_model  # noqa: E402
from support.fidelity import adapter_for  # noqa: E402
from support.unet import sd15_unet, sdxl_unet  # noqa: E402

BOUND = 1e-5


def matrix():
    """(base, UNet, variants, (strength, lora) settings)"""
    every = [(strength, lora) for strength in (0.0, 0.8, 1.5) for lora in (0.0, 1.0)]
    yield "sd15", sd15_unet(), ("faceid", "plus", "plusv2", "portrait"), every
    yield "sdxl", sdxl_unet(), ("faceid", "plusv2", "portrait", "portrait_unnorm"), [(0.8, 0.0), (0.8, 1.0)]


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
