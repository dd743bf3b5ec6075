"""Two independent references for "a UNet that shows an identity", to hold our own against.

``diffusers_ip_adapter`` is diffusers' built-in IP-Adapter with its PEFT LoRA. ``PlainFormula`` is the formula of the
paper (Ye et al. 2023, eq. 5) written out per layer, with nothing precomputed, merged or cached; it numbers the layers
by enumerating ``unet.attn_processors``, as the code that trained the adapters did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import linear

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

Sections = dict[str, dict[str, Tensor]]


def relative_l2(value: Tensor, reference: Tensor) -> float:
    return ((value - reference).norm() / reference.norm()).item()


@contextmanager
def diffusers_ip_adapter(
    unet: UNet2DConditionModel, sections: Sections, scale: float, lora_scale: float
) -> Iterator[UNet2DConditionModel]:
    """``unet`` with diffusers' own IP-Adapter loaded; restored afterwards.

    Call it with ``added_cond_kwargs={"image_embeds": [...]}``: [B, n, 512] for FaceID and Portrait. For Plus variants
    set ``unet.encoder_hid_proj.image_projection_layers[0].clip_embeds``, ``.shortcut`` and ``.shortcut_scale`` first.
    """
    from diffusers.loaders import StableDiffusionLoraLoaderMixin

    before, config_type = dict(unet.attn_processors), unet.config.encoder_hid_dim_type
    unet._load_ip_adapter_weights([sections], low_cpu_mem_usage=False)
    loras = unet._load_ip_adapter_loras([sections])
    for processor in unet.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [scale]
    if loras and lora_scale:
        state, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(loras[0])[:2]
        StableDiffusionLoraLoaderMixin.load_lora_into_unet(state, alphas, unet, adapter_name="faceid_0")
        unet.set_adapters(["faceid_0"], [lora_scale])
    try:
        yield unet
    finally:
        if loras and lora_scale:
            unet.unload_lora()
        unet.encoder_hid_proj = None
        unet.config.encoder_hid_dim_type = config_type
        unet.set_attn_processor(before)


class PlainFormula:
    """An attention processor: q, k, v and out each with their LoRA beside them, then text plus identity attention."""

    def __init__(
        self, number: int, weights: dict[str, Tensor], tokens: Tensor, scale: float, lora_scale: float
    ) -> None:
        """``number``: position in ``attn_processors``; ``tokens``: [B, T, C], already chosen per row."""
        self.number, self.weights, self.tokens = number, weights, tokens
        self.scale, self.lora_scale = scale, lora_scale

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q = attn.to_q(hidden_states) + self._lora("q", hidden_states)
        k = attn.to_k(context) + self._lora("k", context)
        v = attn.to_v(context) + self._lora("v", context)
        out = _attention(q, k, v, attn.heads)
        if self.number % 2 == 1:
            k_ip = linear(self.tokens, self.weights[f"{self.number}.to_k_ip.weight"].float())
            v_ip = linear(self.tokens, self.weights[f"{self.number}.to_v_ip.weight"].float())
            out = out + self.scale * _attention(q, k_ip, v_ip, attn.heads)
        return attn.to_out[0](out) + self._lora("out", out)

    def _lora(self, name: str, x: Tensor) -> Tensor | float:
        down = self.weights.get(f"{self.number}.to_{name}_lora.down.weight")
        if down is None or not self.lora_scale:
            return 0.0
        up = self.weights[f"{self.number}.to_{name}_lora.up.weight"]
        return self.lora_scale * linear(linear(x, down.float()), up.float())


@contextmanager
def plain_formula(
    unet: UNet2DConditionModel, sections: Sections, tokens: Tensor, scale: float, lora_scale: float
) -> Iterator[UNet2DConditionModel]:
    before = dict(unet.attn_processors)
    unet.set_attn_processor(
        {
            name: PlainFormula(number, sections["ip_adapter"], tokens, scale, lora_scale)
            for number, name in enumerate(before)
        }
    )
    try:
        yield unet
    finally:
        unet.set_attn_processor(before)


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    batch, _, width = q.shape
    q, k, v = (x.reshape(batch, -1, heads, width // heads).transpose(1, 2) for x in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) * (width // heads) ** -0.5, dim=-1)
    return (weights @ v).transpose(1, 2).reshape(batch, -1, width)
