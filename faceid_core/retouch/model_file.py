"""What a model file is, from its header: a swapper, a restorer, or something that was put into the wrong folder.

Half a gigabyte is loaded only once it is known to be the right half gigabyte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..containers import CodeInFileError, Container, DamagedFileError, container, load_pickle
from ..faces.onnx_signature import Header, Value, read_header
from ..impostor import MODEL_ADVICE, impostor
from .errors import RetouchError

# Key names that only one architecture has (spandrel's own detection, spandrel_extra_arches' for CodeFormer).
_FACE_ARCHITECTURES = {
    "GFPGAN": ("stylegan_decoder.style_mlp.1.weight", "toRGB.0.weight"),
    "CodeFormer": ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight"),
    "RestoreFormer": ("quantize.embedding.weight", "encoder.conv_in.weight", "decoder.conv_out.weight"),
}
_RESTOREFORMER_PLUS = "decoder.up.4.attn"
# Restorers whose ONNX files may leave the picture's size open, which super-resolution models do too.
_RESTORER_NAMES = ("gfpgan", "codeformer", "restoreformer", "gpen")
RESTORER_SIDES = (256, 512, 1024, 2048)


class Kind(Enum):
    """What a file is; the value continues the sentence "this is ..."."""

    SWAPPER = "a face swapper. Choose it where a face is swapped (models/insightface, models/hyperswap)."
    RESTORER = "a face restorer. Choose it where a face is corrected (models/facerestore_models)."
    UPSCALER = 'a super-resolution model. It belongs into models/upscale_models and the node "Load Upscale Model".'
    RECOGNISER = "a face recogniser: part of a face pack, not a model that changes pictures."
    DETECTOR = "a face detector: part of a face pack, not a model that changes pictures."
    CHECKPOINT = "a checkpoint of a picture generator. It belongs into a checkpoint loader."
    UNKNOWN = "no model this package knows"


@dataclass(frozen=True)
class ModelFile:
    """A file that can be read.

    Attributes:
        path: the file.
        kind: what it is.
        header: of an ONNX file, else None.
        architecture: of a PyTorch face restorer ("GFPGAN", ...), else "".
        tensors: of a PyTorch or safetensors file, keys as spandrel wants them; mapped, not read.
    """

    path: Path
    kind: Kind
    header: Header | None = None
    architecture: str = ""
    tensors: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.path.name


def open_model_file(path: Path) -> ModelFile:
    """Read a file's header and say what it is.

    Raises:
        RetouchError: missing, a folder, empty, a web page, a Git LFS pointer, damaged, or no model file at all.
    """
    head = _head(path)
    found = impostor(head)
    if found is not None:
        raise RetouchError(f"{path.name}: {MODEL_ADVICE[found]}")
    kind = container(head)
    if kind is Container.SAFETENSORS:
        return _torch_file(path, _read_safetensors(path))
    if kind is not None:
        return _torch_file(path, _read_pickle(path, mapped=kind is Container.ZIP))
    header = read_header(path)
    if header is not None:
        return ModelFile(path, _onnx_kind(path, header), header)
    if path.suffix.lower() == ".onnx":
        raise _damaged(path)
    raise RetouchError(f"{path.name}: neither an ONNX, nor a PyTorch, nor a safetensors file. Download it again.")


def picture_input(header: Header) -> Value | None:
    """The input that takes a picture, [N, 3, H, W]; None when there is none."""
    return next((value for value in header.inputs if len(value.shape) == 4), None)


def _onnx_kind(path: Path, header: Header) -> Kind:
    picture, output = picture_input(header), header.outputs[0]
    others = [value for value in header.inputs if value is not picture]
    if picture is None:
        return Kind.UNKNOWN
    if any(len(other.shape) == 2 and other.shape[1] == 512 for other in others):
        return Kind.SWAPPER
    if any(len(other.shape) == 4 for other in others):
        return Kind.SWAPPER  # of the kind that is shown a source picture; refused by name when it is loaded
    if len(header.outputs) >= 5:
        return Kind.DETECTOR
    if len(output.shape) == 2:
        return Kind.RECOGNISER
    if any(name in path.name.lower() for name in _RESTORER_NAMES):
        return Kind.RESTORER
    side = picture.shape[2]
    same_size = not output.shape or output.shape[2:] in (picture.shape[2:], (0, 0))
    if side in RESTORER_SIDES and picture.shape[3] == side and same_size:
        return Kind.RESTORER
    return Kind.UPSCALER if picture.shape[1] in (0, 1, 3, 4) else Kind.UNKNOWN


def _torch_file(path: Path, content: object) -> ModelFile:
    if not isinstance(content, Mapping):
        raise RetouchError(f"{path.name}: holds a {type(content).__name__}, not the tensors of a model.")
    tensors = _canonical(content)
    for architecture, keys in _FACE_ARCHITECTURES.items():
        if all(key in tensors for key in keys):
            if architecture == "RestoreFormer" and any(key.startswith(_RESTOREFORMER_PLUS) for key in tensors):
                architecture = "RestoreFormer++"
            return ModelFile(path, Kind.RESTORER, architecture=architecture, tensors=tensors)
    if any(key.startswith(("model.diffusion_model.", "first_stage_model.")) for key in tensors):
        return ModelFile(path, Kind.CHECKPOINT)
    return ModelFile(path, Kind.UPSCALER if _is_upscaler(tensors) else Kind.UNKNOWN, tensors=tensors)


def _canonical(content: Mapping) -> dict[str, object]:
    """The tensors themselves: out of training checkpoints, without the prefixes of their wrappers."""
    for wrapper in ("params_ema", "params", "state_dict", "model"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    tensors = {str(key): value for key, value in content.items() if hasattr(value, "shape")}
    for prefix in ("vqvae.", "module."):  # RestoreFormer's Lightning checkpoint has its losses beside the model
        inner = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        tensors = inner or tensors
    return tensors


def _is_upscaler(tensors: Mapping[str, object]) -> bool:
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return False
    return any(support.detect(dict(tensors)) for support in MAIN_REGISTRY)


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise RetouchError(f"{path} is a folder: choose a model file in it.")
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError:
        raise RetouchError(f"{path.name}: there is no such file in {path.parent}.") from None
    except OSError as error:
        raise RetouchError(f"{path}: cannot be read ({error.strerror}).") from error


def _read_pickle(path: Path, *, mapped: bool) -> object:
    try:
        return load_pickle(path, mapped=mapped)
    except CodeInFileError as error:
        raise RetouchError(
            f"{path.name}: holds Python objects other than tensors, which are refused because loading them runs code. "
            "Use a .safetensors or ONNX file of this model."
        ) from error
    except DamagedFileError as error:
        raise _damaged(path) from error


def _read_safetensors(path: Path) -> Mapping[str, object]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> RetouchError:
    return RetouchError(f"{path.name}: damaged or cut short ({path.stat().st_size:,} bytes). Download it again.")
