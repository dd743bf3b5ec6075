"""The face parser: which part of a face, or what in front of it, each pixel of an aligned face shows.

The published file is facexlib's ``parsing_bisenet.pth`` (docs/facts/faces.md 3.6). Every one of its tensors is loaded,
and no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..cache import LRUCache
from ..faces.packs import file_identity
from ..model_files.kinds import Kind
from ..model_files.model_file import ModelFile, open_model_file
from ..weights.check import warn_if_changed
from .bisenet import BiSeNet
from .errors import READER, RetouchError, needed
from .restorer import RunModule

log = logging.getLogger(__name__)

Parse = Callable[[np.ndarray], np.ndarray]  # [N, 512, 512, 3] uint8 RGB to [N, 512, 512] uint8 labels

TEMPLATE, SIDE = "ffhq_512", 512  # the framing that facexlib's parser is given
LICENCE = "MIT"
_BATCH = 4  # faces at once: 0.2 GB of activations each
# ImageNet's, which the parser was trained with (facexlib inference_parsing.py).
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class FaceParser:
    """A loaded face parser. name: of the file."""

    name: str
    module: torch.nn.Module = field(repr=False)


_loaded: LRUCache[FaceParser] = LRUCache(limit=1)  # 53 MB


def load_parser(path: Path) -> FaceParser:
    """The face parser in a .pth or .safetensors file, loaded once and kept.

    Raises:
        RetouchError: the file is missing, damaged, not a face parser (says what it is instead), or has other tensors
            than the published one.
    """
    key = file_identity(path) if path.is_file() else path  # a missing file is refused below and not cached
    return _loaded.get_or_make(key, lambda: _load(open_model_file(path, READER)))


def parse_crops(crops: np.ndarray, parser: FaceParser, run: RunModule | None = None) -> np.ndarray:
    """The label of each pixel, [N, 512, 512] uint8, of ``face_mask.Part``.

    Args:
        crops: [N, 512, 512, 3] uint8 RGB, in the framing "ffhq_512".
        run: see ``restore_crop``.
    """
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))

    def labels(pictures: Tensor) -> Tensor:
        logits: Tensor = parser.module(pictures)
        return logits.argmax(1).to(torch.uint8)

    parts = []
    with torch.no_grad():
        for start in range(0, len(crops), _BATCH):
            batch = torch.from_numpy(crops[start : start + _BATCH].transpose(0, 3, 1, 2) / np.float32(255))
            batch = (batch - mean) / std
            parts.append(run(labels, batch) if run else labels(batch.to(next(parser.module.parameters()).device)))
    return torch.cat([part.cpu() for part in parts]).numpy()


def _load(file: ModelFile) -> FaceParser:
    if file.kind is not Kind.FACE_PARSER:
        raise needed(file, "a face parser (BiSeNet)")
    with torch.device("meta"):
        module = BiSeNet()
    try:
        module.load_state_dict(dict(file.read(dtype=torch.float32)), strict=True, assign=True)
    except RuntimeError as error:  # keys or shapes
        first = str(error).split("\n\t")[-1]
        raise RetouchError(
            f"{file.name}: its tensors are not those of parsing_bisenet.pth as published ({first}). Download it again: "
            "faceid weights fetch --for face-mask."
        ) from error
    module.eval().requires_grad_(False)
    warn_if_changed(file.path)
    log.info("%s (BiSeNet); licence: %s", file.name, LICENCE)
    return FaceParser(file.name, module)
