"""A picture drawn in ComfyUI shows the identity exactly as the reference formula has it, on every layer."""

from __future__ import annotations

import pytest
from support.comfy_fidelity import error_in_comfyui
from support.comfy_model import comfy_model
from support.fidelity import adapter_for
from support.unet import SD15_REDUCED, sd15_unet, sdxl_unet

TOLERANCE = 1e-5
SD15 = sd15_unet(SD15_REDUCED, context=128)
SDXL = sdxl_unet()
SD15_MODEL, SDXL_MODEL = comfy_model(SD15), comfy_model(SDXL)


@pytest.mark.parametrize("variant", ["faceid", "plus", "plusv2", "portrait"])
@pytest.mark.parametrize(("strength", "lora"), [(1.0, 0.0), (0.8, 1.0), (1.5, 1.0), (0.0, 1.0)])
def test_sd15_output_equals_the_reference_formula(variant, strength, lora):
    sections = adapter_for(SD15, variant, "sd15")
    assert error_in_comfyui(SD15, SD15_MODEL, sections, variant, strength, lora, photos=2) <= TOLERANCE


@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait", "portrait_unnorm"])
def test_sdxl_output_equals_the_reference_formula_on_all_70_layers(variant):
    sections = adapter_for(SDXL, variant, "sdxl")
    assert error_in_comfyui(SDXL, SDXL_MODEL, sections, variant, strength=0.8, lora=1.0, photos=2) <= TOLERANCE
