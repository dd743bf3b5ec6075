"""One UNet call three ways: ours, diffusers' IP-Adapter, and the plain formula. Used by tests and benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from faceid_tunes.faceid_core.adapter.attention import IdentityAttention, identity_kv
from faceid_tunes.faceid_core.adapter.model import Adapter, load_adapter
from faceid_tunes.faceid_core.adapter.tokens import ClipFeatures, identity_tokens
from faceid_tunes.faceid_core.adapter.variants import Variant
from faceid_tunes.faceid_core.engines.embedded.unet import attention_heads, bind_identities, merge_lora
from faceid_tunes.faceid_core.faces.face import Face, Faces
from torch import Tensor

from .adapters import AdapterTensors, adapter_tensors, write_safetensors
from .oracle import diffusers_ip_adapter, plain_formula, relative_l2
from .unet import inputs

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

POSITIVE_ROWS = (False, True)  # diffusers' order: negative first


@dataclass(frozen=True)
class Errors:
    """Relative L2 of our UNet output against each reference."""

    diffusers: float
    formula: float


def random_faces(photos: int = 1, seed: int = 0, space: str = "w600k_r50") -> Faces:
    """Faces with ArcFace-like embeddings (length about 20) of one "person": a common direction plus noise."""
    draw = np.random.default_rng(seed)
    person = draw.standard_normal(512)
    return Faces(
        faces=tuple(
            Face(
                photo=photo,
                box=np.array([10, 10, 110, 110], np.float32),
                landmarks=np.array([[40, 50], [80, 50], [60, 70], [45, 90], [75, 90]], np.float32),
                score=0.9,
                embedding=(person + 0.3 * draw.standard_normal(512)).astype(np.float32),
                crop=draw.integers(0, 256, (224, 224, 3), np.uint8),
            )
            for photo in range(photos)
        ),
        space=space,
        pack="buffalo_l",
        provider="CPUExecutionProvider",
    )


def random_clip(photos: int, seed: int = 3) -> ClipFeatures:
    generator = torch.Generator().manual_seed(seed)
    return ClipFeatures(
        torch.randn(photos, 257, 1280, generator=generator), torch.randn(1, 257, 1280, generator=generator)
    )


@contextmanager
def saved_adapter(tensors: AdapterTensors, variant: str) -> Iterator[Adapter]:
    """The tensors as an adapter loaded from a file, the way users get it."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_safetensors(Path(folder) / f"ip-adapter-faceid-{variant}.safetensors", tensors)
        yield load_adapter(path)


def adapter_for(unet: UNet2DConditionModel, variant: str, base: str, lora_rank: int = 8) -> AdapterTensors:
    """A random adapter with the widths of ``unet``."""
    widths = {
        f"{name}.processor": module.to_q.out_features
        for name, module in unet.named_modules()
        if name.endswith(".attn2")
    }
    return adapter_tensors(
        variant,
        base,
        hidden=[widths[name] for name in unet.attn_processors if name in widths],
        context=unet.config.cross_attention_dim,
        lora_rank=lora_rank,
    )


def errors(
    unet: UNet2DConditionModel,
    sections: AdapterTensors,
    variant: str,
    *,
    strength: float,
    lora: float,
    photos: int = 1,
) -> Errors:
    """Our output on a diffusers UNet against both references, for one setting."""
    faces, clip = random_faces(photos), random_clip(photos)
    with torch.inference_mode(), saved_adapter(sections, variant) as adapter:
        ours = _ours(unet, adapter, faces, clip, strength, lora)
        with diffusers_ip_adapter(unet, sections, strength, lora) as host:
            call, embeds = _diffusers_call(host, adapter, faces, clip)
            by_diffusers = host(**call).sample
            tokens = host.encoder_hid_proj(embeds)[0].flatten(1, 2)
        with plain_formula(unet, sections, tokens, strength, lora) as host:
            by_formula = host(**inputs(host)).sample
    return Errors(relative_l2(ours, by_diffusers), relative_l2(ours, by_formula))


def _ours(unet, adapter: Adapter, faces: Faces, clip: ClipFeatures, strength: float, lora: float) -> Tensor:
    before = dict(unet.attn_processors)
    kv = identity_kv(adapter, identity_tokens(adapter, faces, clip), attention_heads(unet, adapter))
    bind_identities(unet, adapter, [IdentityAttention(kv, strength)]).rows = POSITIVE_ROWS
    merge_lora(unet, adapter, lora)
    try:
        return unet(**inputs(unet)).sample
    finally:
        merge_lora(unet, adapter, -lora)
        unet.set_attn_processor(before)


def _diffusers_call(host, adapter: Adapter, faces: Faces, clip: ClipFeatures) -> tuple[dict, list[Tensor]]:
    """Arguments for diffusers' IP-Adapter: zero embeddings for the negative row, the faces for the positive."""
    variant = adapter.spec.variant
    rows = [face.embedding if variant.uses_raw_embedding else face.unit_embedding for face in faces.faces]
    if not variant.per_photo:
        mean = np.mean(rows, axis=0)
        rows = [mean / np.linalg.norm(mean)]
    positive = torch.from_numpy(np.stack(rows)).float()
    embeds = [torch.stack([torch.zeros_like(positive), positive])]
    if variant.uses_clip:
        projection = host.encoder_hid_proj.image_projection_layers[0]
        projection.clip_embeds = torch.stack([clip.blank, clip.crops.mean(0, keepdim=True)])
        projection.shortcut, projection.shortcut_scale = variant is Variant.PLUS_V2, 1.0
    if variant is Variant.PORTRAIT_UNNORM:
        embeds = [embeds[0].unsqueeze(2)]  # diffusers' resampler reads [B, n, tokens, width]
    call = inputs(host)
    call["added_cond_kwargs"] = {**call.get("added_cond_kwargs", {}), "image_embeds": embeds}
    return call, embeds
