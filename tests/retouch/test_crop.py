"""Aligned crops: the framing each family of models was trained on."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces.align import move_points
from faceid_tunes.faceid_core.retouch import TEMPLATES, RetouchError, crop_face
from faceid_tunes.faceid_core.retouch.crop import crop_matrix, enlarge, warp


@pytest.mark.filterwarnings("ignore::FutureWarning")  # insightface's own norm_crop2, scikit-image 0.26
@pytest.mark.parametrize(
    ("template", "size"), [("arcface_112", 112), ("arcface_112", 224), ("arcface_128", 128), ("arcface_128", 256)]
)
def test_arcface_crops_are_insightfaces_own(t1, found, template, size):
    from insightface.utils.face_align import norm_crop2

    for face in found:
        crop, matrix = crop_face(t1, face.landmarks, template, size)
        theirs, their_matrix = norm_crop2(t1, face.landmarks, size)
        np.testing.assert_allclose(matrix, their_matrix, atol=1e-9)
        inside = (
            warp(np.full_like(t1, 255), matrix, size)[..., 0]
            == norm_crop2(np.full_like(t1, 255), face.landmarks, size)[0][..., 0]
        )
        np.testing.assert_array_equal(crop[inside], theirs[inside])
        assert inside.mean() > 0.6


def test_ffhq_puts_the_eyes_where_restorers_expect_them(t1, found):
    _, matrix = crop_face(t1, found[5].landmarks, "ffhq_512", 512)
    moved = move_points(found[5].landmarks, matrix)
    np.testing.assert_allclose(moved[:2], [[193, 240], [319, 240]], atol=12)
    assert np.abs(moved - TEMPLATES["ffhq_512"][1]).mean() < 12


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_face_that_is_the_template_is_cut_out_as_it_is(template):
    side, points = TEMPLATES[template]
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    crop, matrix = crop_face(picture, points, template, side)
    np.testing.assert_allclose(matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-4)
    np.testing.assert_array_equal(crop, picture)


def test_an_enlarged_crop_keeps_pixel_centres(t1, found):
    """The mean of each 2x2 block lies where the pixel of the smaller crop lies."""
    matrix = crop_matrix(found[0].landmarks, "arcface_128", 128)
    centre = np.linalg.inv(matrix[:, :2]) @ ([63.0, 63.0] - matrix[:, 2])
    np.testing.assert_allclose(move_points(centre[None], enlarge(matrix, 4))[0], 4 * 63 + 1.5)


def test_a_shifted_framing_moves_the_face_by_that_many_pixels_of_the_crop(found):
    plain, shifted = (crop_matrix(found[0].landmarks, "arcface_128", 256, shift) for shift in (0.0, 0.5))
    np.testing.assert_allclose(shifted - plain, [[0, 0, 0.5], [0, 0, 0.5]], atol=1e-4)


def test_beyond_the_picture_its_border_is_repeated(t1, found):
    face = found[0]
    cut = t1[:, int(face.landmarks[0, 0]) :]  # the picture begins at the left eye
    crop, _ = crop_face(cut, face.landmarks - np.float32([int(face.landmarks[0, 0]), 0]), "arcface_128", 128)
    assert crop[64, 0].max() > 40, "black, although the skin there is not"


def test_an_unknown_template_is_named(t1, found):
    with pytest.raises(RetouchError, match='"mtcnn_512" is not one of arcface_112, arcface_128, ffhq_512'):
        crop_face(t1, found[0].landmarks, "mtcnn_512", 512)
