"""Small faces in large photos: found, and nothing else with them."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import detect, extract_faces, find_faces
from faceid_tunes.faceid_core.faces.trust import doubt
from support import photos

WHOLE = (3000, 4000)  # 12 megapixels


def placed(photo, box, pixels):
    """A photo of 12 megapixels of a rocket's start, in it ``photo`` with the face in ``box`` ``pixels`` high."""
    scale = pixels / float(max(box[2:] - box[:2]))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    whole = cv2.resize(photos.no_faces()["rocket"], WHOLE[::-1])
    whole[1500 : 1500 + small.shape[0], 1300 : 1300 + small.shape[1]] = small
    return whole


PEOPLE = (*(f"t1 {number}" for number in range(6)), "Tom_Hanks", "astronaut")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pixels"), [*((name, 40) for name in PEOPLE), *(("t1 1", 60), ("Tom_Hanks", 60), ("t1 3", 80))]
)
def test_a_face_of_40_to_80_pixels_in_12_megapixels_is_found_and_is_that_person(name, pixels, pack):
    photo = photos.people(pack)[name]
    person = extract_faces([photo], pack).faces[0]
    (face,) = find_faces([placed(photo, person.box, pixels)], pack).photos[0].faces
    assert max(face.box[2:] - face.box[:2]) == pytest.approx(pixels, rel=0.25)
    cosine = face.unit_embedding @ person.unit_embedding
    assert cosine > 0.8 or (cosine > 0.6 and doubt(face, pack.space))


@pytest.mark.parametrize("length", [1, 1280, 1281, 2048, 4096])
def test_tiles_cover_a_photo_and_overlap_by_more_than_a_small_face(length):
    starts = detect._starts(length)
    assert starts[0] == 0
    assert starts[-1] + 1280 >= length
    assert all(later - earlier <= 1280 - 192 for earlier, later in pairwise(starts))


@pytest.mark.slow
@pytest.mark.parametrize("width", [4000, 5000])
def test_all_six_of_a_group_far_away_are_found(width, t1, pack):
    whole = np.full((width * 3 // 4, width, 3), 90, np.uint8)
    whole[100 : 100 + t1.shape[0], 200 : 200 + t1.shape[1]] = t1
    assert len(find_faces([whole], pack).photos[0].faces) == 6
    enlarged = cv2.resize(t1, (width, width * t1.shape[0] // t1.shape[1]))
    assert len(find_faces([enlarged], pack).photos[0].faces) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(photos.no_faces()))
def test_large_pictures_of_cats_things_and_textures_show_no_faces(name, pack):
    picture = photos.no_faces()[name]
    scale = 2400 / max(picture.shape)
    assert not find_faces([cv2.resize(picture, None, fx=scale, fy=scale)], pack).photos[0].faces
