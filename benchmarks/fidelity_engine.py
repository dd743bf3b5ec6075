"""How far the embedded engine is from diffusers' own IP-Adapter: python benchmarks/fidelity_engine.py

A checkpoint, adapters and an image encoder of full size with random weights, fp32 on the CPU. Prints the relative L2 of
the UNet's output with the engine's own inputs (bound 1e-5) and of a picture's finished latent after 4 steps with the
same scheduler, seed and guidance (bound 1e-4). Some minutes on two cores.
"""

from __future__ import annotations

import tempfile

import _setup  # noqa: F401
from faceid_tunes.faceid_core.engines.embedded import DiffusersEngine
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import open_store
from support.embedded import embedded_models, engine_errors, keep_people

UNET_BOUND, LATENT_BOUND = 1e-5, 1e-4


def main() -> None:
    engine = DiffusersEngine(embedded_models(), device="cpu", preview=True)
    met = True
    print(f"{'adapter':8} {'size':>9} {'steps':>5} {'unet':>9} {'latent':>9}")
    with tempfile.TemporaryDirectory() as home, open_store(home) as store:
        keep_people(store)
        engine.draw(Prompt("a mountain", w=64, h=64, steps=1), store)
        for variant, size in (("faceid", 128), ("faceid", 256), ("plusv2", 128)):
            found = engine_errors(engine, variant, store, size=size, steps=4)
            met = met and found.unet <= UNET_BOUND and found.latent <= LATENT_BOUND
            print(f"{variant:8} {size:4}x{size:<4} {4:5} {found.unet:9.2e} {found.latent:9.2e}", flush=True)
    print(f"bounds {UNET_BOUND:.0e} and {LATENT_BOUND:.0e}: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
