"""What a prompt leaves open, settled for this machine."""

from __future__ import annotations

import itertools

import pytest
from faceid_tunes.faceid_core.prompts import (
    Prompt,
    PromptError,
    resolve,
    resolve_cfg_scale,
    resolve_seeds,
    resolve_size,
)
from faceid_tunes.faceid_core.prompts.defaults import SD15_RESOLUTION, SDXL_RESOLUTION
from faceid_tunes.faceid_core.prompts.prompt import ASPECT_RATIOS

FACE = "<faceid:12:1> woman trekking in the alps"


def test_a_prompt_with_a_face_is_drawn_at_cfg_scale_3():
    assert resolve_cfg_scale(Prompt(FACE)) == 3
    assert resolve_cfg_scale(Prompt("a lake <lora:film:1>")) == 7.5
    assert resolve_cfg_scale(Prompt(FACE, cfg_scale=5)) == 5
    assert resolve_cfg_scale(Prompt(FACE, cfg_scale=0)) == 0


def test_lcm_has_few_steps_and_hardly_any_guidance():
    settings = resolve(Prompt(FACE, scheduler="lcm"), SD15_RESOLUTION)
    assert (settings.steps, settings.cfg_scale, settings.scheduler.needs_lcm) == (6, 1.5, True)


def test_everything_left_open_is_settled():
    settings = resolve(Prompt(FACE, num_images=2), SD15_RESOLUTION)
    assert (settings.width, settings.height, settings.steps, settings.cfg_scale) == (512, 512, 30, 3)
    assert settings.scheduler.name == "dpm++2m_karras"
    assert settings.seeds == (42, 43)


def test_what_is_given_is_kept():
    settings = resolve(
        Prompt(FACE, w=512, h=768, steps=20, cfg_scale=4, scheduler="euler_a", seed=7, num_images=1), SDXL_RESOLUTION
    )
    assert (settings.width, settings.height, settings.steps, settings.cfg_scale) == (512, 768, 20, 4)
    assert (settings.scheduler.name, settings.seeds) == ("euler_a", (7,))


def test_no_steps_at_all_means_the_default():
    assert resolve(Prompt(FACE, steps=0), SD15_RESOLUTION).steps == 30


def test_image_i_is_drawn_with_seed_plus_i_and_each_seed_can_be_asked_for_alone():
    seeds = resolve_seeds(Prompt(FACE, seed=2**32 - 2, num_images=4))
    assert seeds == (2**32 - 2, 2**32 - 1, 0, 1)
    for seed in seeds:
        assert resolve_seeds(Prompt(FACE, seed=seed)) == (seed,)


def test_a_seed_of_0_is_a_seed():
    assert resolve_seeds(Prompt(FACE, seed=0)) == (0,)


def test_tcd_is_said_to_be_unavailable_locally():
    with pytest.raises(PromptError, match=r"prompt\[scheduler\]: 'tcd' is unavailable locally") as caught:
        resolve(Prompt(FACE, scheduler="tcd"), SD15_RESOLUTION)
    assert caught.value.field == "scheduler"


def test_sizes_of_the_common_ratios():
    sizes = {ratio: resolve_size(Prompt(FACE, aspect_ratio=ratio), SD15_RESOLUTION) for ratio in ("1:1", "16:9", "2:3")}
    assert sizes == {"1:1": (512, 512), "16:9": (680, 384), "2:3": (416, 624)}
    assert resolve_size(Prompt(FACE, aspect_ratio="16:9"), SDXL_RESOLUTION) == (1368, 768)


@pytest.mark.parametrize(("ratio", "base"), list(itertools.product(ASPECT_RATIOS, (SD15_RESOLUTION, SDXL_RESOLUTION))))
def test_a_size_has_the_asked_ratio_and_the_area_of_the_base(ratio: str, base: int):
    width, height = resolve_size(Prompt(FACE, aspect_ratio=ratio), base)
    wide, high = map(int, ratio.split(":"))
    assert width % 8 == height % 8 == 0
    assert width / height == pytest.approx(wide / high, rel=0.015)
    assert width * height == pytest.approx(base * base, rel=0.03)


def test_the_legacy_ratio_is_used_unless_the_new_one_is_given():
    assert resolve_size(Prompt(FACE, ar="portrait"), SD15_RESOLUTION) == (416, 624)
    assert resolve_size(Prompt(FACE, ar="landscape"), SD15_RESOLUTION) == (624, 416)
    assert resolve_size(Prompt(FACE, ar="16:9"), SD15_RESOLUTION) == (680, 384)
    assert resolve_size(Prompt(FACE, ar="portrait", aspect_ratio="1:1"), SD15_RESOLUTION) == (512, 512)


def test_one_side_follows_from_the_other_and_the_ratio():
    assert resolve_size(Prompt(FACE, w=768, aspect_ratio="3:2"), SD15_RESOLUTION) == (768, 512)
    assert resolve_size(Prompt(FACE, h=768, aspect_ratio="2:3"), SD15_RESOLUTION) == (512, 768)
    assert resolve_size(Prompt(FACE, h=640), SD15_RESOLUTION) == (640, 640)


def test_both_sides_win_over_the_ratio():
    assert resolve_size(Prompt(FACE, w=512, h=768, aspect_ratio="16:9"), SD15_RESOLUTION) == (512, 768)


@pytest.mark.parametrize(("side", "ratio"), [({"w": 4096}, "9:21"), ({"w": 64}, "21:9"), ({"h": 4096}, "16:9")])
def test_a_side_whose_other_side_cannot_be_is_refused_by_name(side: dict[str, int], ratio: str):
    (name,) = side
    with pytest.raises(PromptError, match=rf"prompt\[{name}\]: .* outside 64 to 4096"):
        resolve_size(Prompt(FACE, **side, aspect_ratio=ratio), SD15_RESOLUTION)
