"""Faces that do not stand upright: found, straightened, or told of; upright ones are left as they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import detect, find, find_faces, turn
from faceid_tunes.faceid_core.faces.embed import face_of
from faceid_tunes.faceid_core.faces.models import load_models
from faceid_tunes.faceid_core.faces.trust import doubt, is_junk
from support import photos

ANGLES = range(30, 331, 30)


def largest(photo, pack):
    """The largest face that can be used as somebody's identity, or None."""
    faces = find_faces([photo], pack).photos[0].faces
    face = max(faces, key=lambda face: np.prod(face.box[2:] - face.box[:2]), default=None)
    return None if face is None or is_junk(face, pack.space) else face


def place_in_turned(point, photo, degrees):
    """Where a point of a photo is in ``photos.turned(photo, degrees)``."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((0, 0), degrees, 1.0)[:, :2]
    canvas = photos.turned(photo, degrees).shape[1::-1]
    return matrix @ (np.array(point) - (width / 2, height / 2)) + np.array(canvas) / 2


@pytest.mark.slow
@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize("name", ["Tom_Hanks", "astronaut"])
def test_a_turned_face_is_the_same_person(name, degrees, pack):
    photo = photos.single_faces()[name]
    face = largest(photos.turned(photo, degrees), pack)
    assert face.unit_embedding @ largest(photo, pack).unit_embedding >= 0.8
    assert not doubt(face, pack.space)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [45, 90, 180, 255])
def test_landmarks_of_a_turned_face_are_where_its_eyes_nose_and_mouth_are(degrees, astronaut, pack):
    upright = largest(astronaut, pack)
    face = largest(photos.turned(astronaut, degrees), pack)
    expected = [place_in_turned(point, astronaut, degrees) for point in upright.landmarks]
    eyes = np.linalg.norm(upright.landmarks[1] - upright.landmarks[0])
    assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.15 * eyes
    centre = place_in_turned((upright.box[:2] + upright.box[2:]) / 2, astronaut, degrees)
    np.testing.assert_allclose((face.box[:2] + face.box[2:]) / 2, centre, atol=0.3 * eyes)


@pytest.mark.slow
def test_a_turned_profile_is_the_same_person_or_refused(pack):
    photo = photos.single_faces()["camera"]
    upright = largest(photo, pack).unit_embedding
    for degrees in ANGLES:
        face = largest(photos.turned(photo, degrees), pack)
        assert face is None or face.unit_embedding @ upright >= 0.8


@pytest.mark.slow
def test_all_six_of_a_group_photo_that_lies_on_its_side_are_found(t1, pack):
    upright = [face.unit_embedding for face in find_faces([t1], pack).photos[0].faces]
    faces = find_faces([photos.turned(t1, 90)], pack).photos[0].faces
    likest = [max(float(face.unit_embedding @ person) for face in faces) for person in upright]
    assert len(faces) == 6
    assert sorted(likest)[2:] > [0.8] * 4, "two of the six are unclear in the upright photo already"


@pytest.mark.slow
def test_an_upright_photo_is_never_searched_turned(t1, pack, monkeypatch):
    """Two faces of the group are unclear: they are looked at turned, stand upright, and stay as they are."""
    monkeypatch.setattr(find, "faces_at_any_angle", lambda *arguments: pytest.fail("the photo was turned"))
    monkeypatch.setattr(find, "same_face_at_any_angle", lambda *arguments: pytest.fail("a face was turned"))
    models = load_models(pack)
    for photo in (t1, *photos.people(pack).values()):
        faces, _ = find.find_in_photo(photo, models, pack.space)
        plain = [face_of(photo, detection, models) for detection in detect.detect(photo, models.detector).faces]
        np.testing.assert_array_equal([face.embedding for face in faces], [face.embedding for face in plain])


def test_a_clear_face_is_not_even_looked_at_turned(astronaut, pack, monkeypatch):
    monkeypatch.setattr(find, "upright_margin", lambda *arguments: pytest.fail("the face was turned"))
    assert len(find.find_in_photo(astronaut, load_models(pack), pack.space)[0]) == 1


@pytest.mark.slow
def test_without_measured_lengths_six_small_views_tell_that_a_face_is_turned(astronaut, pack):
    models, sideways = load_models(pack), photos.turned(astronaut, 90)
    (face,), _ = find.find_in_photo(sideways, models, "a recogniser nobody measured")
    assert face.unit_embedding @ largest(astronaut, pack).unit_embedding >= 0.8


def test_an_upright_face_scores_best_as_it_is(astronaut, pack):
    detector, face = load_models(pack).detector, largest(astronaut, pack)
    bgr = np.ascontiguousarray(astronaut[..., ::-1])
    assert turn.upright_margin(bgr, face.box, detector) > 0.05
    height, width = astronaut.shape[:2]
    left, top, right, bottom = face.box
    upside_down = np.array([width - right, height - bottom, width - left, height - top])
    assert turn.upright_margin(np.ascontiguousarray(bgr[::-1, ::-1]), upside_down, detector) < 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(photos.no_faces()))
def test_cats_things_and_textures_are_no_faces_at_any_angle(name, pack):
    bgr = np.ascontiguousarray(photos.no_faces()[name][..., ::-1])
    assert not turn.faces_at_any_angle(bgr, load_models(pack).detector)
