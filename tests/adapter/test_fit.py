"""What a person reads when the adapter and the model do not belong together: what the model is, and what to load."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.adapter.fit import check_fit
from faceid_tunes.faceid_core.adapter.model import Adapter
from faceid_tunes.faceid_core.errors import AdapterError
from support.fidelity import adapter_for, saved_adapter
from support.unet import sd15_unet, sdxl_unet
from torch import nn

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("diffusers")]  # one worker loads it


@pytest.fixture(scope="module")
def sd15_adapter():
    with saved_adapter(adapter_for(sd15_unet((32, 64, 64, 64), context=64), "faceid", "sd15"), "one.bin") as adapter:
        yield adapter


@pytest.fixture(scope="module")
def sdxl_adapter():
    with saved_adapter(adapter_for(sdxl_unet((32, 64, 64), context=64), "faceid", "sdxl"), "xl.bin") as adapter:
        yield adapter


def unet_of(layers: int, text_width: int) -> nn.Module:
    """As many cross-attention layers as a model has, each reading text of its width."""

    def layer() -> nn.ModuleDict:
        return nn.ModuleDict({"attn2": nn.ModuleDict({"to_k": nn.Linear(text_width, 8, device="meta")})})

    return nn.ModuleList(layer() for _ in range(layers))


def refusal(adapter: Adapter, layers: int, text_width: int) -> str:
    with pytest.raises(AdapterError) as raised:
        check_fit(adapter, unet_of(layers, text_width), [None] * len(adapter.layers))
    return str(raised.value)


def test_a_distilled_sdxl_is_called_so_and_no_other_adapter_is_recommended(sdxl_adapter):
    message = refusal(sdxl_adapter, 34, 2048)
    assert "a distilled SDXL with 34 of 70 cross-attention layers (such as SSD-1B" in message
    assert message.endswith("No FaceID model fits it. Load an SDXL checkpoint with all its layers.")


def test_a_distilled_sd15_is_called_so(sd15_adapter):
    message = refusal(sd15_adapter, 9, 768)
    assert "a distilled SD 1.5 with 9 of 16 cross-attention layers (such as BK-SDM)" in message


@pytest.mark.parametrize("layers", [24, 34])
def test_the_refiner_needs_no_face(sdxl_adapter, layers):
    message = refusal(sdxl_adapter, layers, 1280)
    assert "the SDXL refiner" in message and message.endswith("Apply FaceID to the base model only.")


def test_a_model_of_the_right_family_and_other_widths_does_not_contradict_itself(sdxl_adapter):
    message = refusal(sdxl_adapter, 70, 2048)
    assert "is SDXL (70 cross-attention layers" in message and "other widths" in message


def test_sd2_is_called_so(sd15_adapter):
    assert "the model is SD 2 (16 cross-attention layers" in refusal(sd15_adapter, 16, 1024)


def test_sdxl_and_sd15_name_the_adapter_that_fits(sd15_adapter, sdxl_adapter):
    assert refusal(sd15_adapter, 70, 2048).endswith("an adapter for SDXL such as ip-adapter-faceid_sdxl.bin.")
    assert refusal(sdxl_adapter, 16, 768).endswith("an adapter for SD 1.5 such as ip-adapter-faceid_sd15.bin.")


def test_a_model_without_cross_attention_is_of_another_family(sdxl_adapter):
    assert "of another family (0 cross-attention layers)" in refusal(sdxl_adapter, 0, 0)
