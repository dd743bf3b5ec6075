"""The containers models are shared in: safetensors, and PyTorch's own (a zip archive or a legacy pickle stream)."""

from __future__ import annotations

import pickle
from enum import Enum
from pathlib import Path

from .reasons import Reason, UnreadableError

_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own


class Container(Enum):
    SAFETENSORS = "safetensors"
    ZIP = "PyTorch zip"
    PICKLE = "PyTorch pickle"
    ONNX = "ONNX"


class DamagedFileError(UnreadableError):
    """The file ends too early, or holds what its container cannot."""

    def __init__(self, detail: object = "") -> None:
        super().__init__(Reason.DAMAGED, detail)


class CodeInFileError(UnreadableError):
    """The pickle holds objects other than tensors; loading those runs code."""

    def __init__(self, detail: object = "") -> None:
        super().__init__(Reason.CODE, detail)


def container(head: bytes) -> Container | None:
    """What a model file is by its first bytes (nine are enough), or None. ONNX files have no mark of their own."""
    # First, for 8 bytes of header length may begin as a pickle does; then comes a JSON object.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _HEADER_LIMIT:
        return Container.SAFETENSORS
    if head.startswith(b"PK\x03\x04"):
        return Container.ZIP
    return Container.PICKLE if head.startswith(b"\x80") else None


def load_pickle(path: Path, *, mapped: bool) -> object:
    """The content of a PyTorch file, read with ``weights_only``, so no code in it ever runs.

    Args:
        path: a file that ``torch_scan`` has seen: torch itself hangs on some, and takes all memory for others.
        mapped: the tensors share the file's pages and only those that are looked at are read; for zip archives.

    Raises:
        DamagedFileError: the file ends too early, or is not what its container says.
        CodeInFileError: it holds objects other than tensors.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        # torch reports a stream that ends inside an opcode and one with foreign classes by the same type.
        is_cut = any(mark in str(error) for mark in ("truncated", "Ran out of input"))
        raise (DamagedFileError if is_cut else CodeInFileError)(str(error)) from error
    except (
        EOFError,
        RuntimeError,
        ValueError,
        LookupError,
        OSError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:
        raise DamagedFileError(str(error)) from error
