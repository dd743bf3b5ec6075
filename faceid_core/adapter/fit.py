"""Does an adapter fit the UNet it is about to be applied to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import AdapterError
from .layers import Base
from .model import Adapter

_TRANSFORMER_BLOCKS = {16: "SD 1.5", 70: "SDXL"}
_CONTEXT_WIDTHS = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}
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
        count = sum(name.endswith(".attn2") for name, _ in unet.named_modules())
        raise AdapterError(_misfit(adapter, count, next((layer for layer in found if layer), None)))
    return [layer.heads for layer in found if layer]


def _misfit(adapter: Adapter, count: int, example: UNetLayer | None) -> str:
    width = example.context_width if example else 0
    name = _CONTEXT_WIDTHS.get(width) or _TRANSFORMER_BLOCKS.get(count) or "of another family"
    message = (
        f"{adapter.name} is {adapter.spec.title}, but the model is {name} ({count} cross-attention layers"
        f"{f' reading text of width {width}' if width else ''}). "
    )
    other = next((base for base in Base if base.family == name and base is not adapter.spec.base), None)
    remedy = f"Load an {adapter.spec.base.family} checkpoint"
    return message + (f"{remedy}, or an adapter for {name} such as {_EXAMPLES[other]}." if other else f"{remedy}.")
