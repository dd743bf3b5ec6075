"""Faces that tell too little: refused as an identity, or told of with the reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.adapter.variants import adapter_packs
from faceid_tunes.faceid_core.errors import NoFaceError
from faceid_tunes.faceid_core.faces import (
    agreement,
    choose_faces,
    describe_faces,
    extract_faces,
    find_faces,
    judge_photos,
    trust,
)
from faceid_tunes.faceid_core.faces.trust import doubts
from PIL import Image
from support import photos


def dithered(photo):
    return np.array(Image.fromarray(photo).convert("1").convert("RGB"))


JUNK = {
    "very dark": lambda photo: photos.as_uint8(photo * 0.06),
    "negative": lambda photo: 255 - photo,
    "dithered": dithered,
    "blurred": lambda photo: cv2.GaussianBlur(photo, (0, 0), 8),
    "noisy": lambda photo: photos.as_uint8(photo + np.random.default_rng(0).normal(0, 60, photo.shape)),
    "over-exposed": lambda photo: photos.as_uint8(photo * 2.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(JUNK))
def test_a_photo_that_tells_too_little_is_refused_or_told_of(kind, pack):
    for photo in photos.people(pack).values():
        upright = extract_faces([photo], pack).faces[0].unit_embedding
        try:
            faces = extract_faces([JUNK[kind](photo)], pack)
        except NoFaceError:
            continue
        assert doubts(faces) or faces.faces[0].unit_embedding @ upright >= 0.6


@pytest.mark.slow
def test_photos_as_cameras_take_them_are_vouched_for(pack):
    shown = photos.people(pack) | {"camera": photos.single_faces()["camera"]}
    assert doubts(extract_faces(list(shown.values()), pack)) == {}


@pytest.mark.slow
def test_faces_of_25_pixels_are_never_vouched_for(pack):
    lfw = [photo for name, photo in photos.single_faces().items() if name.startswith("lfw")]
    faces = extract_faces(lfw, pack, on_missing="skip")
    assert len(faces.faces) >= 99
    assert set(doubts(faces)) | set(faces.skipped) == set(range(100))


@pytest.mark.slow
def test_the_reason_is_told_for_each_image(astronaut, pack):
    small = cv2.resize(astronaut, (120, 120), interpolation=cv2.INTER_AREA)
    found = find_faces([astronaut, JUNK["very dark"](astronaut), JUNK["negative"](astronaut), small], pack)
    assert describe_faces(choose_faces(found), found, adapter_packs()).warnings[0] == (
        "cannot vouch for who it is: image 2 (very dark), image 3 (blurred, noisy, turned away or altered), "
        "image 4 (9 pixels between the eyes)"
    )


@pytest.mark.slow
def test_a_face_that_tells_nothing_is_refused_with_the_reason(pack):
    hanks = dithered(photos.single_faces()["Tom_Hanks"])
    assert find_faces([hanks], pack).photos[0].faces, "it is a face, and can be swapped"
    with pytest.raises(NoFaceError, match=r"image 1 \(112x112, the face in it is too unclear to tell whose it is"):
        extract_faces([hanks], pack)


@pytest.fixture
def unmeasured(monkeypatch):
    """The embedded pack, as a pack whose lengths nobody measured."""
    monkeypatch.setattr(trust, "_LENGTHS", {})


@pytest.mark.slow
def test_in_a_space_nobody_measured_a_face_that_small_alterations_change_is_told_of(unmeasured, astronaut, pack):
    copies = [JUNK[kind](astronaut) for kind in ("very dark", "noisy", "dithered")]
    assert set(doubts(extract_faces(copies, pack))) == {0, 1, 2}
    assert doubts(extract_faces([astronaut, photos.single_faces()["Tom_Hanks"]], pack)) == {}


def test_measured_lengths_cost_no_run_of_the_recogniser_more(astronaut, pack, monkeypatch):
    monkeypatch.setattr(agreement, "embed", lambda *arguments: pytest.fail("the face was read again"))
    assert extract_faces([astronaut], pack).faces[0].agreement is None


@pytest.mark.slow
def test_a_tune_of_a_space_nobody_measured_says_which_photo_is_unclear(unmeasured, astronaut, pack):
    verdicts = judge_photos(find_faces([JUNK["noisy"](astronaut)], pack))
    assert "blurred, noisy, turned away or altered" in verdicts[0].reason
