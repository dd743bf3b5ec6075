"""Model files that are all header: right keys and shapes, and a hole in the disk for the numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path


def hollow_safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A safetensors file of fp16 zeros, of full length but without blocks on the disk."""
    header, offset = {}, 0
    for key, shape in shapes.items():
        end = offset + 2 * math.prod(shape)
        header[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)
    return path
