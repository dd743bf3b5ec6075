"""Device memory of a person's keys and values: COMFYUI_PATH=... <ComfyUI's python> benchmarks/identity_memory.py

Full widths of SD 1.5, FaceID from 1 photo and Portrait from 5, float16. For each batch: the bytes behind all tensors
that the layers read, each storage once, with CFG's rows in one call and in calls of their own, both kept. A mask's
weights are counted for the rows of one of the two. The last lines are what ComfyUI's own estimate of a sampling gains.
"""

from __future__ import annotations

from dataclasses import replace

import _setup

_setup.comfyui()

import comfy.model_management  # noqa: E402
import comfy.samplers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from faceid_tunes.faceid_core.adapter.attention import IdentityAttention, identity_kv  # noqa: E402
from faceid_tunes.faceid_core.adapter.mask import RegionMask  # noqa: E402
from faceid_tunes.faceid_core.adapter.rows import Rows  # noqa: E402
from faceid_tunes.faceid_core.adapter.tokens import identity_tokens, tokens_per_face  # noqa: E402
from faceid_tunes.nodes.sampling_run import IDENTITIES  # noqa: E402
from support.adapters import adapter_tensors  # noqa: E402
from support.comfy_model import apply, comfy_model, conditioning, sample  # noqa: E402
from support.fidelity import adapter_for, random_faces, saved_adapter  # noqa: E402
from support.unet import sd15_unet  # noqa: E402

MB = 1 << 20
SIZE = (64, 64)  # cells of a latent of 512 x 512
BATCHES = (1, 4, 16, 64)


def held(attention: IdentityAttention, batch: int) -> int:
    """Bytes of what the layers of calls [-, +], [-] and [+] read."""
    pictures = np.arange(batch)
    places = tuple(np.broadcast_to(at, (2 * batch, *SIZE)).copy() for at in np.mgrid[: SIZE[0], : SIZE[1]])
    storages = {}
    for roles in ([False, True], [False], [True]):
        count = batch * len(roles)
        rows = Rows(np.repeat(roles, batch), np.tile(pictures, len(roles)), tuple(at[:count] for at in places))
        ready = attention.ready(rows, torch.float16, torch.device("cpu"), SIZE)
        for tensor in (*(each for layer in ready.layers for each in layer), *ready.weights):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    attention.release()
    return sum(storages.values())


def report(title: str, attention: IdentityAttention, batches: tuple[int, ...] = BATCHES) -> None:
    row = attention.kv.nbytes / 2 / attention.kv.rows  # float16, K and V of one row
    for batch in batches:
        found, counted = held(attention, batch), attention.nbytes(batch, SIZE, torch.float16)
        print(
            f"{title:34} batch {batch:2}: {found / MB:7.2f} MB = {found / row:6.2f} rows of K and V; "
            f"counted {counted / MB:7.2f} MB"
        )


def estimate(model, batch: int) -> float:
    asked = []
    load = comfy.model_management.load_models_gpu

    def recorded(models, memory_required, **more):
        asked.append(memory_required)
        load(models, memory_required, **more)

    comfy.model_management.load_models_gpu = recorded
    try:
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(conditioning(64, 1.0), conditioning(64, -1.0))
        sample(guider, batch=batch)
    finally:
        comfy.model_management.load_models_gpu = load
    return asked[0]


def main() -> None:
    half = RegionMask(torch.ones(1, 512, 512))
    for variant, photos in (("faceid", 1), ("portrait", 5)):
        with saved_adapter(adapter_tensors(variant, "sd15", lora_rank=4), variant) as adapter:
            heads = [8] * len(adapter.layers)
            faces = random_faces(photos)
            kv = identity_kv(adapter, identity_tokens(adapter, faces), heads)
            title = f"{variant}, {photos} photo{'s' if photos > 1 else ''}"
            report(title, IdentityAttention(kv, 1.0))
            report(f"{title}, mask", IdentityAttention(kv, 1.0, half))
            if variant == "faceid":
                frames = replace(faces, faces=faces.faces * 16)
                per_frame = identity_kv(adapter, tokens_per_face(adapter, frames), heads)
                report("faceid, a face for each of 16", IdentityAttention(per_frame, 1.0), (16,))
    unet = sd15_unet((32, 64, 64, 64), context=64)
    bare = comfy_model(unet)
    with saved_adapter(adapter_for(unet, "portrait", "sd15", lora_rank=4), "portrait") as adapter:
        shown = apply(bare, adapter, random_faces(5), lora_strength=0.0)
        attention = shown.model_options["transformer_options"][IDENTITIES][0].attention
        for batch in (1, 4):
            gained = estimate(shown, batch) - estimate(bare, batch)
            print(
                f"ComfyUI's estimate, reduced width, batch {batch}: {gained:.0f} bytes more; "
                f"K and V in float32: {attention.kv.nbytes}"
            )


if __name__ == "__main__":
    main()
