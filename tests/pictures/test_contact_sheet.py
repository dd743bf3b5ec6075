"""The contact sheet: photos beside results."""

from __future__ import annotations

import numpy as np
from faceid_tunes.faceid_core.pictures.contact_sheet import Frame, contact_sheet, describe_likeness
from support import photos


def frames(count: int) -> list[Frame]:
    photo = Frame(photos.single_faces()["astronaut"], "Eileen, photo 1", is_photo=True)
    result = Frame(photos.t1(), "seed 42", (("Eileen", 0.63),))
    return [photo, *[result] * (count - 1)]


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


def test_a_likeness_is_described_with_the_person_it_is_about():
    assert describe_likeness("Anna", 0.634) == "Anna 0.63"
    assert describe_likeness("Anna", None) == "Anna: no face"
