"""Film grain: what it adds to real photos, and what it leaves alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.likeness import likeness
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.retouch.errors import RetouchError
from faceid_tunes.faceid_core.retouch.film_grain import film_grain
from PIL import Image
from support import photos


@pytest.fixture(scope="module")
def astronaut():
    return photos.single_faces()["astronaut"]


def flat(level: int, side: int = 256) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def added(picture: np.ndarray, seed: int = 42, strength: float = 1.0) -> np.ndarray:
    return film_grain(picture, seed, strength).astype(float) - picture


def neighbours_correlation(grain: np.ndarray) -> float:
    return float(np.corrcoef(grain[:, 1:].ravel(), grain[:, :-1].ravel())[0, 1])


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(astronaut):
    assert np.array_equal(film_grain(astronaut, 42), film_grain(astronaut, 42))
    assert not np.array_equal(film_grain(astronaut, 42), film_grain(astronaut, 43))
    assert film_grain(astronaut, 2**32 - 1).shape == astronaut.shape


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.5, 1, 3])
def test_the_mean_of_every_channel_stays_within_half_a_grey_level(astronaut, strength):
    for picture in (astronaut, photos.t1(), flat(3), flat(200), photos.no_faces()["color"], astronaut[:5, :3]):
        assert np.abs(added(picture, strength=strength).mean(axis=(0, 1))).max() < 0.5


def test_middle_tones_have_the_most_grain_and_black_and_white_none():
    spread = {level: added(flat(level)).std() for level in (0, 32, 128, 224, 255)}
    assert spread[0] == spread[255] == 0
    assert spread[128] > spread[32] > 1 and spread[128] > spread[224] > 1
    assert spread[128] == pytest.approx(6, abs=0.2)


def test_strength_scales_the_grain_and_zero_is_none(astronaut):
    assert added(flat(128), strength=2).std() == pytest.approx(2 * added(flat(128)).std(), rel=0.02)
    assert np.array_equal(film_grain(astronaut, 42, strength=0), astronaut)


def test_the_grain_is_normally_distributed():
    grain = added(flat(128, 512))[..., 0]
    assert np.abs(grain).max() < 6 * grain.std()
    assert np.mean(np.abs(grain) < grain.std()) == pytest.approx(0.683, abs=0.05)


def test_grain_is_mostly_of_all_colours_with_specks_of_its_own():
    red, green, _ = added(flat(128)).reshape(-1, 3).T
    assert 0.6 < np.corrcoef(red, green)[0, 1] < 0.95


@pytest.mark.slow
def test_clouds_grow_with_the_picture_so_that_it_looks_the_same_at_every_size():
    small, large = (added(flat(128, side))[..., 0] for side in (512, 2048))
    assert neighbours_correlation(small) < 0.05 and neighbours_correlation(large) > 0.6
    assert large.std() == pytest.approx(small.std(), rel=0.02)


def test_grain_is_as_strong_at_the_border_as_in_the_middle():
    grain = added(flat(128, 1024))
    assert grain[:8].std() == pytest.approx(grain[400:600].std(), rel=0.05)
    assert grain[:, -8:].std() == pytest.approx(grain[400:600].std(), rel=0.05)


@pytest.mark.slow
def test_bands_that_a_large_picture_is_worked_on_in_are_not_to_be_seen():
    """Rows next to each other are as alike where one band ends as anywhere else, and as strong."""
    grain = added(flat(128, 2048))[..., 1]
    alike = np.array([np.corrcoef(grain[row], grain[row + 1])[0, 1] for row in range(len(grain) - 1)])
    assert alike.min() > 0.6
    means = np.diff(grain.reshape(-1, 32, 2048).mean(axis=(1, 2)))
    assert np.abs(means).max() < 0.5


@pytest.mark.slow
def test_a_large_picture_takes_no_more_memory_than_a_few_of_itself():
    picture = flat(128, 2048)
    tracemalloc.start()
    film_grain(picture, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * picture.nbytes  # noise for all of it at once took 16


def test_colours_get_specks_of_their_own_and_no_two_the_same():
    red, green, blue = (added(flat(128))[..., channel] for channel in range(3))
    assert (red != green).mean() > 0.3 and (green != blue).mean() > 0.3 and (red != blue).mean() > 0.3


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_the_smallest_pictures_keep_their_size_and_mean(shape):
    picture = np.full((*shape, 3), 128, np.uint8)
    assert film_grain(picture, 1).shape == picture.shape
    assert np.abs(added(picture, 1).mean(axis=(0, 1))).max() < 0.5


def test_a_colour_of_full_red_gets_no_grain_that_would_darken_it():
    red = flat(0)
    red[..., 0] = 255
    assert np.array_equal(film_grain(red, 5), red)


@pytest.mark.slow
def test_a_face_under_grain_is_still_the_same_person(astronaut):
    pack = embedded_pack()
    person = extract_faces([astronaut], pack)
    assert likeness(film_grain(astronaut, 42), person, pack) > 0.8


def test_a_picture_of_another_kind_is_refused(astronaut):
    with pytest.raises(RetouchError, match="uint8"):
        film_grain(np.array(Image.fromarray(astronaut).convert("RGBA")), 1)
