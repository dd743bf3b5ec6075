"""Random weights of any size, written straight to a safetensors file and kept in a cache folder.

Tensors are drawn and written one at a time, so a 2 GB file needs little memory (`safetensors.save_file` needs all of
them at once, and a copy).
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

Shapes = Mapping[str, tuple[int, ...]]

_BLOCK = 1 << 22  # values drawn at a time


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/faceid-tunes-tests`, else `~/.cache/faceid-tunes-tests`. Created."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "faceid-tunes-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(name: str, write: Callable[[Path], object]) -> Path:
    """The cached file `name`, made once by `write(path)`. Never seen half-written: it is renamed into place."""
    target = cache_dir() / name
    if not target.exists():
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=target.parent)
        os.close(handle)
        try:
            write(Path(temporary))
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return target


def write_random_fp16(path: Path, shapes: Shapes, seed: int = 0, gains: Mapping[str, float] | None = None) -> Path:
    """fp16 safetensors of `shapes`: matrices and kernels are normal / sqrt(fan in), vectors named `*.weight` (norms)
    are one, all others zero, `*position_ids` count up as int64. `gains` multiplies the tensors it names."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
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
        for key, shape in shapes.items():
            for block in _blocks(draw, key, shape, (gains or {}).get(key, 1.0)):
                block.numpy().tofile(file)
    return path


def _blocks(draw: torch.Generator, key: str, shape: tuple[int, ...], gain: float) -> Iterator[torch.Tensor]:
    if key.endswith("position_ids"):
        yield torch.arange(math.prod(shape))
        return
    if len(shape) < 2:
        yield torch.full(shape, gain if key.endswith(".weight") else 0.0, dtype=torch.float16)
        return
    # An embedding table is looked up, not summed over: its rows are of order one whatever its length.
    std = gain if "embedding" in key and len(shape) == 2 else gain / math.prod(shape[1:]) ** 0.5
    scratch = torch.empty(min(math.prod(shape), _BLOCK))
    for start in range(0, math.prod(shape), _BLOCK):
        yield scratch[: math.prod(shape) - start].normal_(0.0, std, generator=draw).half()
