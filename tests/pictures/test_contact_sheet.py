"""The contact sheet: photos beside results."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces.likeness import Likeness
from faceid_tunes.faceid_core.pictures.contact_sheet import Frame, contact_sheet, describe_likeness
from faceid_tunes.faceid_core.pictures.lettering import fitted, width_of
from support import photos

GREEN, GREY = (20, 130, 60), (120, 120, 120)
BLACK = np.zeros((64, 64, 3), np.uint8)


def measured(cosine: float | None, space: str = "sface") -> Likeness:
    return Likeness(cosine, None, space, "pack")


def pixels(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=-1).sum())


def frames(count: int) -> list[Frame]:
    photo = Frame(photos.single_faces()["astronaut"], "Eileen, photo 1", is_photo=True)
    result = Frame(photos.t1(), "seed 42", (("Eileen", measured(0.63)),))
    return [photo, *[result] * (count - 1)]


@pytest.mark.slow
def test_a_sheet_is_a_grid_of_five_columns_at_most():
    one, five, six = (contact_sheet(frames(count)) for count in (1, 5, 6))
    assert five.shape[1] > one.shape[1] and five.shape[0] == one.shape[0]
    assert six.shape[1] == five.shape[1] and six.shape[0] > five.shape[0]


def test_every_picture_is_there_whole_in_its_own_proportions():
    red = np.zeros((100, 400, 3), np.uint8)
    red[..., 0] = 255
    sheet = contact_sheet([Frame(red, "wide")])
    rows, columns = np.nonzero((sheet == (255, 0, 0)).all(-1))
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == 4


def test_placeholder_weights_are_said_in_red_across_the_top():
    plain, warned = contact_sheet(frames(2)), contact_sheet(frames(2), "PLACEHOLDER WEIGHTS")
    assert warned.shape[0] > plain.shape[0]
    red = warned[:40].astype(int)
    assert (red[..., 0] > red[..., 1] + 80).mean() > 0.5


def test_photos_have_a_frame_and_results_have_none():
    photo, result = (contact_sheet([Frame(BLACK, "", is_photo=is_photo)]) for is_photo in (True, False))
    assert pixels(photo, GREY) > 4 * 320
    assert pixels(result, GREY) == 0


@pytest.mark.parametrize(
    ("cosine", "space", "colour"),
    [
        (0.63, "sface", GREEN),
        (0.41, "sface", GREEN),
        (0.39, "sface", GREY),
        (None, "sface", GREY),
        (0.41, "w600k_r50", GREEN),
    ],
)
def test_a_likeness_from_probably_on_is_green(cosine, space, colour):
    sheet = contact_sheet([Frame(BLACK, "", (("Anna", measured(cosine, space)),))])
    assert pixels(sheet, colour) > 50
    assert pixels(sheet, GREY if colour == GREEN else GREEN) == 0


def test_each_of_several_people_has_a_line_of_their_own():
    people = (("Anna", measured(0.7)), ("Bert", measured(0.1)), ("Carl", measured(None)))
    one, three = contact_sheet([Frame(BLACK, "", people[:1])]), contact_sheet([Frame(BLACK, "", people)])
    assert three.shape[0] > one.shape[0] + 40
    written = (three[340:] != (250, 250, 248)).any(axis=(1, 2))
    assert np.count_nonzero(np.diff(written.astype(int)) == 1) >= 3
    assert pixels(three, GREEN) > 50 and pixels(three, GREY) > 50


def test_pictures_and_captions_do_not_overlap_the_next_row():
    white = np.full((64, 64, 3), 255, np.uint8)
    people = (("Anna", measured(0.7)),) * 3
    sheet = contact_sheet([Frame(white, "caption", people)] * 6)
    assert pixels(sheet, (255, 255, 255)) == 6 * 320 * 320, "each is whole, nothing is written over it"


@pytest.mark.slow
def test_a_long_caption_is_cut_before_the_next_picture():
    long = "a woman trekking in the alps " * 9
    sheet = contact_sheet([Frame(BLACK, long, ((long, measured(0.7)),)), Frame(BLACK, "")])
    gap = sheet[332:, 12 + 320 + 2 : 12 + 320 + 12]
    assert (gap == (250, 250, 248)).all()
    dark = (sheet[334:360, 12:332] < 100).all(axis=-1)
    assert dark.sum() > 100


def test_of_a_long_text_the_beginning_is_kept():
    cut = fitted("Anna, photo 1 of a great many", 10, 100)
    assert cut.startswith("Anna, ph") and cut.endswith("…") and width_of(cut, 10) <= 100
    assert fitted("Anna", 10, 100) == "Anna"


def test_a_likeness_is_described_with_the_person_it_is_about_and_what_it_says():
    assert describe_likeness("Anna", measured(0.634)) == "Anna 0.63, same person"
    assert describe_likeness("Anna", measured(0.2, "w600k_r50")) == "Anna 0.20, someone else"
    assert describe_likeness("Anna", measured(None)) == "Anna: no face"
