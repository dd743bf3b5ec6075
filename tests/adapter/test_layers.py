"""The layer map against the UNets themselves."""

from __future__ import annotations

import pytest
import torch
from faceid_tunes.faceid_core.adapter.layers import Base, layers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("diffusers")]  # one worker loads it

SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
}
CONFIGS = {Base.SD15: {}, Base.SDXL: SDXL}


@pytest.mark.parametrize("base", Base)
def test_key_numbers_are_positions_in_diffusers_attn_processors(base):
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        processors = list(UNet2DConditionModel(**CONFIGS[base]).attn_processors)
    assert {layer.index: layer.processor for layer in layers(base)} == {
        number: name for number, name in enumerate(processors) if name.endswith("attn2.processor")
    }


def test_the_middle_block_is_patched_as_middle_0_though_its_module_is_middle_block_1():
    last = layers(Base.SD15)[-1]
    assert (last.index, last.patch_key) == (31, ("middle", 0, 0))
    assert last.ldm == "middle_block.1.transformer_blocks.0"


def test_sdxl_has_70_layers_with_distinct_addresses():
    assert len({layer.patch_key for layer in layers(Base.SDXL)}) == 70
    assert [layer.index for layer in layers(Base.SDXL)] == list(range(1, 140, 2))
