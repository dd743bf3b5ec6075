"""Random diffusers UNets with the true topology of SD 1.5 and SDXL, at true or reduced width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

SD15_TRUE = (320, 640, 1280, 1280)
SD15_REDUCED = (32, 64, 128, 128)
SDXL_REDUCED = (32, 64, 128)


def sd15_unet(channels: tuple[int, ...] = SD15_TRUE, context: int = 768, seed: int = 0, **more) -> UNet2DConditionModel:
    """16 cross-attention layers, 8 heads each."""
    return _random(
        seed,
        block_out_channels=channels,
        cross_attention_dim=context,
        attention_head_dim=8,  # diffusers' name for the number of heads of SD 1.5
        sample_size=64,
        **more,
    )


def sdxl_unet(
    channels: tuple[int, ...] = SDXL_REDUCED, context: int = 128, seed: int = 0, **more
) -> UNet2DConditionModel:
    """70 cross-attention layers, heads of width 64."""
    return _random(
        seed,
        block_out_channels=channels,
        cross_attention_dim=context,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=tuple(max(1, width // 64) for width in channels),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        sample_size=128,
        **more,
    )


def narrow_unet(family: str, context: int = 64) -> UNet2DConditionModel:
    """Of "sd15" or "sdxl", with all its layers, as narrow as they can be."""
    return (
        sdxl_unet((32, 64, 64), context=context) if family == "sdxl" else sd15_unet((32, 64, 64, 64), context=context)
    )


def family_of(unet: UNet2DConditionModel) -> str:
    """Which of "sd15" and "sdxl" it is."""
    return "sdxl" if unet.config.addition_embed_type == "text_time" else "sd15"


def _random(seed: int, **config) -> UNet2DConditionModel:
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNet2DConditionModel(**config).eval().requires_grad_(False)


def inputs(unet: UNet2DConditionModel, size: tuple[int, int] = (8, 16), batch: int = 2, seed: int = 1) -> dict:
    """Keyword arguments of one UNet call."""
    generator = torch.Generator().manual_seed(seed)
    call = {
        "sample": torch.randn(batch, 4, *size, generator=generator),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(batch, 77, unet.config.cross_attention_dim, generator=generator),
    }
    if unet.config.addition_embed_type == "text_time":
        call["added_cond_kwargs"] = {
            "text_embeds": torch.randn(batch, 1280, generator=generator),
            "time_ids": torch.tensor([[1024.0, 1024.0, 0.0, 0.0, 1024.0, 1024.0]]).expand(batch, -1),
        }
    return call
