"""LoRA files on a diffusers UNet and its text encoder for one drawing, and the adapter's own LoRA in the UNet.

LoRA files are computed beside the layers they change, so the weights stay as they are and nothing has to be taken back.
diffusers' own loader is not used: with transformers from 5.6 on it drops a LoRA's text encoder part silently.
Source: Hu et al., "LoRA", 2021; the file layouts of kohya-ss/sd-scripts, diffusers and PEFT.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...adapter.lora import LoraPair, lora_pairs
from ...adapter.model import Adapter
from ...model_files.kinds import Kind
from ...model_files.model_file import ModelFile, Shapes, open_model_file, side
from ...weights.check import warn_if_changed
from .checkpoint import UNET
from .errors import READER, CheckpointError
from .unet import merge_lora

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

log = logging.getLogger(__name__)

Layer = nn.Linear | nn.Conv2d

_ENDINGS = frozenset({".safetensors", ".pt", ".bin", ".ckpt"})

# How the layouts end the names of the two halves: kohya, PEFT, diffusers before PEFT (two ways for the text encoder).
_HALVES = (
    (".lora_down.weight", ".lora_up.weight"),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
)
_UNET_KEYS = ("lora_unet_", "unet_")
_TEXT_KEYS = ("lora_te_text_model_", "lora_te1_text_model_", "text_encoder_text_model_", "text_encoder_")
_OTHER_KINDS = {
    "hada_w1": "a LoHa (LyCORIS) file",
    "lokr_w": "a LoKr (LyCORIS) file",
    "lora_mid": "a LoCon (LyCORIS) file with a core tensor",
    "dora_scale": "a DoRA file",
}


@dataclass(frozen=True)
class Lora:
    """A LoRA file and its strengths on the UNet and on the text encoder; a part at 0 is left alone."""

    path: Path
    strength: float
    text_strength: float


@dataclass(frozen=True, eq=False)
class _Delta:
    """What a file adds to one layer: ``up @ down``, with strength and alpha folded into ``up``."""

    down: Tensor
    up: Tensor

    def __call__(self, layer: Layer, x: Tensor) -> Tensor:
        if isinstance(layer, nn.Linear):
            return F.linear(F.linear(x, self.down), self.up)
        return F.conv2d(F.conv2d(x, self.down, stride=layer.stride, padding=layer.padding), self.up)


def lora_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Name (path below its folder, as tags may write it) -> file, for every LoRA file below the folders."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in _ENDINGS and path.is_file():
                found.setdefault(path.relative_to(folder).as_posix(), path)
    return found


@contextmanager
def with_loras(unet: UNet2DConditionModel, text_encoder: CLIPTextModel, loras: Sequence[Lora]) -> Iterator[None]:
    """UNet and text encoder with LoRA files beside their layers.

    Raises:
        CheckpointError: a file is damaged, no LoRA, of a kind that is not read here, or for another base.
    """
    with ExitStack() as undo:
        for lora in loras:
            if lora.strength or lora.text_strength:
                layers = _layers(unet, _UNET_KEYS) | _layers(text_encoder, _TEXT_KEYS)
                for name, delta in _deltas(lora, layers).items():
                    layer = layers[name]
                    undo.callback(layer.register_forward_hook(_adding(delta, layer)).remove)
        yield


class AdapterLora:
    """The adapter's LoRA in the weights of a UNet: merged while people are drawn, and left in for the next of them.

    To take it out, the weights are read from the checkpoint again. Subtracting it would leave its rounding behind, and
    keeping them aside costs 0.4 GB.
    """

    def __init__(self, unet: UNet2DConditionModel, checkpoint: ModelFile) -> None:
        self._unet, self._checkpoint = unet, checkpoint
        self._merged: tuple[object, float] | None = None  # key and strength of the adapter
        self._touched: list[LoraPair] = []  # of the adapter that is merged, or was about to be

    def merge(self, adapter: Adapter, strength: float) -> None:
        """Raises CheckpointError when another LoRA has to be taken out first, as ``remove``."""
        if self._merged == (adapter.key, strength):
            return
        self.remove()
        if strength:
            self._touched = list(lora_pairs(adapter))
            merge_lora(self._unet, adapter, strength)
        self._merged = (adapter.key, strength)

    def remove(self) -> None:
        """Raises CheckpointError when the checkpoint was replaced or cannot be read any more."""
        self._merged = None
        weights = {
            f"{UNET}{pair.ldm_weight}.weight": self._unet.get_parameter(f"{pair.diffusers_weight}.weight")
            for pair in self._touched
        }
        with torch.no_grad():
            for key, original in self._checkpoint.read(weights, self._unet.dtype):
                weights[key].copy_(original)
        self._touched = []


def _adding(delta: _Delta, layer: Layer) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    weight = layer.weight
    delta = _Delta(*(half.to(device=weight.device, dtype=weight.dtype) for half in (delta.down, delta.up)))
    return lambda module, inputs, output: output + delta(module, inputs[0])


def _layers(module: nn.Module, beginnings: Sequence[str]) -> dict[str, Layer]:
    """Every name that LoRA files have for a layer, dots as underscores -> the layer."""
    found: dict[str, Layer] = {}
    for path, layer in module.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            name = path.removeprefix("text_model.").replace(".", "_")
            for beginning in beginnings:
                found[beginning + name] = layer
                found[beginning + name.removesuffix("_0")] = layer  # to_out is an output layer and a dropout
    return found


def _deltas(lora: Lora, layers: Mapping[str, Layer]) -> dict[str, _Delta]:
    """Layer name -> what the file adds to that layer, for the layers there are; nothing for those at strength 0."""
    file = open_model_file(lora.path, READER)
    if file.kind not in (Kind.LORA, Kind.UNKNOWN):
        raise CheckpointError(file.refusal("a LoRA file"))
    if problem := _problem(file.shapes):
        raise CheckpointError(f"{file.name}: {problem}")
    warn_if_changed(lora.path)
    tensors = dict(file.read(dtype=torch.float32))
    found: dict[str, _Delta | None] = {}
    strange = []
    for down_key, up_key, stem in _pairs(file.shapes):
        name = stem.replace(".processor", "").replace(".", "_")
        layer = layers.get(name)
        if layer is None:
            strange.append(down_key)
            continue
        down, up = tensors[down_key], tensors[up_key]
        if not _fits(down.shape, up.shape, layer.weight.shape):
            rows, columns = side(file.shapes, up_key, 0), side(file.shapes, down_key, 1)
            raise CheckpointError(
                f"{file.name}: this LoRA does not fit SD 1.5: {stem} changes {rows}x{columns} numbers, where "
                f"SD 1.5 has {layer.weight.shape[0]}x{layer.weight.shape[1]}."
            )
        alpha = tensors.get(f"{stem}.alpha", torch.tensor(float(len(down))))
        if alpha.numel() != 1:
            raise CheckpointError(f"{file.name}: {stem}.alpha is {alpha.numel()} numbers, not one. Download it again.")
        strength = lora.strength if name.startswith(_UNET_KEYS) else lora.text_strength
        found[name] = _Delta(down, up * (strength * alpha.item() / len(down))) if strength else None
    if not found:
        raise CheckpointError(f"{file.name}: none of its layers is one of SD 1.5 (the first is {strange[0]!r}).")
    if strange:
        log.warning("%s: %d of its layers are not in SD 1.5, such as %s.", file.name, len(strange), strange[0])
    return {name: delta for name, delta in found.items() if delta}


def _fits(down: Sequence[int], up: Sequence[int], weight: Sequence[int]) -> bool:
    """Whether ``up @ down`` has the shape of the weight; of a convolution, ``up`` is one of 1x1."""
    rank = down[0] if down else 0
    return rank > 0 and (*up[:1], *down[1:]) == tuple(weight) and tuple(up[1:]) == (rank, *(1 for _ in weight[2:]))


def _pairs(shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """(key of down, key of up, what both begin with) for every layer of a LoRA file."""
    for key in shapes:
        for down, up in _HALVES:
            stem = key.removesuffix(down)
            if stem != key and stem + up in shapes:
                yield key, stem + up, stem
                break


def _problem(shapes: Shapes) -> str | None:
    kind = next((what for mark, what in _OTHER_KINDS.items() if any(mark in key for key in shapes)), None)
    if kind:
        return f"{kind}, which the embedded engine does not read. It works in ComfyUI."
    pairs = list(_pairs(shapes))
    if not pairs:
        return f"not a LoRA file (its first tensor is {next(iter(shapes), 'none')!r})."
    widths = (side(shapes, down, 1) for down, _, stem in pairs if "attn2" in stem and stem.endswith(("to_k", "to_v")))
    width = next(widths, 2048 if any(stem.startswith("lora_te2_") for _, _, stem in pairs) else 768)
    if width != 768:
        base = {1024: "SD 2", 2048: "SDXL"}.get(width, f"a model whose text is {width} wide")
        return f"a LoRA for {base}; the embedded engine draws SD 1.5."
    return None
