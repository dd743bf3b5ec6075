"""The keys and shapes of the published adapters, at any width: a file with others is not one of them.

Source: tencent-ailab/IP-Adapter, ``ip_adapter_faceid.py``, ``resampler.py``, ``attention_processor_faceid.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model_files.model_file import Shapes, side
from .layers import Base, layers

ID_WIDTH = 512
CLIP_WIDTH = 1280  # ViT-H/14
_HEAD_WIDTH = 64


def projection_shapes(shapes: Shapes, tokens: int, width: int) -> dict[str, tuple[int, ...]]:
    """Of FaceID, Plus and Portrait: an MLP, and in Plus a resampler whose latents are its tokens.

    Args:
        shapes: the file's, for the sizes that the architecture leaves open.
        tokens: per face.
        width: of a token.
    """
    hidden = side(shapes, "image_proj.proj.0.weight", 0)
    found = _linear("image_proj.proj.0", hidden, ID_WIDTH) | _linear("image_proj.proj.2", tokens * width, hidden)
    found |= _norm("image_proj.norm", width)
    if any(key.startswith("image_proj.perceiver_resampler.") for key in shapes):
        found |= _resampler(shapes, "image_proj.perceiver_resampler.", width, CLIP_WIDTH, width)
    return found


def resampler_shapes(shapes: Shapes, tokens: int, width: int) -> dict[str, tuple[int, ...]]:
    """Of Portrait unnorm: a resampler with latents of its own that reads one embedding. Arguments as above."""
    inner = side(shapes, "image_proj.latents", 2)
    return {"image_proj.latents": (1, tokens, inner)} | _resampler(shapes, "image_proj.", inner, ID_WIDTH, width)


def attention_shapes(base: Base, hidden: Sequence[int], width: int, rank: int | None) -> dict[str, tuple[int, ...]]:
    """Keys and values of every layer, and the LoRA of ``rank`` on all attention (None: without one)."""
    found: dict[str, tuple[int, ...]] = {}
    for layer, size in zip(layers(base), hidden, strict=True):
        found |= {f"ip_adapter.{layer.index}.to_{kv}_ip.weight": (size, width) for kv in "kv"}
        if rank is None:
            continue
        for index, context in ((layer.index - 1, size), (layer.index, width)):
            for linear, columns in (("q", size), ("k", context), ("v", context), ("out", size)):
                found[f"ip_adapter.{index}.to_{linear}_lora.down.weight"] = (rank, columns)
                found[f"ip_adapter.{index}.to_{linear}_lora.up.weight"] = (size, rank)
    return found


def difference(shapes: Shapes, expected: Mapping[str, tuple[int, ...]]) -> str | None:
    """What a file lacks or has in another size, as a sentence; None when all is there."""
    missing = sorted(expected.keys() - shapes.keys())
    if missing:
        return f"{len(missing)} tensors are missing, among them {missing[0]}."
    for key, shape in expected.items():
        if shapes[key] != shape or 0 in shape:
            found, wanted = ("x".join(map(str, one)) or "a single number" for one in (shapes[key], shape))
            return f"{key} is {found} where the rest of the file needs {wanted}. Download it again."
    return None


def _resampler(shapes: Shapes, prefix: str, inner: int, columns: int, width: int) -> dict[str, tuple[int, ...]]:
    found = _linear(f"{prefix}proj_in", inner, columns) | _linear(f"{prefix}proj_out", width, inner)
    found |= _norm(f"{prefix}norm_out", width)
    depth = sum(key.startswith(f"{prefix}layers.") and key.endswith(".0.to_q.weight") for key in shapes)
    for layer in range(max(depth, 1)):
        attention, feed_forward = f"{prefix}layers.{layer}.0", f"{prefix}layers.{layer}.1"
        heads = side(shapes, f"{attention}.to_q.weight", 0) // _HEAD_WIDTH * _HEAD_WIDTH
        wide = side(shapes, f"{feed_forward}.1.weight", 0)
        found |= _norm(f"{attention}.norm1", inner) | _norm(f"{attention}.norm2", inner)
        found |= {f"{attention}.to_q.weight": (heads, inner), f"{attention}.to_kv.weight": (2 * heads, inner)}
        found |= {f"{attention}.to_out.weight": (inner, heads)} | _norm(f"{feed_forward}.0", inner)
        found |= {f"{feed_forward}.1.weight": (wide, inner), f"{feed_forward}.3.weight": (inner, wide)}
    return found


def _linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
