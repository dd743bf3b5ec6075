"""Titles of any script on a picture."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.pictures import lettering
from faceid_tunes.faceid_core.pictures.contact_sheet import Frame, contact_sheet
from faceid_tunes.faceid_core.pictures.lettering import fitted, width_of, write
from PIL import Image, ImageDraw, ImageFont

TITLES = {
    "Chinese": "张三",
    "Japanese": "山田はなこ",
    "Korean": "김철수",
    "Cyrillic": "Наталья",
    "Greek": "Ελένη",
    "Polish": "Żółć",
    "Arabic": "محمد",
    "Hebrew": "שלום",
    "Devanagari": "अंजलि",
    "Thai": "สมชาย",
    "Tamil": "அன்னா",
    "Ethiopic": "ኢትዮጵያ",
    "emoji": "🙂🚀",
}


def drawn(text: str, size: int = 16) -> np.ndarray:
    """[H, W] bool: the ink of one line."""
    picture = Image.new("L", (600, 60), 255)
    write(ImageDraw.Draw(picture), (20, 10), text, size, 0)
    return np.array(picture) < 128


@pytest.fixture(params=[True, False], ids=["shaped", "not shaped"])
def shaping(request, monkeypatch) -> bool:
    """With Pillow's libraqm, where it is, and without."""
    from PIL import features

    if request.param and not features.check("raqm"):
        pytest.skip("this Pillow has no libraqm")
    if not request.param:
        monkeypatch.setattr(lettering, "_direction", lambda: None)
        lettering.font.cache_clear()
    yield request.param
    lettering.font.cache_clear()


@pytest.mark.parametrize("script", TITLES)
def test_every_letter_of_a_script_has_a_shape_of_its_own(script, shaping):
    letters = sorted(set(TITLES[script]))
    shapes = {drawn(f"{letter}").tobytes() for letter in letters}
    assert len(shapes) == len(letters), "boxes are alike"
    assert not any(f"U+{ord(letter):04X}" in "".join(run for _, run in lettering._runs(letter)) for letter in letters)


def test_a_character_that_no_font_has_is_its_number():
    for character in ("\U00020bb7", "\ue123", "\udc80", "\x07"):
        assert np.array_equal(drawn(character), drawn(f"[U+{ord(character):04X}]")), "no box"


def test_latin_text_looks_as_pillow_draws_it():
    picture = Image.new("L", (600, 60), 255)
    ImageDraw.Draw(picture).text((20, 10), "Anna 0.63, same person", fill=0, font=ImageFont.load_default(size=18))
    assert np.array_equal(drawn("Anna 0.63, same person", 18), np.array(picture) < 128)


def test_invisible_characters_take_no_room_and_accents_join_their_letters(shaping):
    assert width_of("An\u200bna\ufe0f", 18) == width_of("Anna", 18)
    assert np.array_equal(drawn("Zoe\u0308"), drawn("Zoë"))


def test_hebrew_runs_from_right_to_left_between_latin_words(shaping):
    alef, bet, latin = (drawn(each)[:, 20:] for each in ("א", "ב", "I"))
    both = drawn("אב I")[:, 20:]
    width = round(width_of("א", 16))
    assert np.array_equal(both[:, :width], bet[:, :width]) and np.array_equal(
        both[:, width : 2 * width], alef[:, :width]
    )
    assert latin.any() and both[:, 2 * width :].any(), "the Latin word follows on the right"


@pytest.mark.parametrize("script", TITLES)
def test_a_caption_of_any_script_stays_below_its_picture_and_inside_its_cell(script):
    title = f"{TITLES[script]} " * 40
    black = np.zeros((64, 64, 3), np.uint8)
    sheet = contact_sheet([Frame(black, title), Frame(black, "")])
    assert (sheet[332:, 12 + 320 + 2 : 12 + 320 + 12] == (250, 250, 248)).all()
    assert (sheet[334:362, 12:332] < 100).all(axis=-1).sum() > 100
    assert (sheet[-10:] == (250, 250, 248)).all()


@pytest.mark.slow
def test_a_text_is_cut_where_its_own_font_ends():
    for title in TITLES.values():
        cut = fitted(title * 30, 26, 200)
        assert cut.endswith("…") and width_of(cut, 26) <= 200 < width_of(cut + title, 26)
