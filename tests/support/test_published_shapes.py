"""The synthetic model files have the key sets and shapes of the published ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from faceid_tunes.faceid_core.adapter.layers import Base
from faceid_tunes.faceid_core.adapter.model import load_adapter
from faceid_tunes.faceid_core.adapter.variants import Variant
from faceid_tunes.faceid_core.weights.placeholder import write_placeholder_adapter, write_random_fp16
from faceid_tunes.faceid_core.weights.published_shapes import (
    clip_vision_h_shapes,
    sd15_shapes,
    text_encoder_shapes,
    unet_shapes,
    vae_shapes,
)
from safetensors.torch import load_file
from support.adapters import PUBLISHED, adapter_tensors, layer_widths, write_bin, write_safetensors

KEY_COUNTS = {
    ("faceid", "sd15"): (6, 288),
    ("plus", "sd15"): (56, 288),
    ("plusv2", "sd15"): (56, 288),
    ("portrait", "sd15"): (6, 32),
    ("faceid", "sdxl"): (6, 1260),
    ("plusv2", "sdxl"): (56, 1260),
    ("portrait", "sdxl"): (6, 140),
    ("portrait_unnorm", "sdxl"): (51, 140),
}


@pytest.mark.parametrize(("variant", "base"), PUBLISHED)
def test_an_adapter_has_as_many_keys_as_the_published_one(variant: str, base: str):
    tensors = adapter_tensors(variant, base, hidden=layer_widths(base, divide=20), context=64, lora_rank=1)
    assert (len(tensors["image_proj"]), len(tensors["ip_adapter"])) == KEY_COUNTS[variant, base]


def test_layer_widths_are_in_the_adapters_order_with_the_middle_block_last():
    assert layer_widths("sd15") == [320] * 2 + [640] * 2 + [1280] * 5 + [640] * 3 + [320] * 3 + [1280]
    assert sum(layer_widths("sd15")) == 12_480
    assert (len(layer_widths("sdxl")), sum(layer_widths("sdxl"))) == (70, 83_200)


@pytest.mark.slow
def test_a_full_size_bin_is_as_large_as_the_published_one(tmp_path: Path):
    path = write_bin(tmp_path / "adapter.bin", adapter_tensors("faceid", "sd15"))
    assert path.stat().st_size == pytest.approx(96_740_574, rel=1e-3)


@pytest.mark.slow
def test_the_three_containers_hold_the_same_tensors(tmp_path: Path):
    tensors = adapter_tensors("faceid", "sd15", hidden=layer_widths("sd15", divide=20), context=64, lora_rank=1)
    expected = {f"{part}.{key}": tensor for part, keys in tensors.items() for key, tensor in keys.items()}
    legacy = write_bin(tmp_path / "legacy.bin", tensors)
    archive = write_bin(tmp_path / "zip.bin", tensors, legacy=False)
    assert legacy.read_bytes()[:2] == b"\x80\x02"
    assert archive.read_bytes()[:2] == b"PK"
    for path in (legacy, archive):
        read = torch.load(path, weights_only=True)
        torch.testing.assert_close(read, tensors, rtol=0, atol=0)
    torch.testing.assert_close(
        load_file(write_safetensors(tmp_path / "a.safetensors", tensors)), expected, rtol=0, atol=0
    )


def test_checkpoint_parts_have_the_published_number_of_tensors_and_parameters():
    def count(shapes):
        return len(shapes), sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith("position_ids"))

    assert count(unet_shapes()) == (686, 859_520_964)
    assert count(vae_shapes()) == (248, 83_653_863)
    assert count(text_encoder_shapes()) == (197, 123_060_480)
    assert count(clip_vision_h_shapes()) == (521, 632_076_800)
    assert len(sd15_shapes()) == 1131


def test_a_random_file_is_a_safetensors_file_of_half_precision(tmp_path: Path):
    shapes = {"norm.weight": (8,), "norm.bias": (8,), "conv.weight": (4, 8, 3, 3), "a.position_ids": (1, 5)}
    read = load_file(write_random_fp16(tmp_path / "random.safetensors", shapes))
    assert {key: tuple(tensor.shape) for key, tensor in read.items()} == shapes
    assert read["conv.weight"].dtype == torch.float16
    assert read["conv.weight"].float().std().item() == pytest.approx(72**-0.5, rel=0.1)
    assert read["norm.weight"].tolist() == [1.0] * 8
    assert read["norm.bias"].tolist() == [0.0] * 8
    assert read["a.position_ids"].tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.slow
def test_the_placeholder_adapter_is_laid_out_as_the_published_one(tmp_path: Path):
    published = adapter_tensors("faceid", "sd15")
    written = load_file(write_placeholder_adapter(tmp_path / "adapter.safetensors"))
    assert {key: value.shape for key, value in written.items()} == {
        f"{part}.{key}": value.shape for part, tensors in published.items() for key, value in tensors.items()
    }
    spec = load_adapter(tmp_path / "adapter.safetensors").spec
    assert (spec.base, spec.variant, spec.has_lora) == (Base.SD15, Variant.FACEID, True)
