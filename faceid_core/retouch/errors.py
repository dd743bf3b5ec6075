"""The errors of retouching."""

from __future__ import annotations

from ..errors import FaceIDError
from ..model_files.model_file import ModelFile
from ..model_files.reasons import Reader, Reason


class RetouchError(FaceIDError):
    """A swapper or restorer file cannot be used, or is used with the wrong faces, pictures or numbers."""


READER = Reader(
    RetouchError,
    words={
        Reason.UNKNOWN: "{name}: neither an ONNX, nor a PyTorch, nor a safetensors file. Download it again.",
        Reason.DAMAGED: "{name}: damaged or cut short ({size:,} bytes). Download it again.",
    },
)


def needed(file: ModelFile, what: str) -> RetouchError:
    """The error for a readable file of another kind. what: with its article, "a face swapper"."""
    return RetouchError(f"{file.name}: {what} is needed here; this is {file.kind.what}. {file.kind.place}".rstrip())
