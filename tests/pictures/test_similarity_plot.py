"""The similarity plot: photos against results, readable at a glance."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces.likeness import LikenessMatrix, likeness_matrix
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.pictures.contact_sheet import Frame
from faceid_tunes.faceid_core.pictures.similarity_plot import similarity_plot
from support import photos

SAME, PROBABLY, UNSURE, OTHER, NO_FACE = (
    (0, 118, 101),
    (150, 214, 190),
    (250, 214, 120),
    (205, 84, 32),
    (226, 226, 222),
)
BLUE = Frame(np.full((60, 90, 3), (0, 0, 255), np.uint8), "photo")
RED = Frame(np.full((90, 60, 3), (255, 0, 0), np.uint8), "result")


def plot(cosines: list[list[float]], **more) -> np.ndarray:
    matrix = LikenessMatrix(np.array(cosines, np.float32), "sface", "yunet_sface")
    return similarity_plot([BLUE] * len(cosines), [RED] * len(cosines[0]), matrix, **more)


def pixels(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=-1).sum())


@pytest.mark.slow
def test_real_photos_against_real_results_are_one_rgb_picture():
    pack = embedded_pack()
    person = [photos.single_faces()["astronaut"]]
    results = [*photos.altered_copies(person[0]).values(), photos.t1(), photos.no_faces()["chelsea"]]
    matrix = likeness_matrix(person, results, pack)
    picture = similarity_plot([Frame(person[0], "a")], [Frame(result, "b") for result in results], matrix)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert pixels(picture, SAME) > 8 * pixels(picture, OTHER) > 0
    assert pixels(picture, NO_FACE) > 10_000


@pytest.mark.parametrize(
    ("cosine", "colour"),
    [(0.97, SAME), (0.45, PROBABLY), (0.3, UNSURE), (0.1, OTHER), (-0.2, OTHER), (float("nan"), NO_FACE)],
)
def test_a_cell_has_the_colour_of_its_verdict(cosine, colour):
    picture = plot([[cosine]])
    colours = (SAME, PROBABLY, UNSURE, OTHER, NO_FACE)
    assert max(colours, key=lambda each: pixels(picture, each)) == colour
    assert pixels(picture, colour) > 15_000


def test_two_cosines_of_one_verdict_differ_in_what_is_written():
    assert not np.array_equal(plot([[0.91]]), plot([[0.92]]))
    assert np.array_equal(plot([[0.001]]), plot([[-0.001]])), "0.00 and never -0.00"


def test_every_photo_and_result_is_there_in_its_own_proportions():
    picture = plot([[0.9, 0.1, 0.2]] * 2)
    assert pixels(picture, (0, 0, 255)) == pytest.approx(2 * 152 * 152 * 60 / 90, rel=0.02)
    assert pixels(picture, (255, 0, 0)) == pytest.approx(3 * 152 * 152 * 60 / 90, rel=0.02)


def test_photos_are_rows_and_results_columns():
    one, wide, high = plot([[0.9] * 4]), plot([[0.9] * 8]), plot([[0.9] * 4] * 3)
    assert wide.shape[1] > one.shape[1] and wide.shape[0] == one.shape[0]
    assert high.shape[0] > one.shape[0] and high.shape[1] == one.shape[1]


def test_more_than_eight_results_go_on_below_and_none_is_lost():
    eight, eleven = plot([[0.9] * 8]), plot([[0.9] * 11])
    assert eleven.shape[1] < eight.shape[1] and eleven.shape[0] > 1.5 * eight.shape[0]
    assert pixels(eleven, SAME) == pytest.approx(11 / 8 * pixels(eight, SAME), rel=0.02)


def test_a_photo_without_a_face_still_has_its_row():
    nan = float("nan")
    assert plot([[0.9, 0.8], [nan, nan]]).shape == plot([[0.9, 0.8], [0.7, 0.6]]).shape


@pytest.mark.slow
def test_long_titles_and_captions_are_cut_and_change_nothing_else():
    long = "a woman trekking in the alps " * 20
    matrix = LikenessMatrix(np.array([[0.9]], np.float32), "sface", "yunet_sface")
    short = similarity_plot([BLUE], [RED], matrix, "t")
    cut = similarity_plot([Frame(BLUE.pixels, long)], [Frame(RED.pixels, long)], matrix, long)
    assert cut.shape == short.shape
    assert (cut[:, -20:] == short[:, -20:]).all(), "nothing is written over the margin"


def test_the_legend_says_who_set_the_thresholds_of_the_space():
    arcface = LikenessMatrix(np.array([[0.9]], np.float32), "w600k_r50", "yunet_sface")
    assert not np.array_equal(similarity_plot([BLUE], [RED], arcface), plot([[0.9]]))


def test_a_matrix_of_another_size_is_refused():
    matrix = LikenessMatrix(np.zeros((2, 1), np.float32), "sface", "yunet_sface")
    with pytest.raises(ValueError, match=r"1 photos and 1 results"):
        similarity_plot([BLUE], [RED], matrix)
