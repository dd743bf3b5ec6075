"""Does an adapter fit the UNet it is about to be applied to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import AdapterError
from .layers import Base
from .model import Adapter

_WHOLE = {"SD 1.5": 16, "SDXL": 70}  # cross-attention layers of the model as published
_CONTEXT_WIDTHS = {768: "SD 1.5", 1024: "SD 2", 1280: "the SDXL refiner", 2048: "SDXL"}
_DISTILLED = {"SD 1.5": "BK-SDM", "SDXL": "SSD-1B, Segmind-Vega or KOALA"}
_EXAMPLES = {Base.SD15: "ip-adapter-faceid_sd15.bin", Base.SDXL: "ip-adapter-faceid_sdxl.bin"}


@dataclass(frozen=True)
class UNetLayer:
    """A cross-attention layer found in a UNet: its width, the width of the text it reads, and its heads."""

    hidden: int
    context_width: int
    heads: int


def cross_attention(unet: nn.Module, block: str) -> UNetLayer | None:
    """The cross-attention of the transformer block at ``block``, or None where the UNet has no such block."""
    try:
        module: Any = unet.get_submodule(f"{block}.attn2")
    except AttributeError:
        return None
    return UNetLayer(module.to_q.out_features, module.to_k.in_features, module.heads)


def check_fit(adapter: Adapter, unet: nn.Module, found: Sequence[UNetLayer | None]) -> list[int]:
    """Heads of every layer in adapter-key order, after checking every layer's widths.

    Args:
        adapter: the FaceID model.
        unet: what it is applied to.
        found: per layer of the adapter, in adapter-key order, the layer at that place in the UNet, if any.

    Raises:
        AdapterError: says which base the adapter is for, which one the model is, and what to load instead.
    """
    spec = adapter.spec
    expected = [(hidden, spec.context_width) for hidden in spec.hidden]
    present = [(layer.hidden, layer.context_width) if layer else None for layer in found]
    if present != expected:
        keys = [module.get_submodule("to_k") for name, module in unet.named_modules() if name.endswith(".attn2")]
        width = next((int(getattr(key, "in_features", 0)) for key in keys), 0)
        raise AdapterError(_misfit(adapter, len(keys), width))
    return [layer.heads for layer in found if layer]


def _misfit(adapter: Adapter, count: int, width: int) -> str:
    """Why the adapter cannot go on a UNet of ``count`` cross-attention layers that read text of ``width``."""
    by_count = {layers: name for name, layers in _WHOLE.items()}
    name = _CONTEXT_WIDTHS.get(width) or by_count.get(count) or "of another family"
    says = f"{adapter.name} is {adapter.spec.title}, but the model is"
    reading = f" reading text of width {width}" if width else ""
    remedy = f"Load an {adapter.spec.base.family} checkpoint"
    if name == "the SDXL refiner":
        return f"{says} {name} ({count} cross-attention layers{reading}). Apply FaceID to the base model only."
    if count < _WHOLE.get(name, 0):
        return (
            f"{says} a distilled {name} with {count} of {_WHOLE[name]} cross-attention layers (such as "
            f"{_DISTILLED[name]}). No FaceID model fits it. {remedy} with all its layers."
        )
    message = f"{says} {name} ({count} cross-attention layers{reading}). "
    if name == adapter.spec.base.family:
        return f"{message}Its layers have other widths than those of {name}: a model of another design. {remedy}."
    other = next((base for base in Base if base.family == name and base is not adapter.spec.base), None)
    return message + (f"{remedy}, or an adapter for {name} such as {_EXAMPLES[other]}." if other else f"{remedy}.")
