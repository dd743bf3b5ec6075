"""ComfyUI's own company for a person, small and random: ControlNet, T2I-Adapter, GLIGEN, inpainting.

Each has the true layout and goes through ComfyUI's own loader and node where that takes any width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.gligen
import comfy.model_patcher
import comfy.ops
import comfy.t2i_adapter.adapter
import torch
from faceid_tunes.faceid_core.adapter.layers import Base, layers
from torch import Tensor

import nodes

from .comfy_model import unet_config

PIXELS = 8


@dataclass(frozen=True)
class Company:
    """Changes (positive, negative) conds; ``mask`` [1, 1, h, w] is what is drawn again of ``latent`` [1, 4, h, w]."""

    conds: Callable[[list, list], tuple[list, list]] = lambda positive, negative: (positive, negative)
    latent: Tensor | None = None
    mask: Tensor | None = None


def _random(module: torch.nn.Module, seed: int = 11) -> torch.nn.Module:
    draws = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        weight.data = (
            torch.randn(weight.shape, generator=draws) * (weight[0].numel() if weight.ndim > 1 else 100) ** -0.5
        )
    return module.eval().requires_grad_(False)


def _picture(size: Sequence[int]) -> Tensor:
    return torch.rand(1, PIXELS * size[0], PIXELS * size[1], 3, generator=torch.Generator().manual_seed(4))


def _with_control(control: comfy.controlnet.ControlBase, size: Sequence[int]) -> Company:
    def conds(positive: list, negative: list) -> tuple[list, list]:
        return nodes.ControlNetApplyAdvanced().apply_controlnet(
            positive, negative, control, _picture(size), 0.7, 0.0, 1.0
        )

    return Company(conds)


def controlnet(unet: Any, size: Sequence[int]) -> Company:
    config = unet_config(unet)
    del config["out_channels"]
    heads = {"num_head_channels": 64} if config["adm_in_channels"] else {"num_heads": 8}
    model = comfy.cldm.cldm.ControlNet(
        **config, **heads, hint_channels=3, dtype=torch.float32, operations=comfy.ops.disable_weight_init
    )
    return _with_control(comfy.controlnet.ControlNet(_random(model), load_device=torch.device("cpu")), size)


def t2i_adapter(unet: Any, size: Sequence[int]) -> Company:
    first = unet.config.block_out_channels[0]
    is_sdxl = unet.config.addition_embed_type == "text_time"
    model = comfy.t2i_adapter.adapter.Adapter(
        cin=768 if is_sdxl else 192,
        channels=[first, 2 * first, 4 * first, 4 * first],
        nums_rb=2,
        ksize=1,
        sk=True,
        use_conv=False,
        xl=is_sdxl,
    )
    return _with_control(comfy.controlnet.load_t2i_adapter(_random(model).state_dict()), size)


def gligen(unet: Any, size: Sequence[int]) -> Company:
    """Of SD 1.5, whose text is 768 wide; there is none for SDXL."""
    weights = {}
    for layer in layers(Base("sd15")):
        width = unet.get_submodule(f"{layer.diffusers}.attn2").to_q.out_features
        fuser = _random(comfy.gligen.GatedSelfAttentionDense(width, 768, 8, width // 8))
        fuser.alpha_attn.data, fuser.alpha_dense.data = torch.tensor(1.0), torch.tensor(1.0)
        block = layer.ldm.removesuffix(".attn2")
        weights |= {f"{block}.fuser.{name}": weight for name, weight in fuser.state_dict().items()}
    position = _random(comfy.gligen.PositionNet(768, 768))
    weights |= {f"position_net.{name}": weight for name, weight in position.state_dict().items()}
    cpu = torch.device("cpu")
    model = comfy.model_patcher.ModelPatcher(comfy.gligen.load_gligen(weights), load_device=cpu, offload_device=cpu)
    words = torch.randn(1, 768, generator=torch.Generator().manual_seed(6))
    box = (words, size[0] // 2, size[1] // 2, 2, 3)

    def conds(positive: list, negative: list) -> tuple[list, list]:
        return [[text, {**more, "gligen": ("position", model, [box])}] for text, more in positive], negative

    return Company(conds)


def inpainting(_unet: Any, size: Sequence[int]) -> Company:
    """Nine channels: the noise, what to draw again, and the picture around it. As *InpaintModelConditioning* has it."""
    draws = torch.Generator().manual_seed(9)
    latent, around = torch.randn(1, 4, *size, generator=draws), torch.randn(1, 4, *size, generator=draws)
    mask = torch.zeros(1, 1, *size)
    mask[..., 3:-3, 5:-2] = 1.0

    def conds(*given: list) -> tuple[list, list]:
        more = {"concat_latent_image": around, "concat_mask": mask}
        return tuple([[text, {**values, **more}] for text, values in cond] for cond in given)

    return Company(conds, latent, mask)
