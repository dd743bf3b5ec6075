"""Regions for several people cover the picture, each pixel once."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.adapter.regions import around, feathered, stripes
from faceid_tunes.faceid_core.errors import AdapterError


@pytest.mark.parametrize("people", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("rows", [False, True], ids=["columns", "rows"])
@pytest.mark.parametrize("feather", [0, 1, 32])
def test_every_pixel_belongs_to_one_person_in_all(people, rows, feather):
    masks = feathered(stripes(people, 120, 88, rows=rows), feather)
    assert masks.shape == (people, 88, 120) and masks.dtype == np.float32
    np.testing.assert_allclose(masks.sum(axis=0), 1.0, atol=1e-5)


def test_columns_go_from_left_to_right_and_rows_from_the_top():
    assert stripes(2, 8, 4)[0, :, :4].all() and not stripes(2, 8, 4)[0, :, 4:].any()
    assert stripes(2, 8, 4, rows=True)[1, 2:].all() and not stripes(2, 8, 4, rows=True)[1, :2].any()


def test_a_pixel_belongs_to_the_nearest_face():
    masks = around([(0.25, 0.5), (0.75, 0.5)], 100, 40)
    np.testing.assert_array_equal(masks, stripes(2, 100, 40))
    corner = around([(0.1, 0.1), (0.9, 0.9)], 100, 100)
    assert corner[0, 10, 10] == 1 and corner[1, 90, 90] == 1 and corner[0, 90, 90] == 0


def test_feathering_fades_over_as_many_pixels_as_asked_for():
    row = feathered(stripes(2, 100, 40), 20)[0, 20]
    assert row[30] == 1 and row[70] == 0
    assert 18 <= ((row > 0.001) & (row < 0.999)).sum() <= 22


def test_no_faces_are_refused():
    with pytest.raises(AdapterError, match="no faces"):
        around([], 10, 10)
