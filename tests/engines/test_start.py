"""What a prompt is drawn on: its picture at the right size, its mask, and prompts that only retouch."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.engines.notes import undrawn
from faceid_tunes.faceid_core.engines.start import LEAST_DENOISE, check_pictures, with_start
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from support.photos import encoded

ASTRONAUT = skimage.data.astronaut()  # 512 x 512
WIDE = encoded(ASTRONAUT[:256], "PNG")  # 512 x 256


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (728, 360)),
        ({"w": 128, "h": 64}, (128, 64)),
        ({"aspect_ratio": "1:1"}, (512, 512)),
        ({"ar": "portrait"}, (416, 624)),
        ({"aspect_ratio": "1:1", "h": 64}, (64, 64)),
    ],
)
def test_a_picture_keeps_its_proportions_unless_the_prompt_says_a_size(asked: dict, size: tuple[int, int]):
    prompt, start = with_start(Prompt("a lake", input_image=WIDE, **asked), 512)
    assert (prompt.w, prompt.h) == size and start.pixels.shape == (size[1], size[0], 3)


def test_a_long_strip_stays_within_the_sides_that_can_be_drawn():
    strip = encoded(np.zeros((16, 8000, 3), np.uint8), "PNG")
    prompt, _ = with_start(Prompt("a lake", input_image=strip), 512)
    assert (prompt.w, prompt.h) == (4096, 64)


def test_a_mask_is_cut_as_its_picture_is_and_what_it_leaves_out_stays_bit_exact():
    mask = np.zeros((256, 512), np.uint8)
    mask[:, 256:] = 255
    given = Prompt("a lake", input_image=WIDE, mask_image=encoded(mask, "PNG"), w=64, h=64)
    _, start = with_start(given, 512)
    assert start.mask.shape == (64, 64) and (start.mask[:, :30] == 0).all() and (start.mask[:, 34:] == 255).all()
    drawn = start.kept_around(np.full((64, 64, 3), 7, np.uint8))
    assert np.array_equal(drawn[:, :30], start.pixels[:, :30]) and (drawn[:, 34:] == 7).all()


@pytest.mark.parametrize(("asked", "denoise"), [(None, 0.8), (0.4, 0.4), (1.0, 1.0), (0.0, LEAST_DENOISE)])
def test_how_much_is_drawn_again(asked: float | None, denoise: float):
    _, start = with_start(Prompt("a lake", input_image=WIDE, denoising_strength=asked), 512)
    assert start.denoise == denoise


@pytest.mark.parametrize("text", ["", "  ", "<faceid:1:1>", "--remove_background"])
def test_a_text_without_words_and_a_flag_only_retouch_the_picture_as_it_is_and_once(text: str):
    given = Prompt(text, input_image=WIDE, super_resolution=True, num_images=8)
    prompt, start = with_start(given, 512)
    assert prompt.only_retouches and prompt.num_images == 1 and start.pixels.shape == (256, 512, 3)


def test_words_draw():
    assert not Prompt("a lake", input_image=WIDE, super_resolution=True).only_retouches


@pytest.mark.parametrize("fields", [{}, {"input_image": WIDE}, {"super_resolution": True}])
def test_a_text_without_words_needs_a_picture_and_a_flag(fields: dict):
    with pytest.raises(PromptError, match=r"text.*is empty"):
        Prompt("", **fields)


def test_a_data_url_is_a_picture_and_an_address_is_left_out():
    url = "data:image/png;base64," + base64.b64encode(WIDE).decode()
    assert with_start(Prompt("a lake", input_image=url), 512)[1] is not None
    prompt = Prompt("a lake", input_image="https://client.example/a.png")
    assert with_start(prompt, 512) == (prompt, None) and undrawn(prompt) == ["input_image"]
    with pytest.raises(PromptError, match=r"input_image.*address"):
        with_start(Prompt("", input_image="https://client.example/a.png", face_swap=True), 512)


@pytest.mark.parametrize("name", ["input_image", "mask_image"])
@pytest.mark.parametrize("given", [b"no picture", b"\x89PNG\r\n\x1a\n", "data:image/png;base64,!"])
def test_a_picture_that_is_none_is_refused_by_its_field(name: str, given: str | bytes):
    with pytest.raises(PromptError) as refused:
        check_pictures(Prompt("a lake", **{"input_image": WIDE, name: given}))
    assert refused.value.field == name


def test_a_flag_that_nobody_carries_out_is_no_reason_to_draw_nothing_in_particular():
    with pytest.raises(PromptError, match=r"text.*--remove_background, which is not drawn here"):
        check_pictures(Prompt("--remove_background", input_image=WIDE))
    check_pictures(Prompt("<faceid:1:1> --remove_background", input_image=WIDE))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"input_image": WIDE, "denoising_strength": 0.3, "mask_image": WIDE}, []),
        ({"mask_image": WIDE}, ["mask_image"]),
        ({"input_image": WIDE, "controlnet": "pose"}, ["controlnet"]),
        (
            {"input_image": WIDE, "controlnet": "pose", "controlnet_txt2img": True},
            ["input_image", "controlnet", "controlnet_txt2img"],
        ),
    ],
)
def test_what_is_not_drawn_is_named(fields: dict, names: list[str]):
    prompt = Prompt("a lake --fix_bindi", **fields)
    assert undrawn(prompt) == [*names, "--fix_bindi"]
    assert (with_start(prompt, 512)[1] is None) == ("input_image" not in fields or "input_image" in names)
