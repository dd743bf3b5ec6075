"""One UNet call by ComfyUI's sampler with FaceIDApply, against the plain formula. Used by tests and benchmarks."""

from __future__ import annotations

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from diffusers import UNet2DConditionModel
from faceid_tunes.faceid_core.adapter.tokens import identity_tokens

from .adapters import AdapterTensors
from .comfy_model import UNetCall, UNetSpy, apply, conditioning, sample, size_conditioning
from .fidelity import random_clip, random_faces, saved_adapter
from .oracle import plain_formula, relative_l2


def error_in_comfyui(
    unet: UNet2DConditionModel,
    model: ModelPatcher,
    sections: AdapterTensors,
    variant: str,
    strength: float,
    lora: float,
    photos: int = 1,
) -> float:
    """Relative L2 of ComfyUI's UNet output with FaceIDApply against the plain formula on diffusers' UNet.

    ``model`` is the ComfyUI model with the weights of ``unet``.
    """
    faces, clip = random_faces(photos), random_clip(photos)
    with saved_adapter(sections, variant) as adapter:
        shown = apply(model, adapter, faces, clip=clip, strength=strength, lora_strength=lora)
        tokens = identity_tokens(adapter, faces, clip)
    call = one_call(shown, unet.config.cross_attention_dim)
    rows = torch.stack([tokens.negative, tokens.positive])
    with torch.inference_mode(), plain_formula(unet, sections, rows, strength, lora) as reference:
        sdxl = unet.config.addition_embed_type == "text_time"
        added = {"added_cond_kwargs": size_conditioning(call.x)} if sdxl else {}
        expected = reference(call.x, call.timesteps, call.context, **added).sample
    return relative_l2(call.out, expected)


def one_call(model, width: int) -> UNetCall:
    """One CFG step: negative and positive in one batch, in that order."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(width, 1.0), conditioning(width, -1.0, seed=8))
    guider.set_cfg(3.0)
    with UNetSpy(model) as spy:
        sample(guider, size=(8, 16))
    (call,) = spy.calls
    assert call.cond_or_uncond == [1, 0]
    return call
