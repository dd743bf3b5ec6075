"""Identities on a diffusers UNet: attention processors that add them, and the adapter's LoRA merged in.

This is our own decoupled attention bound to diffusers' layers, not diffusers' built-in IP-Adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...adapter.attention import IdentityAttention, ReadyIdentity
from ...adapter.fit import check_fit, cross_attention
from ...adapter.lora import lora_pairs
from ...adapter.model import Adapter
from ...adapter.rows import rows_of_roles


@dataclass
class UNetBatch:
    """What the attention layers need to know of the UNet call they are part of.

    Attributes:
        rows: per batch row, whether it is to show the people. diffusers pipelines batch [negative, positive].
    """

    rows: tuple[bool, ...] = (False, True)

    def ready(self, identity: IdentityAttention, like: Tensor) -> ReadyIdentity:
        """What a layer with queries ``like`` reads of an identity in this call."""
        return identity.ready(rows_of_roles(self.rows), like.dtype, like.device)


class IdentityProcessor:
    """diffusers attention processor: text cross-attention plus identities, for SD 1.5 and SDXL layers."""

    def __init__(self, layer: int, identities: Sequence[IdentityAttention], batch: UNetBatch) -> None:
        self.layer = layer
        self.identities = tuple(identities)
        self.batch = batch

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        query = attn.to_q(hidden_states)
        key, value = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        q, k, v = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask).transpose(1, 2).flatten(2)
        for identity in self.identities:
            out = out + identity.attend(self.layer, query, self.batch.ready(identity, query))
        return attn.to_out[0](out)


def attention_heads(unet: Any, adapter: Adapter) -> list[int]:
    """Attention heads of each cross-attention layer, in adapter-key order.

    Raises:
        AdapterError: the UNet is not the one the adapter is for.
    """
    return check_fit(adapter, unet, [cross_attention(unet, layer.diffusers) for layer in adapter.layers])


def bind_identities(unet: Any, adapter: Adapter, identities: Sequence[IdentityAttention]) -> UNetBatch:
    """Make ``unet`` show the identities; set ``rows`` of the returned value before a call with another batch."""
    batch = UNetBatch()
    shown = [identity for identity in identities if identity.strength]
    processors = dict(unet.attn_processors)
    for position, layer in enumerate(adapter.layers):
        processors[layer.processor] = IdentityProcessor(position, shown, batch)
    unet.set_attn_processor(processors)
    return batch


def merge_lora(unet: Any, adapter: Adapter, strength: float) -> None:
    """Add ``strength * up @ down`` to the UNet's weights, in place; a negative strength takes it out again."""
    with torch.no_grad():
        for pair in lora_pairs(adapter):
            weight = unet.get_parameter(f"{pair.diffusers_weight}.weight")
            delta = pair.up.float() @ pair.down.float()
            weight.add_((strength * delta).to(weight))
