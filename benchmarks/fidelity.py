"""How far our UNet output is from the reference: python benchmarks/fidelity.py

SD 1.5 at true width and SDXL's 70 layers at reduced width, on a diffusers UNet, fp32. Prints the relative L2 of the
whole UNet output against diffusers' own IP-Adapter and against the formula written out; the bound is 1e-5.
"""

from __future__ import annotations

import _setup  # noqa: F401
from support.fidelity import adapter_for, errors
from support.unet import sd15_unet, sdxl_unet

BOUND = 1e-5


def matrix():
    """(base, UNet, variants, (strength, lora) settings)"""
    every = [(strength, lora) for strength in (0.0, 0.8, 1.5) for lora in (0.0, 1.0)]
    yield "sd15", sd15_unet(), ("faceid", "plus", "plusv2", "portrait"), every
    yield "sdxl", sdxl_unet(), ("faceid", "plusv2", "portrait", "portrait_unnorm"), [(0.8, 0.0), (0.8, 1.0)]


def main() -> None:
    worst = 0.0
    print(f"{'base':5} {'variant':16} {'strength':>8} {'lora':>5} {'vs diffusers':>13} {'vs formula':>11}")
    for base, unet, variants, settings in matrix():
        for variant in variants:
            sections = adapter_for(unet, variant, base, lora_rank=128)
            for strength, lora in settings:
                found = errors(unet, sections, variant, strength=strength, lora=lora)
                worst = max(worst, found.diffusers, found.formula)
                print(
                    f"{base:5} {variant:16} {strength:8} {lora:5} {found.diffusers:13.2e} {found.formula:11.2e}",
                    flush=True,
                )
    print(f"worst {worst:.2e}, bound {BOUND:.0e}: {'met' if worst <= BOUND else 'MISSED'}")


if __name__ == "__main__":
    main()
