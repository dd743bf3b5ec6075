"""Back into the picture: the face's rectangle and nothing else, exactly what a full-frame paste would do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.retouch import RetouchError, crop_face, make_patch, soft_mask
from faceid_tunes.faceid_core.retouch.paste import change_mask, colour_matched, face_rectangle


def pasted(picture, before, after, matrix, **options):
    canvas = picture.copy()
    make_patch(picture, before, after.astype(np.float32), matrix, **options).paste(canvas)
    return canvas


def outside(picture, matrix, size):
    """[H, W] bool: where nothing may change."""
    left, top, right, bottom = face_rectangle(matrix, size, picture.shape)
    keep = np.ones(picture.shape[:2], bool)
    keep[top:bottom, left:right] = False
    return keep


def full_frame(picture, after, matrix, mask):
    """The plain way: the whole picture warped and blended."""
    size = (picture.shape[1], picture.shape[0])
    face = cv2.warpAffine(after.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    weight = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[..., None]
    return weight * face + (1 - weight) * picture.astype(np.float32)


def test_the_rectangle_gives_what_a_full_frame_paste_gives(t1, found):
    for face in found:
        crop, matrix = crop_face(t1, face.landmarks, "arcface_128", 128)
        after = 255.0 - crop
        crop[:] = 255 - after.astype(np.uint8) ^ 128  # changed everywhere, so that only the crop's own mask counts
        ours = pasted(t1, crop, after, matrix)
        assert np.abs(ours - full_frame(t1, after, matrix, soft_mask(128))).max() <= 1.0


def test_outside_the_rectangle_every_bit_stays(t1, found):
    crop, matrix = crop_face(t1, found[2].landmarks, "arcface_128", 128)
    ours = pasted(t1, crop, np.full(crop.shape, 255.0), matrix)
    keep = outside(t1, matrix, 128)
    np.testing.assert_array_equal(ours[keep], t1[keep])
    assert (ours[~keep] != t1[~keep]).mean() > 0.5
    assert keep.mean() > 0.95, "one face is a small part of the picture"


def test_an_unchanged_crop_changes_nothing_at_all(t1, found):
    for face in found:
        crop, matrix = crop_face(t1, face.landmarks, "arcface_128", 128)
        for match_colour in (False, True):
            np.testing.assert_array_equal(pasted(t1, crop, crop, matrix, match_colour=match_colour), t1)


def test_what_a_model_left_alone_stays_sharp(t1, found):
    """A hand over the lower half of the face, which the model does not touch."""
    crop, matrix = crop_face(t1, found[4].landmarks, "arcface_128", 128)
    after = crop.astype(np.float32)
    after[:64] = 255 - after[:64]
    ours, plain = pasted(t1, crop, after, matrix), full_frame(t1, after, matrix, soft_mask(128))
    below = int(found[4].landmarks[3:, 1].min())
    assert np.abs(plain[below:] - t1[below:]).max() > 10, "a plain paste blurs it"
    np.testing.assert_array_equal(ours[below:], t1[below:])
    assert np.abs(ours[:below].astype(int) - t1[:below]).max() > 100


def test_a_face_half_outside_changes_only_the_half_that_is_there(t1, found):
    face, green = found[0], np.full((128, 128, 3), (0, 255, 0), np.float32)
    cut = int(face.landmarks[0, 0]) + 3
    _, matrix = crop_face(t1, face.landmarks, "arcface_128", 128)
    whole = pasted(t1, 255 - green.astype(np.uint8), green, matrix)
    matrix_cut = matrix.copy()
    matrix_cut[:, 2] += matrix[:, 0] * cut
    half = pasted(np.ascontiguousarray(t1[:, cut:]), 255 - green.astype(np.uint8), green, matrix_cut)
    assert np.abs(half.astype(int) - whole[:, cut:]).max() <= 1
    assert (half[:, 0] != t1[:, cut]).any(), "the border itself is part of the face"


def test_a_crop_that_misses_the_picture_makes_no_patch(t1):
    matrix = np.array([[1.0, 0, 500], [0, 1.0, 0]])
    crop = np.zeros((128, 128, 3), np.uint8)
    assert make_patch(t1, crop, crop.astype(np.float32), matrix) is None


def test_a_crop_with_more_pixels_than_the_face_is_averaged_not_picked(t1, found):
    """Single pixels of a 1024 pixel crop would be noise."""
    _, matrix = crop_face(t1, found[0].landmarks, "ffhq_512", 1024)
    checks = np.indices((1024, 1024)).sum(axis=0) % 2 * 255.0
    ours = pasted(t1, np.full((1024, 1024, 3), 60, np.uint8), np.repeat(checks[..., None], 3, 2), matrix)
    centre = found[0].landmarks[2].astype(int)
    around = ours[centre[1] - 8 : centre[1] + 8, centre[0] - 8 : centre[0] + 8].astype(float)
    assert around.mean() == pytest.approx(127.5, abs=3)
    assert around.std() < 12


def test_no_seam_where_the_crop_ends(t1, found):
    crop, matrix = crop_face(t1, found[3].landmarks, "arcface_128", 128)
    ours = pasted(t1, crop, 255.0 - crop, matrix)
    left, top, right, bottom = face_rectangle(matrix, 128, t1.shape)
    rim = np.ones((bottom - top, right - left), bool)
    rim[2:-2, 2:-2] = False
    change = np.abs(ours.astype(int) - t1)[top:bottom, left:right]
    assert change[rim].max() <= 1


def test_a_mask_limits_the_change_to_where_it_is_white(t1, found):
    crop, matrix = crop_face(t1, found[1].landmarks, "arcface_128", 128)
    mask = np.zeros(t1.shape[:2], np.float32)
    mask[:, : int(found[1].landmarks[2, 0])] = 1  # left of the nose
    ours = pasted(t1, crop, 255.0 - crop, matrix, mask=mask)
    free = pasted(t1, crop, 255.0 - crop, matrix)
    np.testing.assert_array_equal(ours[mask == 0], t1[mask == 0])
    np.testing.assert_array_equal(ours[mask == 1], free[mask == 1])


def test_a_crop_mask_of_another_size_is_refused(t1, found):
    crop, matrix = crop_face(t1, found[1].landmarks, "arcface_128", 128)
    with pytest.raises(RetouchError, match=r"crop mask has shape \(64, 64\), the crop 128x128"):
        make_patch(t1, crop, crop.astype(np.float32), matrix, crop_mask=np.ones((64, 64)))


def test_a_crop_mask_of_ones_still_ends_at_the_crop(t1, found):
    crop, matrix = crop_face(t1, found[5].landmarks, "ffhq_512", 512)
    ours = pasted(t1, crop, 255.0 - crop, matrix, crop_mask=np.ones((512, 512)))
    everything = full_frame(t1, 255.0 - crop, matrix, np.ones((512, 512), np.float32))
    untouched = (np.abs(everything - t1).max(axis=2) == 0) & ~outside(t1, matrix, 512)
    assert untouched.any(), "the rectangle around a rotated crop has corners"
    np.testing.assert_array_equal(ours[untouched], t1[untouched])


def test_the_soft_mask_is_whole_in_the_middle_and_nothing_at_the_edge():
    mask = soft_mask(128)
    assert mask[40:88, 40:88].min() == 1
    assert max(mask[0].max(), mask[:, -1].max()) < 1e-6
    np.testing.assert_allclose(mask, mask[::-1, ::-1], atol=1e-6)
    assert np.abs(np.diff(mask, axis=0)).max() < 0.1, "no step to be seen"


def test_colours_are_matched_inside_what_changed(t1, found):
    crop, _ = crop_face(t1, found[0].landmarks, "arcface_128", 128)
    bluish = np.clip(crop * (0.7, 0.8, 1.0) + (0, 0, 30), 0, 255).astype(np.float32)
    weight = soft_mask(128) * change_mask(crop, bluish)
    matched = colour_matched(bluish, crop, weight)
    inside = weight > 0.5
    assert np.abs(bluish[inside].mean(axis=0) - crop[inside].mean(axis=0)).max() > 10
    assert np.abs(matched[inside].mean(axis=0) - crop[inside].mean(axis=0)).max() < 2
