"""Why a model file cannot be read: a closed list, one sentence for each, and how a room says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..errors import FaceIDError
from .impostor import MODEL_ADVICE, Impostor


class Reason(Enum):
    """The value is the sentence: of ``name``, ``path``, ``folder``, ``size`` in bytes and a ``detail``."""

    MISSING = "{name}: there is no such file in {folder}."
    FOLDER = "{path} is a folder: choose a model file in it."
    SPECIAL = "{path} is not a regular file ({detail}). Choose a model file."
    REFUSED = "{path}: cannot be read ({detail})."
    EMPTY = "{name}: " + MODEL_ADVICE[Impostor.EMPTY]
    WEB_PAGE = "{name}: " + MODEL_ADVICE[Impostor.MARKUP]
    LFS_POINTER = "{name}: " + MODEL_ADVICE[Impostor.LFS_POINTER]
    GGUF = "{name}: a GGUF file, which is not read here. Use the .safetensors file of this model."
    UNKNOWN = "{name}: neither a PyTorch nor a safetensors file. Download it again."
    ARCHIVE = "{name}: a zip archive, not a model. Unpack it and use the model file inside."
    DAMAGED = "{name}: truncated or damaged after {size:,} bytes. Download it again."
    MISNAMED = "{name}: a PyTorch file by the name of a safetensors file. Rename it to .ckpt."
    CODE = (
        "{name}: holds Python objects other than tensors, which are refused because loading them runs code. "
        "Use a .safetensors file of this model, or the file its authors published."
    )
    NO_TENSORS = "{name}: holds a {detail}, not the tensors of a model."
    TOO_MUCH = "{name}: asks for more than a model needs ({detail}). It is damaged or made to do harm: do not use it."
    NOT_FINITE = "{name}: {detail} holds NaN or infinite numbers, which spoil every picture. Download the file again."
    NUMBERS = "{name}: has tensors of a number type that cannot be read ({detail}). Use the fp16 file of this model."
    REPLACED = "{name}: was replaced while it was in use. Draw again to use the new file."
    GONE = "{path}: cannot be read any more ({detail})."


IMPOSTORS = {
    Impostor.EMPTY: Reason.EMPTY,
    Impostor.MARKUP: Reason.WEB_PAGE,
    Impostor.LFS_POINTER: Reason.LFS_POINTER,
}


@dataclass(frozen=True)
class Reader:
    """How a room reads model files.

    Attributes:
        error: what it raises.
        replaced: what it raises for a file that changed while it was in use; left out: ``error``.
        words: the sentences it has of its own.
    """

    error: type[FaceIDError]
    replaced: type[FaceIDError] | None = None
    words: Mapping[Reason, str] = field(default_factory=dict)

    def refusal(self, reason: Reason, path: Path, detail: object = "") -> FaceIDError:
        """The error to raise."""
        try:
            size = path.stat().st_size
        except OSError:
            size = 0
        sentence = self.words.get(reason, reason.value)
        text = sentence.format(name=path.name, path=path, folder=path.parent, size=size, detail=detail)
        kind = self.replaced if reason is Reason.REPLACED and self.replaced else self.error
        return kind(text)


class UnreadableError(Exception):
    """A part of the reader gives up on a file; ``open_model_file`` says it in the words of the room that asked."""

    def __init__(self, reason: Reason, detail: object = "") -> None:
        super().__init__(reason.name, detail)
        self.reason, self.detail = reason, detail
