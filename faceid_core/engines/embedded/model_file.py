"""A model file opened at its header: what tensors it holds, before any of them is read.

For the files that the embedded engine draws with: checkpoints, LoRAs, the image encoder. Both containers they come in
are read, ``.safetensors`` and PyTorch's (with ``weights_only``, so no code in a file ever runs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...containers import CodeInFileError, Container, DamagedFileError, container, load_pickle
from ...errors import FaceIDError
from ...impostor import MODEL_ADVICE, impostor

Shapes = Mapping[str, tuple[int, ...]]

# A mapped page counts as this process's memory until its mapping is closed, so a file is mapped anew after this many
# tensors: a checkpoint is read in little more memory than the model it becomes.
_TENSORS_PER_MAPPING = 64


class CheckpointError(FaceIDError):
    """A model file of the embedded engine (checkpoint, LoRA, image encoder) is missing, damaged or something else."""


class ReplacedError(CheckpointError):
    """A model file is not the one any more that was opened."""


@dataclass(frozen=True)
class ModelFile:
    """A readable model file.

    Attributes:
        path: the file.
        shapes: key -> shape of every tensor in it.
        version: (size, mtime) of what was opened.
    """

    path: Path
    shapes: Shapes = field(repr=False)
    version: tuple[int, int]
    is_safetensors: bool = True

    @property
    def name(self) -> str:
        return self.path.name

    def read(self, keys: Iterable[str], dtype: torch.dtype = torch.float32) -> Iterator[tuple[str, Tensor]]:
        """(key, tensor) of the keys, in their order; floating-point ones as ``dtype``. Nothing shares the file's pages.

        Raises:
            CheckpointError: the file cannot be read any more; ReplacedError when it is another one by now.
        """
        if _version(self.path) != self.version:
            raise ReplacedError(f"{self.name}: was replaced while it was in use. Draw again to use the new file.")
        keys = list(keys)
        size = _TENSORS_PER_MAPPING if self.is_safetensors else len(keys)
        for start in range(0, len(keys), size or 1):
            block = keys[start : start + size]
            for key, tensor in zip(block, self._read_block(block), strict=True):
                yield key, tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)

    def _read_block(self, keys: list[str]) -> Iterator[Tensor]:
        if not self.is_safetensors:
            tensors = _read_pickle(self.path)
            yield from (tensors[key] for key in keys)
            return
        try:
            with safe_open(self.path, framework="pt") as file:
                for key in keys:
                    yield file.get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{self.name}: cannot be read any more ({error}).") from error


def open_model_file(path: Path) -> ModelFile:
    """Read the header of a model file.

    Raises:
        CheckpointError: missing, a folder, unreadable, empty, a web page, a Git LFS pointer, truncated, or no model.
    """
    head = _head(path)
    found = container(head)
    if found is Container.SAFETENSORS:
        return ModelFile(path, _safetensors_shapes(path), _version(path))
    if found is not None:
        if path.suffix.lower() == ".safetensors":  # torch.load goes by the ending
            raise CheckpointError(f"{path.name}: a PyTorch file by the name of a safetensors file. Rename it to .ckpt.")
        shapes = {key: tuple(tensor.shape) for key, tensor in _read_pickle(path).items()}
        return ModelFile(path, shapes, _version(path), is_safetensors=False)
    kind = impostor(head)
    if kind is not None:
        raise CheckpointError(f"{path.name}: {MODEL_ADVICE[kind]}")
    if head.startswith(b"GGUF"):
        raise CheckpointError(f"{path.name}: a GGUF file. The embedded engine reads .safetensors and .ckpt files.")
    raise CheckpointError(f"{path.name}: neither a safetensors nor a PyTorch file. Download it again.")


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read any more ({error.strerror}).") from error
    return stat.st_size, stat.st_mtime_ns


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise CheckpointError(
            f"{path} is a folder. The embedded engine reads a model as a single file (.safetensors), not as a folder "
            "of diffusers: download the file from the model's page."
        )
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"{path.name}: there is no such file in {path.parent}.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}).") from error


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
    except SafetensorError as error:
        raise _truncated(path) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        is_zip = container(file.read(9)) is Container.ZIP
    try:
        content = load_pickle(path, mapped=is_zip)
    except CodeInFileError as error:
        raise CheckpointError(
            f"{path.name}: holds Python objects other than tensors, which are refused because loading them runs code. "
            "Use the .safetensors file of this model."
        ) from error
    except DamagedFileError as error:
        raise _truncated(path) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path.name}: holds a {type(content).__name__}, not the tensors of a model.")
    return {str(key): tensor for key, tensor in content.items() if isinstance(tensor, Tensor)}


def _truncated(path: Path) -> CheckpointError:
    size = path.stat().st_size
    return CheckpointError(f"{path.name}: truncated or damaged after {size:,} bytes. Download it again.")
