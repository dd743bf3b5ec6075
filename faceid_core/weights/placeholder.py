"""Model files with random weights: the published key sets and sizes, and noise for a picture.

With them everything runs, loading included, where the real weights are not available.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from .published_shapes import faceid_sd15_shapes, sd15_shapes

OnTensor = Callable[[int, int], None]  # (done, total)

PLACEHOLDER_BYTES = 2_300_000_000  # checkpoint and adapter together

_BLOCK = 1 << 22  # values drawn at a time

# sqrt(512) scales a unit embedding of 512 numbers to order one; a LoRA is a small part of its layer.
_EMBEDDING_GAIN, _LORA_GAIN = 512**0.5, 0.02


def write_placeholder_checkpoint(path: Path, on_tensor: OnTensor | None = None) -> Path:
    """A full-size SD 1.5 checkpoint (2.1 GB), one fp16 file like ``v1-5-pruned-emaonly.safetensors``."""
    return write_random_fp16(path, sd15_shapes(), on_tensor=on_tensor)


def write_placeholder_adapter(path: Path, on_tensor: OnTensor | None = None) -> Path:
    """A full-size FaceID adapter for SD 1.5 (97 MB), as safetensors."""
    shapes = faceid_sd15_shapes()
    gains = {key: _LORA_GAIN for key in shapes if key.endswith("_lora.up.weight")}
    return write_random_fp16(
        path, shapes, gains=gains | {"image_proj.proj.0.weight": _EMBEDDING_GAIN}, on_tensor=on_tensor
    )


def write_random_fp16(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    seed: int = 0,
    gains: Mapping[str, float] | None = None,
    on_tensor: OnTensor | None = None,
) -> Path:
    """An fp16 safetensors file of ``shapes``.

    Matrices and kernels are normal / sqrt(fan in), vectors named ``*.weight`` (norms) are one, all others zero, and
    ``*position_ids`` count up as int64; ``gains`` multiplies the tensors it names. Tensors are drawn and written one
    at a time, so a 2 GB file needs little memory (``safetensors.save_file`` needs all of them at once, and a copy).
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, shape in shapes.items():
        kind, width = ("I64", 8) if key.endswith("position_ids") else ("F16", 2)
        end = offset + width * math.prod(shape)
        header[key] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draw = torch.Generator().manual_seed(seed)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, (key, shape) in enumerate(shapes.items(), 1):
            for block in _blocks(draw, key, shape, (gains or {}).get(key, 1.0)):
                block.numpy().tofile(file)
            if on_tensor is not None:
                on_tensor(number, len(shapes))
    return path


def _blocks(draw: torch.Generator, key: str, shape: tuple[int, ...], gain: float) -> Iterator[torch.Tensor]:
    if key.endswith("position_ids"):
        yield torch.arange(math.prod(shape))
        return
    if len(shape) < 2:
        yield torch.full(shape, gain if key.endswith(".weight") else 0.0, dtype=torch.float16)
        return
    # Rows of an embedding table are selected, not summed: they are of order one whatever its length.
    std = gain if "embedding" in key and len(shape) == 2 else gain / math.prod(shape[1:]) ** 0.5
    scratch = torch.empty(min(math.prod(shape), _BLOCK))
    for start in range(0, math.prod(shape), _BLOCK):
        yield scratch[: math.prod(shape) - start].normal_(0.0, std, generator=draw).half()
