"""The LoRA that travels inside an adapter file.

FaceID models were trained together with a rank-128 LoRA on all attention layers (attn1 and attn2, q, k, v and
out), stored beside K and V as ``{i}.to_q_lora.down.weight`` and so on. It has no alpha: the delta is ``up @ down``.
The separate ``*_lora.safetensors`` files published beside the adapters hold the same numbers.
Source: tencent-ailab/IP-Adapter, ``LoRAIPAttnProcessor`` (attention_processor_faceid.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from .layers import Layer
from .model import Adapter


@dataclass(frozen=True, eq=False)
class LoraPair:
    """The low-rank delta ``up @ down`` of one linear layer.

    Attributes:
        layer: the transformer block.
        attention: "attn1" or "attn2".
        linear: "to_q", "to_k", "to_v" or "to_out.0".
        up: [out, rank].
        down: [rank, in].
    """

    layer: Layer
    attention: str
    linear: str
    up: Tensor
    down: Tensor

    @property
    def ldm_weight(self) -> str:
        """Path of the weight it belongs to in an LDM / ComfyUI UNet, without ``.weight``."""
        return f"{self.layer.ldm}.{self.attention}.{self.linear}"

    @property
    def diffusers_weight(self) -> str:
        """Path of the weight it belongs to in a diffusers UNet, without ``.weight``."""
        return f"{self.layer.diffusers}.{self.attention}.{self.linear}"


def lora_pairs(adapter: Adapter) -> Iterator[LoraPair]:
    """All LoRA pairs of an adapter: 128 for SD 1.5, 560 for SDXL, none for Portrait."""
    if not adapter.spec.has_lora:
        return
    for layer in adapter.layers:
        for index, attention in ((layer.index - 1, "attn1"), (layer.index, "attn2")):
            for short, linear in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("out", "to_out.0")):
                name = f"{index}.to_{short}_lora"
                yield LoraPair(
                    layer,
                    attention,
                    linear,
                    up=adapter.ip_adapter[f"{name}.up.weight"],
                    down=adapter.ip_adapter[f"{name}.down.weight"],
                )


def strength_to_add(wanted: float, merged: Iterable[float]) -> float:
    """What to merge the adapter's LoRA at for one more of its people, when it is merged at ``merged`` for the others.

    The LoRA belongs to the adapter, not to the person: however many people come from one adapter, it is merged once,
    at the highest strength asked for.
    """
    return max(wanted - max(merged, default=0.0), 0.0)
