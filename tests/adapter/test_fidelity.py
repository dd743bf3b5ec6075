"""Our UNet output against two references: diffusers' own IP-Adapter, and the formula written out."""

from __future__ import annotations

import pytest
import torch
from faceid_tunes.faceid_core.adapter.attention import IdentityAttention, identity_kv
from faceid_tunes.faceid_core.adapter.tokens import identity_tokens
from faceid_tunes.faceid_core.engines.embedded.unet import attention_heads, bind_identities
from support.fidelity import POSITIVE_ROWS, adapter_for, errors, random_faces, saved_adapter
from support.oracle import relative_l2
from support.unet import SD15_REDUCED, inputs, sd15_unet, sdxl_unet

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def sd15():
    return sd15_unet(SD15_REDUCED, context=128)


@pytest.fixture(scope="module")
def sdxl():
    return sdxl_unet()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["faceid", "plus", "plusv2", "portrait"])
@pytest.mark.parametrize(("strength", "lora"), [(0.0, 1.0), (0.8, 0.0), (0.8, 1.0), (1.5, 1.0)])
def test_sd15(sd15, variant, strength, lora):
    found = errors(sd15, adapter_for(sd15, variant, "sd15"), variant, strength=strength, lora=lora)
    assert found.diffusers <= TOLERANCE
    assert found.formula <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait", "portrait_unnorm"])
def test_sdxl(sdxl, variant):
    found = errors(sdxl, adapter_for(sdxl, variant, "sdxl"), variant, strength=0.8, lora=1.0)
    assert found.diffusers <= TOLERANCE
    assert found.formula <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["faceid", "plusv2", "portrait"])
def test_several_photos_of_a_person(sd15, variant):
    found = errors(sd15, adapter_for(sd15, variant, "sd15"), variant, strength=1.0, lora=1.0, photos=3)
    assert max(found.diffusers, found.formula) <= TOLERANCE


@pytest.mark.slow
def test_each_layer_matters_far_more_than_the_tolerance(sd15):
    """Otherwise a layer left out (a known plugin misses the middle block) would pass the tests above."""
    sections = adapter_for(sd15, "faceid", "sd15")
    with torch.inference_mode(), saved_adapter(sections, "faceid") as adapter:
        kv = identity_kv(adapter, identity_tokens(adapter, random_faces()), attention_heads(sd15, adapter))
        before = dict(sd15.attn_processors)
        bind_identities(sd15, adapter, [IdentityAttention(kv, 1.0)]).rows = POSITIVE_ROWS
        bound = dict(sd15.attn_processors)
        whole = sd15(**inputs(sd15)).sample
        for layer in adapter.layers:
            sd15.set_attn_processor(bound | {layer.processor: before[layer.processor]})
            assert relative_l2(sd15(**inputs(sd15)).sample, whole) > 100 * TOLERANCE, layer.processor
        sd15.set_attn_processor(before)
