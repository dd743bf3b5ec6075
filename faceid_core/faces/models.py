"""The two ONNX sessions of a face pack, run by insightface's own model classes."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import LRUCache
from ..errors import FacePackError, MissingDependencyError
from ..model_files.impostor import Impostor, impostor
from .packs import FacePack, file_identity

if TYPE_CHECKING:
    from insightface.model_zoo import SCRFD, ArcFaceONNX

log = logging.getLogger(__name__)

# Best first. TensorRT is left out: it compiles for minutes for each input size. CoreML is left out: it needs fixed
# input sizes, and a photo takes milliseconds on the CPU. Azure is not a local device.
_PROVIDERS = (
    "CUDAExecutionProvider",
    "ROCMExecutionProvider",
    "MIGraphXExecutionProvider",
    "DmlExecutionProvider",
    "OpenVINOExecutionProvider",
)
_CPU = "CPUExecutionProvider"

# Installs what is missing and changes no installed package; says what to do when an installed package conflicts.
_INSTALLER = Path(__file__).parents[2] / "install.py"


@dataclass(frozen=True, eq=False)
class FaceModels:
    """detector, recogniser: insightface objects; provider: what their sessions really run on."""

    detector: SCRFD
    recogniser: ArcFaceONNX
    provider: str


_loaded: LRUCache[FaceModels] = LRUCache(limit=2)


def load_models(pack: FacePack) -> FaceModels:
    """The pack's models, loaded once; the two packs used last stay in memory.

    Raises FacePackError for a damaged or wrong file, MissingDependencyError with the pip command to run.
    """
    key = (file_identity(pack.detector), file_identity(pack.recogniser))
    return _loaded.get_or_make(key, lambda: _load(pack))


def _load(pack: FacePack) -> FaceModels:
    scrfd, arcface = _import_runtime()
    detection = _pack_session(pack.detector)
    recognition = _pack_session(pack.recogniser)
    try:
        # One session with free input sizes: by default insightface opens another one for every size tried.
        detector = scrfd(str(pack.detector), session=detection, static_shape_sessions=False)
        recogniser = arcface(str(pack.recogniser), session=recognition)
    except (AssertionError, ValueError, IndexError, TypeError) as error:
        raise FacePackError(
            f"The files of face pack {pack.name} cannot be used as a detector and a recogniser: {error!r}."
        ) from error
    if not detector.use_kps:
        raise FacePackError(f"{pack.detector} finds faces but no landmarks: use a detector with key points (_kps).")
    if tuple(recogniser.input_size) != (112, 112):
        raise FacePackError(f"{pack.recogniser} takes {recogniser.input_size} pixels; the model must take 112x112.")
    provider = _device(detection, recognition)
    log.info("face pack %s runs on %s", pack.name, provider)
    return FaceModels(detector, recogniser, provider)


def open_session(file: Path, *, quiet: bool = False) -> Any:
    """An onnxruntime session of any ONNX file, on the best device there is, else on the CPU.

    quiet: without onnxruntime's warnings. Raises MissingDependencyError, and onnxruntime's own exceptions for a file
    that it cannot run: they share no public base class.
    """
    onnxruntime = _import_onnxruntime()
    options = onnxruntime.SessionOptions()
    if quiet:
        options.log_severity_level = 3  # errors
    available = onnxruntime.get_available_providers()
    wanted = [provider for provider in _PROVIDERS if provider in available]
    if "CUDAExecutionProvider" in wanted:
        _preload_cuda(onnxruntime)
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=[*wanted, _CPU])
    except Exception as error:
        if not wanted:
            raise
        log.warning("%s did not start on %s (%s); trying the CPU", file.name, ", ".join(wanted), error)
    return onnxruntime.InferenceSession(str(file), options, providers=[_CPU])


def _pack_session(file: Path) -> Any:
    try:
        return open_session(file)
    except MissingDependencyError:
        raise
    except Exception as error:
        raise FacePackError(_unreadable(file, error)) from error


def _preload_cuda(onnxruntime: Any) -> None:
    """CUDA and cuDNN come with torch; onnxruntime finds them only once they are in the process."""
    import torch  # noqa: F401

    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()


def _device(*sessions: Any) -> str:
    """The provider both sessions run on, asked from them: onnxruntime falls back to the CPU without an error."""
    return " and ".join(dict.fromkeys(session.get_providers()[0] for session in sessions))


def _unreadable(file: Path, error: Exception) -> str:
    with file.open("rb") as stream:
        found = impostor(stream.read(512))
    if found is None:
        kind = f"is damaged or cut short ({type(error).__name__})"
    else:
        kind = "is empty" if found is Impostor.EMPTY else f"is {found.value}, not the model"
    return f"The face pack file {file} ({file.stat().st_size:,} bytes) {kind}: download it again."


def _import_runtime() -> tuple[Any, Any]:
    _import_onnxruntime()
    try:
        from insightface.model_zoo import SCRFD, ArcFaceONNX

        if metadata.version("insightface").startswith(("0.", "1.")):
            raise ImportError(f"version {metadata.version('insightface')} is too old")
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise MissingDependencyError(_advice("insightface 2.0 or newer", error)) from error
    return SCRFD, ArcFaceONNX


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018  (missing if two runtimes were installed and one of them was uninstalled)
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(_advice("an ONNX runtime", error)) from error
    return onnxruntime


def _advice(needed: str, error: Exception) -> str:
    return (
        f'Finding faces needs {needed}, and no working one is installed ({error}). Run: "{sys.executable}" '
        f'"{_INSTALLER}", then restart. It does not change an installed GPU runtime.'
    )
