"""A model file opened at its header: what it is and which tensors it holds, before any of them is read."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .containers import Container, DamagedFileError, container, load_pickle
from .impostor import impostor
from .kinds import Kind
from .onnx_header import Header, read_header
from .reasons import IMPOSTORS, Reader, Reason, UnreadableError
from .tells import Evidence, kind_of, kind_of_onnx
from .torch_scan import READABLE, TensorInfo, scan_legacy, scan_zip

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

# A mapped page counts as this process's memory until its mapping is closed, so a file is mapped anew after this many
# tensors: a checkpoint is read in little more memory than the model it becomes.
_TENSORS_PER_MAPPING = 64
_MAX_TENSORS = 100_000  # quantised checkpoints of 12 billion numbers have less than 10,000

# Where training checkpoints keep the model, and what wrappers put before every key of it. RestoreFormer's Lightning
# checkpoint has its losses beside the model.
_WRAPPERS = ("params_ema", "params", "state_dict", "model")
_PREFIXES = ("vqvae.", "module.")


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A readable model file.

    Attributes:
        path: the file.
        container: how it is stored.
        tensors: key -> shape and number type of every tensor in it, out of its wrappers; empty for ONNX.
        header: of an ONNX file, else None.
        version: (size, mtime) of what was opened.
        reader: of the room that opened it.
    """

    path: Path
    container: Container
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    header: Header | None
    version: tuple[int, int]
    reader: Reader = field(repr=False)
    prefix: str = field(default="", repr=False)  # before every key in the file

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def shapes(self) -> Shapes:
        """Key -> shape of every tensor."""
        return {key: tensor.shape for key, tensor in self.tensors.items()}

    @cached_property
    def kind(self) -> Kind:
        """What it is, by its tensors or its header."""
        if self.header is not None:
            return kind_of_onnx(self.header, self.name)
        return kind_of(Evidence(self.tensors, self.path, self.version[0]))

    def refusal(self, wanted: str, advice: str = "") -> str:
        """The sentence of a room that wanted something else.

        Args:
            wanted: with its article, "a LoRA file".
            advice: what to do instead; left out: where such a file belongs.
        """
        if self.kind is Kind.UNKNOWN:
            first = next(iter(self.tensors), None)
            return f"{self.name}: not {wanted} (its first tensor is {first!r}). {advice}".rstrip()
        return f"{self.name}: this is {self.kind.what}, not {wanted}. {advice or self.kind.place}"

    def read(self, keys: Iterable[str] | None = None, dtype: torch.dtype | None = None) -> Iterator[tuple[str, Tensor]]:
        """(key, tensor) of the keys, in their order; nothing shares the file's pages, and every number is finite.

        Args:
            keys: of ``tensors``; left out: all.
            dtype: of the floating-point ones; left out: as in the file.

        Raises:
            FaceIDError: the room's own: the file cannot be read any more, was replaced by another, or holds NaN.
        """
        keys = list(self.tensors if keys is None else keys)
        try:
            if _version(self.path) != self.version:
                raise UnreadableError(Reason.REPLACED)
            for key in keys:
                if self.tensors[key].dtype not in READABLE:
                    raise UnreadableError(Reason.NUMBERS, f"{key} of type {self.tensors[key].dtype}")
            for key, tensor in self._read(keys):
                _check_finite(key, tensor)
                wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
                yield key, tensor.to(wanted, copy=self.container is not Container.PICKLE)
        except DamagedFileError as error:
            raise self.reader.refusal(Reason.GONE, self.path, error.detail) from error
        except UnreadableError as error:
            raise self.reader.refusal(error.reason, self.path, error.detail) from error

    def _read(self, keys: list[str]) -> Iterator[tuple[str, Tensor]]:
        if self.container is Container.SAFETENSORS:
            for start in range(0, len(keys), _TENSORS_PER_MAPPING):
                yield from _read_safetensors(self.path, keys[start : start + _TENSORS_PER_MAPPING], self.prefix)
        elif keys:
            import torch

            content = load_pickle(self.path, mapped=self.container is Container.ZIP)
            tensors = _flat(content, torch.Tensor)
            yield from ((key, tensors[self.prefix + key]) for key in keys)


def open_model_file(path: Path, reader: Reader) -> ModelFile:
    """Read the header of a model file.

    Raises:
        FaceIDError: the reader's own, for one of the ``Reason``.
    """
    try:
        head = _head(path)
        version = _version(path)
        found = container(head)
        if found is None:
            return ModelFile(path, Container.ONNX, {}, _onnx_header(path, head), version, reader)
        # torch.load goes by the ending.
        if found is not Container.SAFETENSORS and path.suffix.lower() == ".safetensors":
            raise UnreadableError(Reason.MISNAMED)
        scan = {Container.SAFETENSORS: _scan_safetensors, Container.ZIP: scan_zip, Container.PICKLE: scan_legacy}[found]
        tensors = _flat(scan(path), TensorInfo)
        prefix = next((one for one in _PREFIXES if any(key.startswith(one) for key in tensors)), "")
        inner = {key.removeprefix(prefix): info for key, info in tensors.items() if key.startswith(prefix)}
        return ModelFile(path, found, inner, None, version, reader, prefix)
    except UnreadableError as error:
        raise reader.refusal(error.reason, path, error.detail) from error


def side(shapes: Shapes, key: str, number: int) -> int:
    """A side of a tensor; 0 when there is no such tensor or side."""
    shape = shapes.get(key, ())
    return shape[number] if number < len(shape) else 0


def _version(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableError(Reason.GONE, error.strerror) from error
    return found.st_size, found.st_mtime_ns


def _head(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnreadableError(Reason.FOLDER)
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
            raise UnreadableError(Reason.SPECIAL, stat.filemode(mode))
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError as error:
        raise UnreadableError(Reason.MISSING) from error
    except OSError as error:
        raise UnreadableError(Reason.REFUSED, error.strerror) from error


def _onnx_header(path: Path, head: bytes) -> Header:
    saved = impostor(head)
    if saved is not None:
        raise UnreadableError(IMPOSTORS[saved])
    if head.startswith(b"GGUF"):
        raise UnreadableError(Reason.GGUF)
    header = read_header(path)
    if header is None:
        raise UnreadableError(Reason.DAMAGED if path.suffix.lower() == ".onnx" else Reason.UNKNOWN)
    return header


def _scan_safetensors(path: Path) -> dict[str, TensorInfo]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            if len(keys) > _MAX_TENSORS:
                raise UnreadableError(Reason.TOO_MUCH, f"{len(keys):,} tensors")
            slices = ((key, file.get_slice(key)) for key in keys)
            return {key: TensorInfo(tuple(one.get_shape()), one.get_dtype()) for key, one in slices}
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(error) from error


def _read_safetensors(path: Path, keys: list[str], prefix: str) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            for key in keys:
                yield key, file.get_tensor(prefix + key)
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError) as error:
        raise DamagedFileError(error) from error


def _flat(content: Any, kind: type) -> dict[str, Any]:
    """The tensors of a file, out of its training checkpoint; those of its sections as ``section.key``."""
    if not isinstance(content, Mapping):
        raise UnreadableError(Reason.NO_TENSORS, type(content).__name__)
    inner = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
    if inner is not None:
        return {str(key): value for key, value in inner.items() if isinstance(value, kind)}
    flat = {}
    for key, value in content.items():
        if isinstance(value, kind):
            flat[str(key)] = value
        elif isinstance(value, Mapping):
            flat |= {f"{key}.{name}": one for name, one in value.items() if isinstance(one, kind)}
    return flat


def _check_finite(key: str, tensor: Tensor) -> None:
    """One sum instead of a mask as large as the tensor: NaN and infinity stay in it."""
    import torch

    if not tensor.is_floating_point():
        return
    if tensor.itemsize < 2:
        tensor = tensor.to(torch.float16)
    total = tensor.sum(dtype=torch.float32 if tensor.itemsize < 8 else None)
    if not torch.isfinite(total) and not torch.isfinite(tensor).all():
        raise UnreadableError(Reason.NOT_FINITE, key)
