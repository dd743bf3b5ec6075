"""Synthetic IP-Adapter FaceID files: the exact key sets, shapes and dtypes of h94/IP-Adapter-FaceID, random values.

Keys and shapes are those of the published checkpoints and of tencent-ailab/IP-Adapter (``ip_adapter_faceid.py``,
``ip_adapter_faceid_separate.py``, ``attention_processor_faceid.py``). The values are scaled so that a unit identity
embedding gives tokens, keys and values of order one, which makes a wrong layer visible in the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .cached_files import cached

AdapterTensors = dict[str, dict[str, Tensor]]

EMBEDDING_DIM = 512  # ArcFace
CLIP_DIM = 1280  # CLIP ViT-H/14 hidden states
DEPTH = 4  # of both resamplers

PUBLISHED = (
    ("faceid", "sd15"),
    ("plus", "sd15"),
    ("plusv2", "sd15"),
    ("portrait", "sd15"),
    ("faceid", "sdxl"),
    ("plusv2", "sdxl"),
    ("portrait", "sdxl"),
    ("portrait_unnorm", "sdxl"),
)

CONTEXT_DIM = {"sd15": 768, "sdxl": 2048}

# Width of every cross-attention layer, in the order of diffusers' `unet.attn_processors`:
# down blocks, up blocks, and the middle block last. One entry is (width, number of consecutive layers).
_WIDTHS = {
    "sd15": ((320, 2), (640, 2), (1280, 2), (1280, 3), (640, 3), (320, 3), (1280, 1)),
    "sdxl": ((640, 4), (1280, 20), (1280, 30), (640, 6), (1280, 10)),
}


def layer_widths(base: str, divide: int = 1) -> list[int]:
    """Hidden width of each cross-attention layer of ``base`` in key order, every one divided by ``divide``."""
    return [width // divide for width, count in _WIDTHS[base] for _ in range(count)]


def adapter_tensors(
    variant: str,
    base: str,
    *,
    hidden: Sequence[int] | None = None,
    context: int | None = None,
    lora_rank: int = 128,
    seed: int = 0,
) -> AdapterTensors:
    """``{"image_proj": {...}, "ip_adapter": {...}}`` as ``torch.load`` gives it for the published file.

    ``hidden`` (one width per cross-attention layer, see ``layer_widths``) and ``context`` (a multiple of 64, the width
    of the text tokens) shrink it for a reduced-width UNet. fp16, but for the image_proj of ``portrait_unnorm``: fp32.
    """
    if (variant, base) not in PUBLISHED:
        raise ValueError(f"No {variant!r} adapter was published for {base!r}; there are {PUBLISHED}.")
    hidden = layer_widths(base) if hidden is None else list(hidden)
    if len(hidden) != len(layer_widths(base)):
        raise ValueError(f"{base} has {len(layer_widths(base))} cross-attention layers, got {len(hidden)} widths.")
    context = CONTEXT_DIM[base] if context is None else context
    draw = _Draw(torch.Generator().manual_seed(seed))

    image_proj = dict(_image_proj(draw, variant, context))
    ip_adapter: dict[str, Tensor] = {}
    for layer, width in enumerate(hidden):
        if not variant.startswith("portrait"):
            ip_adapter |= _lora(draw, 2 * layer, width, width, lora_rank)  # self-attention
            ip_adapter |= _lora(draw, 2 * layer + 1, width, context, lora_rank)  # cross-attention
        ip_adapter[f"{2 * layer + 1}.to_k_ip.weight"] = draw.linear(width, context)
        ip_adapter[f"{2 * layer + 1}.to_v_ip.weight"] = draw.linear(width, context)
    return {
        "image_proj": image_proj if variant == "portrait_unnorm" else _half(image_proj),
        "ip_adapter": _half(ip_adapter),
    }


def write_bin(path: Path, tensors: AdapterTensors, legacy: bool = True) -> Path:
    """A ``.bin`` as ``torch.save`` writes it: the legacy pickle stream of every published file, or a zip archive."""
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    return path


def cached_adapter(variant: str, base: str, **sizes: Any) -> Path:
    """The cached ``.bin`` of a variant; ``sizes`` as ``adapter_tensors`` takes them, the same at every call."""
    name = f"random_{variant}_{base}_v1.bin"
    return cached(name, lambda path: write_bin(path, adapter_tensors(variant, base, **sizes)))


def write_safetensors(path: Path, tensors: AdapterTensors) -> Path:
    """A ``.safetensors`` with the community's flat names: ``image_proj.<key>``, ``ip_adapter.<key>``."""
    flat = {f"{part}.{key}": tensor for part, keys in tensors.items() for key, tensor in keys.items()}
    save_file(flat, path)
    return path


@dataclass
class _Draw:
    """Random weights: linear layers keep the variance of their input, norms are near the identity."""

    generator: torch.Generator

    def normal(self, *shape: int, std: float) -> Tensor:
        return torch.randn(shape, generator=self.generator).mul_(std)

    def linear(self, rows: int, columns: int, gain: float = 1.0) -> Tensor:
        return self.normal(rows, columns, std=gain / columns**0.5)

    def linear_with_bias(self, name: str, rows: int, columns: int, gain: float = 1.0) -> dict[str, Tensor]:
        return {f"{name}.weight": self.linear(rows, columns, gain), f"{name}.bias": self.normal(rows, std=0.05)}

    def norm(self, name: str, width: int) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + self.normal(width, std=0.02), f"{name}.bias": self.normal(width, std=0.02)}


def _image_proj(draw: _Draw, variant: str, context: int) -> Iterator[tuple[str, Tensor]]:
    if variant == "portrait_unnorm":
        yield "latents", draw.normal(1, 16, 1280, std=1280**-0.5)
        yield from _resampler(draw, "", dim=1280, input_dim=EMBEDDING_DIM, output_dim=context).items()
        return
    tokens = 16 if variant == "portrait" else 4
    # A unit vector of 512 components needs a gain of sqrt(512) to reach order one.
    yield from draw.linear_with_bias("proj.0", 1024, EMBEDDING_DIM, gain=EMBEDDING_DIM**0.5).items()
    yield from draw.linear_with_bias("proj.2", tokens * context, 1024).items()
    yield from draw.norm("norm", context).items()
    if variant in ("plus", "plusv2"):
        yield from _resampler(draw, "perceiver_resampler.", context, CLIP_DIM, context).items()


def _resampler(draw: _Draw, prefix: str, dim: int, input_dim: int, output_dim: int) -> dict[str, Tensor]:
    found = draw.linear_with_bias("proj_in", dim, input_dim) | draw.linear_with_bias("proj_out", output_dim, dim)
    found |= draw.norm("norm_out", output_dim)
    for layer in range(DEPTH):
        attention, feed_forward = f"layers.{layer}.0", f"layers.{layer}.1"
        found |= draw.norm(f"{attention}.norm1", dim) | draw.norm(f"{attention}.norm2", dim)
        found[f"{attention}.to_q.weight"] = draw.linear(dim, dim)
        found[f"{attention}.to_kv.weight"] = draw.linear(2 * dim, dim)
        found[f"{attention}.to_out.weight"] = draw.linear(dim, dim)
        found |= draw.norm(f"{feed_forward}.0", dim)
        found[f"{feed_forward}.1.weight"] = draw.linear(4 * dim, dim)
        found[f"{feed_forward}.3.weight"] = draw.linear(dim, 4 * dim)
    return {prefix + key: tensor for key, tensor in found.items()}


def _lora(draw: _Draw, index: int, width: int, context: int, rank: int) -> dict[str, Tensor]:
    """The four low-rank pairs of attention processor ``index``; up @ down is about 2 % of a linear layer's weight."""
    found = {}
    for name, columns in (("to_q", width), ("to_k", context), ("to_v", context), ("to_out", width)):
        found[f"{index}.{name}_lora.down.weight"] = draw.linear(rank, columns)
        found[f"{index}.{name}_lora.up.weight"] = draw.linear(width, rank, gain=0.02)
    return found


def _half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.half() for key, tensor in tensors.items()}
