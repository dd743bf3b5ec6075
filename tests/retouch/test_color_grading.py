"""Film stocks: how they change real photos, greys and skin."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.prompts.prompt import COLOR_GRADINGS
from faceid_tunes.faceid_core.retouch.color_grading import grade
from faceid_tunes.faceid_core.retouch.errors import RetouchError
from skimage.color import rgb2lab
from support import photos

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
# From fair to dark, as in charts of skin colours.
SKIN = np.array(
    [[(255, 224, 196), (241, 194, 125), (224, 172, 138), (198, 134, 66), (141, 85, 36), (90, 56, 37)]], np.uint8
)
each_stock = pytest.mark.parametrize("name", COLOR_GRADINGS)


@pytest.fixture(scope="module")
def astronaut():
    return photos.single_faces()["astronaut"]


def contrast(picture: np.ndarray) -> float:
    return float(rgb2lab(picture)[..., 0].std())


def chroma(picture: np.ndarray) -> np.ndarray:
    lab = rgb2lab(picture)
    return np.hypot(lab[..., 1], lab[..., 2])


def saturation(picture: np.ndarray) -> float:
    """Mean chroma over lightness: what is left of colourfulness when the picture becomes darker."""
    return float((chroma(picture) / (rgb2lab(picture)[..., 0] + 5)).mean())


def hue(picture: np.ndarray) -> np.ndarray:
    lab = rgb2lab(picture)
    return np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))


@pytest.mark.slow
@each_stock
def test_a_photo_changes_and_stays_the_same_photo(name, astronaut):
    graded = grade(astronaut, name)
    assert graded.shape == astronaut.shape and graded.dtype == np.uint8
    assert 1 < np.abs(graded.astype(int) - astronaut).mean() < 15
    assert np.corrcoef(graded.ravel(), astronaut.ravel())[0, 1] > 0.98
    assert np.array_equal(graded, grade(astronaut, name))


@pytest.mark.slow
def test_velvia_has_the_most_contrast_and_portra_the_least(astronaut):
    velvia, portra, ektar = (contrast(grade(astronaut, name)) for name in COLOR_GRADINGS)
    assert velvia > ektar > contrast(astronaut) > portra


@pytest.mark.slow
@pytest.mark.parametrize("photo", ["coffee", "rocket", "chelsea"])
def test_velvia_and_ektar_are_more_saturated_and_portra_less(photo):
    picture = photos.no_faces()[photo]
    velvia, portra, ektar = (saturation(grade(picture, name)) for name in COLOR_GRADINGS)
    assert min(velvia, ektar) > 1.05 * saturation(picture) and portra < 0.98 * saturation(picture)


@each_stock
def test_greys_stay_grey_and_keep_their_order(name):
    graded = grade(GREYS, name)[0].astype(int)
    assert np.ptp(graded, axis=1).max() <= 4
    assert (np.diff(graded, axis=0) >= 0).all()
    assert len(np.unique(graded[:, 1])) > 200


def test_only_portra_lifts_black_and_softens_white():
    ends = {name: grade(GREYS, name)[0, [0, -1]].mean(axis=1) for name in COLOR_GRADINGS}
    assert ends["Film Velvia"].tolist() == [0, 255]
    assert 4 < ends["Film Portra"][0] < 12 and 248 < ends["Film Portra"][1] < 254
    assert ends["Ektar"][0] <= 1 and ends["Ektar"][1] == 255


@each_stock
@pytest.mark.parametrize("colour", [(1, 0.2, 0.1), (0.2, 0.9, 0.3), (0.3, 0.5, 1), (0.95, 0.75, 0.6)])
def test_more_light_never_comes_out_darker(name, colour):
    light = np.linspace(0, 1, 200)[:, None] * np.array(colour) ** 2.2
    ramp = np.rint(255 * light ** (1 / 2.2)).astype(np.uint8)[None]
    lightness = rgb2lab(grade(ramp, name))[0, :, 0]
    assert np.diff(lightness).min() > -0.4  # a rounded grey level is 0.4 of L*


@each_stock
def test_skin_of_every_tone_keeps_its_hue_and_about_its_colourfulness(name):
    graded = grade(SKIN, name)
    lightness = rgb2lab(graded)[..., 0] / rgb2lab(SKIN)[..., 0]
    gain = chroma(graded) / chroma(SKIN) / lightness
    assert np.abs(hue(graded) - hue(SKIN)).max() < 6
    assert gain.min() > 0.8 and gain.max() < 1.2


def test_skin_changes_less_than_foliage_and_sky_in_velvia():
    leaf_and_sky = np.array([[(90, 130, 60), (110, 160, 210)]], np.uint8)
    gain = chroma(grade(leaf_and_sky, "Film Velvia")) / chroma(leaf_and_sky)
    assert gain.min() > 1.15 > (chroma(grade(SKIN, "Film Velvia")) / chroma(SKIN)).max()


def test_velvia_turns_blue_to_magenta_and_portra_green_to_yellow():
    blue, green = np.array([[(60, 80, 170)]], np.uint8), np.array([[(90, 130, 60)]], np.uint8)
    assert hue(grade(blue, "Film Velvia"))[0, 0] > hue(blue)[0, 0] + 1
    assert hue(grade(green, "Film Portra"))[0, 0] < hue(green)[0, 0] - 3


@each_stock
def test_neighbouring_colours_stay_neighbours(name):
    wheel = photos.no_faces()["color"]
    steps = np.abs(np.diff(wheel.astype(int), axis=1)).max(axis=-1)
    graded = np.abs(np.diff(grade(wheel, name).astype(int), axis=1)).max(axis=-1)
    assert (graded - 2 * steps).max() <= 16  # no edge where there was none


@each_stock
def test_one_pixel_is_graded_like_that_colour_anywhere(name, astronaut):
    pixel = astronaut[100:101, 200:201]
    assert np.array_equal(grade(pixel, name), grade(astronaut, name)[100:101, 200:201])


def test_a_large_picture_is_graded_like_each_of_its_parts(astronaut):
    large = np.tile(astronaut, (3, 3, 1))[:-7]  # more than one band, the last one shorter
    graded = grade(large, "Ektar")
    assert np.array_equal(graded, np.tile(grade(astronaut, "Ektar"), (3, 3, 1))[:-7])


def test_a_picture_of_another_kind_is_refused(astronaut):
    with pytest.raises(RetouchError, match="uint8"):
        grade(astronaut / 255.0, "Ektar")
