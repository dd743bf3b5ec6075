"""Face swappers: ONNX models that paint a person, given as an ArcFace embedding, into another person's aligned crop.

Contracts (docs/facts/faces.md 3.1 and 3.4): inswapper, ReSwapper (its framing shifted at 256) and HyperSwap. All were
trained on embeddings of w600k_r50. This package contains none of the files; each family has its own licence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..cache import LRUCache
from ..errors import MissingDependencyError
from ..faces.models import open_session
from ..faces.packs import W600K_R50, file_identity
from ..model_files.kinds import Kind
from ..model_files.model_file import ModelFile, open_model_file
from ..model_files.onnx_header import Header, Value, Weight
from ..weights.check import warn_if_changed
from .errors import READER, RetouchError, needed

log = logging.getLogger(__name__)

TEMPLATE = "arcface_128"

# Files whose inputs look alike but whose embeddings are those of another recogniser, or a picture.
_REFUSED = {
    "simswap": "SimSwap needs embeddings from its own converter (crossface_simswap)",
    "ghost": "GHOST needs embeddings from its own converter (crossface_ghost)",
    "hififace": "HifiFace needs embeddings from its own converter (crossface_hififace)",
    "blendswap": "BlendSwap takes a source picture instead of an embedding",
    "uniface": "UniFace takes a source picture instead of an embedding",
}
_SUPPORTED = "inswapper_128, reswapper_128, reswapper_256 and hyperswap_*_256 can be used."
_EMAP_NAMES = ("buff2fs", "emap")
_EMAP_LIMIT = 8 << 20  # bytes; 512x512 in double precision has 2 MB


@dataclass(frozen=True)
class Contract:
    """The inputs and outputs of a family of swappers.

    Attributes:
        family: "inswapper", "reswapper" or "hyperswap".
        size: pixels a side of the crop.
        mean, std: the model sees and returns (value / 255 - mean) / std, RGB.
        has_emap: the embedding goes through a 512x512 matrix in the file first.
        shift: added to the template, in pixels of the crop.
        licence: of the published files.
        space: the embedding space of its sources (``FacePack.space``).
    """

    family: str
    size: int
    mean: float
    std: float
    has_emap: bool
    shift: float
    licence: str
    space: str = W600K_R50


@dataclass(frozen=True, eq=False)
class Swapper:
    """A loaded swapper.

    Attributes:
        name: of the file.
        contract: its inputs and outputs.
        emap: [512, 512] float32, or None.
        session: of onnxruntime.
        picture_name, source_name: of its inputs.
        provider: what the session really runs on.
    """

    name: str
    contract: Contract
    emap: np.ndarray | None = field(repr=False)
    session: Any = field(repr=False)
    picture_name: str
    source_name: str
    provider: str

    @property
    def space(self) -> str:
        """The embedding space of its sources."""
        return self.contract.space

    @property
    def licence(self) -> str:
        return self.contract.licence


_loaded: LRUCache[Swapper] = LRUCache(limit=2)


def load_swapper(path: Path) -> Swapper:
    """The swapper in an ONNX file, loaded once; the two used last stay in memory.

    Raises:
        RetouchError: the file is missing, damaged, not a swapper (says what it is instead), or cannot be used.
        MissingDependencyError: onnxruntime is not installed.
    """
    key = file_identity(path) if path.is_file() else path  # a missing file is refused below and not cached
    return _loaded.get_or_make(key, lambda: _load(open_model_file(path, READER)))


def source_latent(embedding: np.ndarray, swapper: Swapper) -> np.ndarray:
    """[1, 512] float32: a person's unit embedding ([512]) as the swapper takes it. Equals insightface's INSwapper."""
    latent = embedding.reshape(1, -1).astype(np.float32)
    if swapper.emap is None:
        return latent
    latent = latent @ swapper.emap
    return latent / np.linalg.norm(latent)


def swap_crop(crop: np.ndarray, latent: np.ndarray, swapper: Swapper) -> np.ndarray:
    """The aligned crop with the person painted in: [S, S, 3] float32, 0 to 255.

    S may be a multiple of the model's size ("pixel boost"). Then every S/size-th pixel of every S/size-th row makes a
    crop of the model's size; each is swapped, and all are interleaved again. A face of 512 pixels gets 512 pixels of
    detail from a model of 128 with 16 runs.

    Args:
        crop: [S, S, 3] uint8 RGB.
        latent: of ``source_latent``.

    Raises:
        RetouchError: the model did not return a crop.
    """
    size = swapper.contract.size
    factor = crop.shape[0] // size
    phases = crop.reshape(size, factor, size, factor, 3).transpose(1, 3, 0, 2, 4)
    swapped = np.empty(phases.shape, np.float32)
    for row in range(factor):
        for column in range(factor):
            swapped[row, column] = _run(phases[row, column], latent, swapper)
    return swapped.transpose(2, 0, 3, 1, 4).reshape(crop.shape)


def _run(crop: np.ndarray, latent: np.ndarray, swapper: Swapper) -> np.ndarray:
    contract = swapper.contract
    picture = (crop.astype(np.float32) / 255 - contract.mean) / contract.std
    feed = {swapper.picture_name: picture.transpose(2, 0, 1)[None], swapper.source_name: latent}
    types = {
        value.name: np.float16 if "float16" in value.type else np.float32 for value in swapper.session.get_inputs()
    }
    feed = {name: np.ascontiguousarray(value, types[name]) for name, value in feed.items()}
    output = swapper.session.run(None, feed)[0].astype(np.float32)
    if output.shape != (1, 3, *crop.shape[:2]) or not np.isfinite(output).all():
        raise RetouchError(f"{swapper.name} returned {output.shape} or NaN: download it again.")
    return np.clip((output[0].transpose(1, 2, 0) * contract.std + contract.mean) * 255, 0, 255)


def _load(file: ModelFile) -> Swapper:
    header = file.header
    if file.kind is not Kind.SWAPPER or header is None or header.picture is None:
        raise needed(file, "a face swapper")
    picture = header.picture
    emap = _read_emap(file.path, header)
    contract = _contract(file.name, header, _size(file.name, picture), emap is not None)
    source = next(value for value in header.inputs if value is not picture)
    try:
        session = open_session(file.path, quiet=True)  # it warns that nothing uses the emap, which is correct
    except MissingDependencyError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise RetouchError(f"{file.name}: onnxruntime cannot run it ({error}). Download it again.") from error
    provider = session.get_providers()[0]
    warn_if_changed(file.path)
    log.info("%s (%s) runs on %s; licence: %s", file.name, contract.family, provider, contract.licence)
    emap = emap if contract.has_emap else None
    return Swapper(file.name, contract, emap, session, picture.name, source.name, provider)


def _contract(file_name: str, header: Header, size: int, has_emap: bool) -> Contract:
    """The contract by the file's name if signatures are equal, else by its signature."""
    name = file_name.lower()
    for known, why in _REFUSED.items():
        if known in name:
            raise RetouchError(f"{file_name}: {why}, which is not supported. {_SUPPORTED}")
    if len(header.inputs) != 2 or all(len(value.shape) == 4 for value in header.inputs):
        raise RetouchError(f"{file_name}: a swapper that takes more than a crop and an embedding. {_SUPPORTED}")
    outputs = {value.name for value in header.outputs}
    if size == 256 and ("hyperswap" in name or {"output", "mask"} <= outputs):
        return Contract("hyperswap", size, 0.5, 0.5, False, 0.0, "ResearchRAIL-MS: research only")
    if size not in (128, 256) or not has_emap:
        missing = "" if has_emap else " and no embedding map"
        raise RetouchError(f"{file_name}: an unknown swapper of {size} pixels{missing}. {_SUPPORTED}")
    if size == 256 or "reswapper" in name:
        # README of ReSwapper: away from 128, crops are scaled about pixel centres.
        shift = size / 256 - 0.5
        return Contract("reswapper", size, 0.0, 1.0, True, shift, "AGPL-3.0; trained on inswapper's output")
    return Contract("inswapper", size, 0.0, 1.0, True, 0.0, "InsightFace: non-commercial research only")


def _size(file_name: str, picture: Value) -> int:
    """Pixels a side; from the name, if the file leaves it open (an export with dynamic axes)."""
    height, width = picture.shape[2:]
    if height != width:
        raise RetouchError(f"{file_name}: its crop is {width}x{height} pixels, not a square. {_SUPPORTED}")
    return height or (256 if "256" in file_name else 128)


def _read_emap(path: Path, header: Header) -> np.ndarray | None:
    """[512, 512] float32, read from its place in the file; None when there is no such matrix.

    insightface takes the last weight of the file, and parses the whole file again for it.
    """
    named = [weight for weight in header.weights if weight.name in _EMAP_NAMES]
    for weight in (*named, *header.weights[-1:]):
        matrix = _read_weight(path, weight)
        if matrix is not None and matrix.shape == (512, 512):
            return matrix.astype(np.float32)
    return None


def _read_weight(path: Path, weight: Weight) -> np.ndarray | None:
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, numpy_helper

    if weight.end - weight.start > _EMAP_LIMIT:
        return None
    with path.open("rb") as file:
        file.seek(weight.start)
        content = file.read(weight.end - weight.start)
    try:
        tensor = TensorProto.FromString(content)
    except DecodeError:
        return None
    if tensor.data_location == TensorProto.EXTERNAL:
        raise RetouchError(f"{path.name}: its weights are in a second file, which is not supported. {_SUPPORTED}")
    try:
        return numpy_helper.to_array(tensor)
    except (TypeError, ValueError):  # sizes and numbers do not go together; onnxruntime says more
        return None
