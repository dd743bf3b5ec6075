"""Samplings of cut-outs and of single pictures: what ``faceid_whole`` says of them, masks and frames follow.

The stand-in samples each tile of a latent by itself, as upscalers do that draw tile after tile.
"""

from __future__ import annotations

import comfy.samplers
import pytest
import torch
from faceid_tunes.faceid_core.errors import AdapterError
from support.comfy_model import apply, comfy_model, conditioning
from support.fidelity import adapter_for, random_faces, saved_adapter
from support.oracle import relative_l2
from support.unet import sd15_unet

WIDTH = 64
BOUND = 1e-5
HEIGHT, LENGTH, TILE = 16, 24, 8


@pytest.fixture(scope="module")
def show():
    """The model with a person on it; inputs of FaceIDApply as keywords."""
    unet = sd15_unet((32, 64, 64, 64), context=WIDTH)
    bare = comfy_model(unet)
    with saved_adapter(adapter_for(unet, "faceid", "sd15", lora_rank=4), "faceid") as adapter:
        yield lambda **inputs: apply(bare, adapter, random_faces(), lora_strength=0.0, **inputs)


def stripes(count: int) -> torch.Tensor:
    masks = torch.zeros(count, 8 * HEIGHT, 8 * LENGTH)
    for number in range(count):
        masks[number, :, 8 * LENGTH * number // count : 8 * LENGTH * (number + 1) // count] = 1.0
    return masks


def latent(pictures: int = 1) -> torch.Tensor:
    return torch.randn(pictures, 4, HEIGHT, LENGTH, generator=torch.Generator().manual_seed(5))


def draw(model, noise: torch.Tensor, whole: object = None, **area) -> torch.Tensor:
    model = model.clone()
    if whole is not None:
        model.model_options["transformer_options"]["faceid_whole"] = whole
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditioning(WIDTH, 1.0, **area), conditioning(WIDTH, -1.0, seed=8, **area))
    guider.set_cfg(3.0)
    sampling = guider.model_patcher.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 1)
    with torch.inference_mode():
        return guider.sample(noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas)


def tile_after_tile(model, noise: torch.Tensor, *, says: bool = True, pictures=None) -> torch.Tensor:
    """Each tile sampled by itself; with ``says`` it says where it lies."""
    done = []
    for left in range(0, LENGTH, TILE):
        whole = {"height": HEIGHT, "width": LENGTH, "top": 0, "left": left}
        whole |= {} if pictures is None else {"pictures": pictures}
        done.append(draw(model, noise[..., left : left + TILE], whole if says else None))
    return torch.cat(done, dim=-1)


def test_a_mask_is_cut_with_tiles_that_are_sampled_one_after_the_other(show):
    left_tile, middle, right_tile = ({"mask": mask[None]} for mask in stripes(3))
    everywhere, nobody = (tile_after_tile(show(**inputs), latent()) for inputs in ({}, {"strength": 0.0}))
    for number, inputs in enumerate((left_tile, middle, right_tile)):
        picture = tile_after_tile(show(**inputs), latent())
        for other in range(3):
            at = slice(TILE * other, TILE * (other + 1))
            expected = everywhere if other == number else nobody
            assert relative_l2(picture[..., at], expected[..., at]) <= BOUND


def test_each_picture_of_a_batch_keeps_its_mask_through_tiles(show):
    masks = stripes(2)
    both = tile_after_tile(show(mask=masks), latent(2))
    for number in range(2):
        alone = tile_after_tile(show(mask=masks[number : number + 1]), latent(2)[number : number + 1])
        assert relative_l2(both[number], alone[0]) <= BOUND


def test_pictures_sampled_one_by_one_keep_their_masks_and_strengths(show):
    shown = show(mask=stripes(3), strengths=[0.5, 1.0, 2.0])
    batch = draw(shown, latent(3))
    for number in range(3):
        alone = draw(shown, latent(3)[number : number + 1], {"pictures": [number]})
        assert relative_l2(alone[0], batch[number]) <= BOUND


def test_without_a_word_the_mask_is_stretched_over_each_tile(show):
    half = stripes(2)[:1]
    stretched = tile_after_tile(show(mask=half), latent(), says=False)
    for left in range(0, LENGTH, TILE):
        at = slice(left, left + TILE)
        whole = draw(show(mask=half), latent()[..., at])
        assert relative_l2(stretched[..., at], whole) <= BOUND


@pytest.mark.parametrize("size", [(32, 24), (16, 48)])
def test_a_mask_larger_than_what_is_sampled_is_told(show, caplog, size):
    mask = torch.ones(1, 8 * size[0], 8 * size[1])
    draw(show(mask=mask), latent())
    assert f"mask: it is {size[1] * 8}x{size[0] * 8}, larger than the picture (192x128)" in caplog.text
    caplog.clear()
    draw(show(mask=mask), latent(), {"height": size[0], "width": size[1], "top": 0, "left": 0})
    draw(show(mask=mask[:, :64, :96]), latent())
    assert "larger" not in caplog.text


@pytest.mark.parametrize(
    "whole",
    [
        {},
        "left",
        {"height": HEIGHT, "width": LENGTH},
        {"height": HEIGHT, "width": LENGTH, "top": 0, "left": 1},
        {"height": 8, "width": LENGTH, "top": 0, "left": 0},
        {"height": HEIGHT, "width": LENGTH, "top": 0, "left": -1},
        {"height": HEIGHT, "width": LENGTH, "top": 0, "left": 0.5},
        {"pictures": [0, 1]},
        {"pictures": [-1]},
        {"pictures": 0},
        {"left_edge": 0},
    ],
    ids=str,
)
def test_what_cannot_be_stops_with_a_sentence(show, whole):
    with pytest.raises(AdapterError, match=r"'faceid_whole' of 1 x 24x16: .*, which is not possible"):
        draw(show(), latent(), whole)
