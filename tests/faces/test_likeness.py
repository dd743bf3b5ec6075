"""The likeness score: does this picture show that person?"""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.face import SAME_PERSON
from faceid_tunes.faceid_core.faces.likeness import likeness
from faceid_tunes.faceid_core.faces.packs import FacePack, embedded_pack
from support import photos

PACK = embedded_pack()


@pytest.fixture(scope="module")
def astronaut():
    return extract_faces([photos.single_faces()["astronaut"]], PACK)


def test_another_print_of_the_photo_shows_the_same_person_and_a_stranger_does_not(astronaut):
    same = likeness(photos.altered_copies(photos.single_faces()["astronaut"])["jpeg 30"], astronaut, PACK)
    stranger = likeness(photos.single_faces()["Tom_Hanks"], astronaut, PACK)
    assert same > 0.9 > SAME_PERSON > stranger


def test_in_a_group_the_face_that_is_most_like_the_person_counts():
    group = photos.t1()
    someone = extract_faces([group], PACK, pick="rightmost")
    assert likeness(group, someone, PACK) == pytest.approx(1, abs=1e-5)


def test_a_picture_without_a_face_has_no_likeness(astronaut):
    assert likeness(np.full((256, 256, 3), 128, np.uint8), astronaut, PACK) is None


def test_embeddings_of_two_recognisers_are_not_compared(astronaut):
    other = FacePack("other", PACK.detector, PACK.detector)
    with pytest.raises(ValueError, match="other"):
        likeness(photos.t1(), astronaut, other)
