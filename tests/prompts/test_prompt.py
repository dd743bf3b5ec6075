"""The Prompt value: the API's parameters, its defaults, and what it refuses."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
from faceid_tunes.faceid_core.prompts import Prompt, PromptError
from faceid_tunes.faceid_core.prompts.flags import FLAGS, unknown_flag

TEXT = "<faceid:12:1> woman trekking in the alps"


def test_the_prompt_of_the_faceid_page():
    prompt = Prompt(TEXT, negative_prompt="", super_resolution=True, face_correct=True, face_swap=True)
    assert prompt.has_face
    assert prompt.parsed.plain_text == "woman trekking in the alps"


def test_what_is_left_out_is_what_the_api_calls_null():
    left_out = dataclasses.asdict(Prompt(TEXT))
    assert left_out.pop("text") == TEXT
    assert left_out.pop("num_images") == 1  # the API draws 8
    assert left_out.pop("ar") == "1:1"
    assert left_out.pop("negative_prompt") == ""
    assert {name for name, value in left_out.items() if value is False} == {
        "super_resolution",
        "hires_fix",
        "face_correct",
        "face_swap",
        "inpaint_faces",
        "use_lpw",
        "film_grain",
        "prompt_expansion",
        "controlnet_txt2img",
    }
    assert all(value is None or value is False for value in left_out.values())


def test_the_text_is_kept_verbatim():
    text = "  <faceid:12:1.0>  woman --mask_dilate=5 "
    assert Prompt(text).text == text


def test_a_prompt_is_a_value():
    assert Prompt(TEXT, seed=5) == Prompt(TEXT, seed=5) != Prompt(TEXT, seed=6)
    assert len({Prompt(TEXT), Prompt(TEXT)}) == 1
    assert pickle.loads(pickle.dumps(Prompt(TEXT, w=512))) == Prompt(TEXT, w=512)
    assert dataclasses.replace(Prompt(TEXT), text="a lake").parsed.tags == ()


GOOD = {
    "num_images": (1, 8),
    "seed": (0, 2**32 - 1, None),
    "steps": (0, 50, None),
    "cfg_scale": (0, 3, 7.5, 15.0, None),
    "scheduler": ("euler", "dpm++sde_karras", "tcd", None),
    "w": (64, 512, 4096, None),
    "h": (64, 768, 4096, None),
    "aspect_ratio": ("1:1", "9:21", None),
    "ar": ("1:1", "portrait", "16:9", "landscape"),
    "resolution": ("1K", "4K", None),
    "style": ("Cinematic", "Line art", None),
    "color_grading": ("Film Velvia", "Ektar", None),
    "controlnet": ("pose", "qr", None),
    "denoising_strength": (0, 0.8, 1),
    "controlnet_conditioning_scale": (0.0, 1.0),
    "input_image": (b"\x89PNG", "https://example.com/a.jpg", "data:image/png;base64,iVBORw0="),
    "mask_image": (b"\x89PNG", None),
    "backend_version": (0, 1, None),
    "callback": ("https://example.com/hook?prompt_id=1", None),
    "face_swap": (True, False),
    "negative_prompt": ("", "clay, it's <faceid: not a tag"),
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in GOOD.items() for value in values])
def test_every_documented_value_is_accepted(field: str, value: object):
    assert getattr(Prompt(TEXT, **{field: value}), field) == value


BAD = [
    # field, value, what the message says
    ("text", "", "is empty"),
    ("text", " \n", "is empty"),
    ("text", None, "is None"),
    ("text", b"woman", "is 5 bytes"),
    ("num_images", 9, "is 9. Give a whole number from 1 to 8"),
    ("num_images", 0, "from 1 to 8"),
    ("num_images", None, "is None"),
    ("num_images", True, "is True"),
    ("num_images", "4", "the string '4'"),
    ("num_images", 2.0, "is 2.0"),
    ("seed", -1, "from 0 to 4294967295"),
    ("seed", 2**32, "is 4294967296"),
    pytest.param("seed", 10**5000, "more than 128 bits", id="seed-of-5001-digits"),
    ("steps", 51, "from 0 to 50"),
    ("steps", -1, "from 0 to 50"),
    ("cfg_scale", 15.1, "from 0 to 15"),
    ("cfg_scale", math.nan, "is nan"),
    ("cfg_scale", math.inf, "is inf"),
    ("cfg_scale", 10**400, "from 0 to 15"),
    ("cfg_scale", "3.0", "the string '3.0'"),
    ("scheduler", "dpm++2m karras", "Did you mean 'dpm++2m_karras'?"),
    ("scheduler", "ddim", "euler_a"),
    ("w", 500, "500 is not a multiple of 8. Use 496 or 504."),
    ("h", 513, "513 is not a multiple of 8. Use 512 or 520."),
    ("w", 0, "from 64 to 4096"),
    ("w", -512, "from 64 to 4096"),
    ("h", 100_000, "from 64 to 4096"),
    ("w", 512.0, "is 512.0"),
    ("aspect_ratio", "16x9", "16:9"),
    ("aspect_ratio", "portrait", "Give one of 1:1"),
    ("ar", "9:16", "landscape"),
    ("ar", None, "is None"),
    ("resolution", "8K", "4K"),
    ("style", "cinematic", "Did you mean 'Cinematic'?"),
    ("style", "Oil", "Line art"),
    ("color_grading", "Velvia", "Film Velvia"),
    ("controlnet", "openpose", "Did you mean 'pose'?"),
    ("denoising_strength", 1.01, "from 0 to 1"),
    ("denoising_strength", math.nan, "from 0 to 1"),
    ("controlnet_conditioning_scale", -0.1, "from 0 to 1"),
    ("face_swap", "true", "Give True or False"),
    ("face_swap", 1, "Give True or False"),
    ("face_swap", None, "Give True or False"),
    ("input_image", b"", "is 0 bytes"),
    ("input_image", "photo.jpg", "data URL"),
    ("mask_image", np.zeros((8, 8)), "is a ndarray"),
    ("backend_version", 2, "Give one of 0, 1"),
    ("backend_version", True, "is True"),
    ("scheduler", np.zeros(3), "is a ndarray"),
    ("callback", "example.com", "is not a URL"),
    ("negative_prompt", None, "is None"),
    ("negative_prompt", "cl\0ay", "character 3 is NUL"),
    ("negative_prompt", "clay\ud800", "character 5 is half a surrogate pair"),
]


@pytest.mark.parametrize(("field", "value", "message"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_field(field: str, value: object, message: str):
    with pytest.raises(PromptError) as caught:
        Prompt(**{"text": TEXT, field: value})
    assert str(caught.value).startswith(f"prompt[{field}]: ")
    assert message in str(caught.value)
    assert caught.value.field == field


def test_a_bad_tag_is_refused_when_the_prompt_is_made():
    with pytest.raises(PromptError, match=r"prompt\[text\], column 10") as caught:
        Prompt("<faceid:1>")
    assert caught.value.field == "text"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Prompt) if field.name != "text"])
def test_a_field_written_as_a_flag_is_answered_with_the_field(field: str):
    assert field not in FLAGS
    assert f"prompt[{field}]" in unknown_flag(field)[1]
