"""Face restorers: GFPGAN, RestoreFormer and CodeFormer through spandrel, any of them and GPEN as ONNX files.

Every one takes and returns [1, 3, S, S] RGB from -1 to 1. spandrel's descriptors are used to build the modules only:
the descriptors themselves give GFPGAN and CodeFormer values from 0 to 1 and clamp away half of the result
(docs/facts/faces.md 4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..cache import LRUCache
from ..errors import MissingDependencyError
from ..faces.models import open_session
from ..faces.packs import file_identity
from ..model_files.kinds import RESTORERS, Kind
from ..model_files.model_file import ModelFile, open_model_file
from ..model_files.onnx_header import Header
from ..model_files.tells import RESTORER_SIDES
from ..weights.check import warn_if_changed
from .errors import READER, RetouchError, needed
from .network import build_network

if TYPE_CHECKING:
    from spandrel import Architecture

log = logging.getLogger(__name__)

Forward = Callable[[Tensor], Tensor]
RunModule = Callable[[Forward, Tensor], Tensor]  # (forward, face on the CPU) -> forward's result, on any device

_ARCHITECTURES = {Kind.GFPGAN: "GFPGAN", Kind.CODEFORMER: "CodeFormer", Kind.RESTOREFORMER: "RestoreFormer"}
_LICENCES = {
    "gfpgan": "Apache-2.0 (StyleGAN2 parts under their own)",
    "codeformer": "S-Lab License 1.0: non-commercial",
    "restoreformer": "Apache-2.0",
    "gpen": "no licence file: ask its authors",
}


@dataclass(frozen=True, eq=False)
class Restorer:
    """A loaded restorer.

    Attributes:
        name: of the file.
        architecture: "GFPGAN", "CodeFormer", "RestoreFormer", or "ONNX".
        size: pixels a side of the crop.
        has_fidelity: whether it has a fidelity (CodeFormer).
        licence: of the published weights; "unknown" for a file with an unknown name.
        module: the PyTorch module, for the host's memory management; None for ONNX.
        session: of onnxruntime; None for PyTorch.
    """

    name: str
    architecture: str
    size: int
    has_fidelity: bool
    licence: str
    module: torch.nn.Module | None = field(default=None, repr=False)
    session: Any = field(default=None, repr=False)

    @property
    def provider(self) -> str:
        """What it runs on: onnxruntime's provider, or the device the module is on now."""
        return self.session.get_providers()[0] if self.module is None else str(_device(self.module))


_loaded: LRUCache[Restorer] = LRUCache(limit=2)


def load_restorer(path: Path) -> Restorer:
    """The restorer in a .pth, .safetensors or .onnx file, loaded once; the two used last stay in memory.

    Raises:
        RetouchError: the file is missing, damaged, not a restorer (says what it is instead), or cannot be used.
        MissingDependencyError: spandrel, spandrel_extra_arches or onnxruntime has to be installed.
    """
    key = file_identity(path) if path.is_file() else path  # a missing file is refused below and not cached
    return _loaded.get_or_make(key, lambda: _load(open_model_file(path, READER)))


def restore_crop(crop: np.ndarray, restorer: Restorer, fidelity: float, run: RunModule | None = None) -> np.ndarray:
    """The aligned crop restored: [S, S, 3] float32, 0 to 255.

    Args:
        crop: [S, S, 3] uint8 RGB, S the restorer's size, in the framing "ffhq_512".
        fidelity: 0 (beautiful) to 1 (faithful); only CodeFormer uses it.
        run: runs a PyTorch module as the host needs it, for example on the device that its memory management chose:
            ``lambda forward, face: forward(face.to(device)).cpu()``. Default: where the module is.

    Raises:
        RetouchError: the model did not return a face crop.
    """
    face = (crop.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
    if restorer.module is None:
        restored = _run_onnx(restorer.session, face, fidelity)
    else:
        whole = torch.from_numpy(np.ascontiguousarray(face))
        restored = _run_module(restorer, restorer.module, whole, fidelity, run)
    if restored.shape != face.shape or not np.isfinite(restored).all():
        raise RetouchError(
            f"{restorer.name} returned {restored.shape} or NaN for a face of {face.shape}: download it again."
        )
    return np.clip((restored[0].transpose(1, 2, 0) + 1) * 127.5, 0, 255)


def _run_module(
    restorer: Restorer, module: torch.nn.Module, face: Tensor, fidelity: float, run: RunModule | None
) -> np.ndarray:

    def forward(face: Tensor) -> Tensor:
        # The keywords are the modules' own. GFPGAN draws its noise from torch's global generator unless told to use the
        # noise in the file; CodeFormer ignores a misspelled `weight` without an error.
        keywords: dict[str, dict[str, object]] = {
            "GFPGAN": {"return_rgb": False, "randomize_noise": False},
            "CodeFormer": {"weight": fidelity},
        }
        restored: Tensor = module(face, **keywords.get(restorer.architecture, {}))[0]
        return restored

    with torch.no_grad():
        restored = run(forward, face) if run else forward(face.to(_device(module)))
    return restored.detach().to("cpu", torch.float32).numpy()


def _run_onnx(session: Any, face: np.ndarray, fidelity: float) -> np.ndarray:
    feed = {}
    for value in session.get_inputs():
        number = np.float16 if "float16" in value.type else np.float64 if "double" in value.type else np.float32
        is_picture = len(value.shape) == 4
        feed[value.name] = np.ascontiguousarray(face, number) if is_picture else _filled(value.shape, fidelity, number)
    return session.run(None, feed)[0].astype(np.float32)


def _filled(shape: Sequence[int | str | None], value: float, number: type) -> np.ndarray:
    return np.full([side if isinstance(side, int) else 1 for side in shape], value, number)


def _load(file: ModelFile) -> Restorer:
    if file.kind not in RESTORERS:
        raise needed(file, "a face restorer")
    restorer = _load_torch(file) if file.header is None else _load_onnx(file, file.header)
    warn_if_changed(file.path)
    log.info("%s runs on %s; licence: %s", restorer.name, restorer.provider, restorer.licence)
    return restorer


def _load_onnx(file: ModelFile, header: Header) -> Restorer:
    named = next((side for side in RESTORER_SIDES[::-1] if str(side) in file.name), 512)
    side = (header.picture and header.picture.shape[2]) or named
    if len(header.inputs) > 2:
        raise RetouchError(
            f"{file.name}: takes {len(header.inputs)} inputs; only a picture and a weight are supported."
        )
    try:
        session = open_session(file.path)
    except MissingDependencyError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise RetouchError(f"{file.name}: onnxruntime cannot run it ({error}). Download it again.") from error
    return Restorer(file.name, "ONNX", side, len(header.inputs) == 2, _licence(file.name), session=session)


def _load_torch(file: ModelFile) -> Restorer:
    if file.kind is Kind.RESTOREFORMER_PP:
        raise RetouchError(
            f"{file.name}: RestoreFormer++ can be used as an ONNX file only (RestoreFormer_PP.onnx); RestoreFormer "
            "itself as .pth too."
        )
    name = _ARCHITECTURES[file.kind]
    module = build_network(file, _spandrel_architecture(name).load, f"{name} as published").model
    module.eval().requires_grad_(False)
    return Restorer(file.name, name, 512, file.kind is Kind.CODEFORMER, _licence(name), module=module)


def _spandrel_architecture(name: str) -> Architecture:
    """spandrel's description of an architecture. Its global registry is not changed."""
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError as error:
        raise MissingDependencyError("PyTorch face restorers need spandrel. Run: pip install spandrel") from error
    if name in MAIN_REGISTRY:
        return MAIN_REGISTRY[name].architecture
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} (non-commercial licence) needs one more package. Run: pip install spandrel_extra_arches, then "
            "restart; or use the ONNX file of the model."
        ) from error
    return next(support.architecture for support in EXTRA_REGISTRY if support.architecture.id == name)


def _device(module: torch.nn.Module) -> torch.device:
    return next(module.parameters()).device


def _licence(name: str) -> str:
    return next((licence for known, licence in _LICENCES.items() if known in name.lower()), "unknown")
