"""Super-resolution models: load a file as an ``Upscaler`` (spandrel's architectures), and enlarge a picture in tiles.

Inside ComfyUI, its own Load Upscale Model does this; this module does the same without ComfyUI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..cache import LRUCache
from ..errors import MissingDependencyError
from ..faces import tensor_from_photos
from ..faces.packs import file_identity
from ..model_files.kinds import Kind
from ..model_files.model_file import open_model_file
from ..weights.check import warn_if_changed
from .errors import READER, RetouchError, needed
from .network import build_network

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

_TILE = 256  # pixels a side; activations of RealESRGAN_x4plus take 0.4 GB
_MARGIN = 32  # pixels around a tile that are computed with it and dropped: at borders a network guesses


@dataclass(frozen=True, eq=False)
class Upscaler:
    """A loaded super-resolution model. scale: the factor by which it enlarges a side."""

    name: str
    scale: int
    model: ImageModelDescriptor = field(repr=False)


_loaded: LRUCache[Upscaler] = LRUCache(limit=1)


def load_upscaler(path: Path) -> Upscaler:
    """The model in a .pth or .safetensors file, loaded once; the one used last stays in memory.

    Raises:
        RetouchError: the file is missing, damaged, not a super-resolution model (says what it is instead), or of an
        unknown kind.
        MissingDependencyError: spandrel has to be installed.
    """
    key = file_identity(path) if path.is_file() else path  # a missing file is refused below and not cached
    return _loaded.get_or_make(key, lambda: _load(path))


def upscale(
    picture: np.ndarray,
    upscaler: Upscaler,
    device: torch.device,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The picture ([H, W, 3] uint8 RGB), enlarged ``upscaler.scale`` times.

    Args:
        on_tile: called (done, total) before each tile and after the last; raises to stop.
    """
    height, width = picture.shape[:2]
    model, scale = upscaler.model.to(device), upscaler.scale
    larger = np.empty((height * scale, width * scale, 3), np.uint8)
    tiles = list(_tiles(height, width))
    with torch.no_grad():
        for number, (top, left) in enumerate(tiles):
            on_tile(number, len(tiles))
            bottom, right = min(top + _TILE, height), min(left + _TILE, width)
            above, before = max(top - _MARGIN, 0), max(left - _MARGIN, 0)
            seen = picture[above : bottom + _MARGIN, before : right + _MARGIN]
            drawn = model(tensor_from_photos([seen]).movedim(-1, 1).to(device))
            inner = _to_picture(drawn)[(top - above) * scale :, (left - before) * scale :]
            larger[top * scale : bottom * scale, left * scale : right * scale] = inner[
                : (bottom - top) * scale, : (right - left) * scale
            ]
    on_tile(len(tiles), len(tiles))
    return larger


def _tiles(height: int, width: int) -> Iterator[tuple[int, int]]:
    return ((top, left) for top in range(0, height, _TILE) for left in range(0, width, _TILE))


def _to_picture(drawn: torch.Tensor) -> np.ndarray:
    return (drawn[0].float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _load(path: Path) -> Upscaler:
    file = open_model_file(path, READER)
    warn_if_changed(path)
    if file.kind not in (Kind.UPSCALER, Kind.UNKNOWN):
        raise needed(file, "a super-resolution model")
    if file.header is not None:
        raise RetouchError(f"{file.name}: ONNX files of super-resolution models cannot be used. Use the .pth file.")
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise MissingDependencyError("super_resolution needs spandrel. Run: pip install spandrel") from error
    try:
        model = build_network(file, ModelLoader().load_from_state_dict, "a published model")
    except UnsupportedModelError as error:
        raise RetouchError(f"{file.name}: spandrel does not know this super-resolution model.") from error
    if not isinstance(model, ImageModelDescriptor) or (model.input_channels, model.output_channels) != (3, 3):
        raise RetouchError(f"{file.name}: does not turn a colour picture into one. Use RealESRGAN_x4plus.pth.")
    return Upscaler(file.name, model.scale, model.eval())
