"""Which faces are found, and what is not taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.faces import DetectorSettings, detect, find_faces
from faceid_tunes.faceid_core.faces.models import load_models
from support import photos


def faces_in(photo, pack):
    return find_faces([photo], pack).photos[0].faces


class Watched:
    """The real detector, and the sizes and pictures it was called with."""

    static_input_size = None

    def __init__(self, detector):
        self.detector = detector
        self.sizes, self.shapes, self.thresholds = [], [], []

    def detect(self, picture, input_size, det_thresh):
        self.sizes.append(input_size[0])
        self.shapes.append(picture.shape[:2])
        self.thresholds.append(det_thresh)
        return self.detector.detect(picture, input_size=input_size, det_thresh=det_thresh)


@pytest.fixture
def watched(pack):
    return Watched(load_models(pack).detector)


@pytest.mark.slow
def test_all_six_people_of_the_group_photo_are_found(t1, pack):
    assert len(faces_in(t1, pack)) == 6


@pytest.mark.parametrize("name", ["Tom_Hanks", "astronaut", "camera"])
def test_the_one_face_of_a_photo_is_found(name, pack):
    assert len(faces_in(photos.single_faces()[name], pack)) == 1


@pytest.mark.slow
def test_faces_of_25_pixels_are_found(pack):
    lfw = [photo for name, photo in photos.single_faces().items() if name.startswith("lfw")][:20]
    assert [len(found.faces) for found in find_faces(lfw, pack).photos] == [1] * 20


def test_boxes_and_landmarks_are_insightfaces_own(t1, pack):
    boxes, landmarks = load_models(pack).detector.detect(t1[..., ::-1], input_size=(640, 640), det_thresh=0.5)
    left_to_right = np.argsort(boxes[:, 0])
    found = faces_in(t1, pack)
    np.testing.assert_allclose([face.box for face in found], boxes[left_to_right, :4], atol=1e-3)
    np.testing.assert_allclose([face.landmarks for face in found], landmarks[left_to_right], atol=1e-3)
    np.testing.assert_allclose([face.score for face in found], boxes[left_to_right, 4], atol=1e-6)


def test_landmarks_are_eyes_nose_and_mouth_as_seen(astronaut, pack):
    left_eye, right_eye, nose, left_mouth, right_mouth = faces_in(astronaut, pack)[0].landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_an_easy_photo_costs_one_detection(astronaut, watched):
    detect.detect(astronaut, watched)
    assert watched.sizes == [640]


@pytest.mark.slow
def test_the_ladder_goes_down_in_size_then_pads_and_asks_for_doubtful_scores_too(watched):
    picture = photos.no_faces()["gravel"]
    detect.detect(picture, watched)
    assert watched.sizes == [640, 512, 384, 320, 256, 192, 128] * 3
    assert [shape[0] for shape in watched.shapes[::7]] == [512, 768, 1024]
    assert set(watched.thresholds) == {0.3}


def close_up(photo, face, room):
    """The rectangle of a face's landmarks and ``room`` of its sides around it; and where its corner is."""
    (left, top), (right, bottom) = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    across, down = room * (right - left), room * (bottom - top)
    left, top, right, bottom = int(left - across), int(top - down), int(right + across), int(bottom + down)
    return np.ascontiguousarray(photo[top:bottom, left:right]), np.array([left, top])


def test_a_close_up_is_found_at_a_smaller_size(astronaut, pack, watched):
    face = faces_in(astronaut, pack)[0]
    close, corner = close_up(astronaut, face, 0.1)
    found = detect.detect(close, watched).faces
    assert len(found) == 1
    assert [size for size in watched.sizes if size in detect.SIZES] == [640, 512, 384, 320, 256]
    np.testing.assert_allclose(np.add(found[0].landmarks, corner), face.landmarks, atol=5)


@pytest.mark.slow
def test_a_face_that_fills_the_photo_is_found_by_padding_and_mapped_back(pack, watched):
    hanks = photos.single_faces()["Tom_Hanks"]
    face = faces_in(hanks, pack)[0]
    close, corner = close_up(hanks, face, 0.03)
    found = detect.detect(close, watched).faces
    assert len(found) == 1
    assert len([size for size in watched.sizes if size in detect.SIZES]) > 7, "it was found without padding"
    np.testing.assert_allclose(np.add(found[0].landmarks, corner), face.landmarks, atol=8)


@pytest.mark.slow
@pytest.mark.parametrize("side", [512, 1400])
def test_every_rung_puts_the_face_in_the_same_place(side, astronaut, pack, watched):
    photo = cv2.resize(astronaut[..., ::-1], (side, side))
    rungs = [candidates[0] for candidates in detect._ladder(photo, watched)]
    large_enough = [found for found, size in zip(rungs, detect.SIZES * 3, strict=True) if size >= 320]
    for found in large_enough:
        np.testing.assert_allclose(found.box, rungs[0].box, atol=0.02 * side)
        np.testing.assert_allclose(found.landmarks, rungs[0].landmarks, atol=0.02 * side)


@pytest.mark.slow
def test_a_face_that_never_scores_half_is_still_found(t1, pack):
    close, _ = close_up(t1, faces_in(t1, pack)[1], 0.07)
    found = faces_in(cv2.GaussianBlur(close, (0, 0), 2), pack)
    assert len(found) == 1
    assert 0.3 < found[0].score < 0.5


@pytest.mark.slow
def test_two_boxes_on_one_face_count_once(astronaut, pack):
    left, top, right, bottom = faces_in(astronaut, pack)[0].box.astype(int)
    tilted = photos.rotated(astronaut[top:bottom, left:right], -20)
    boxes, _ = load_models(pack).detector.detect(tilted[..., ::-1], input_size=(640, 640), det_thresh=0.5)
    assert len(boxes) == 2
    assert len(faces_in(tilted, pack)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(photos.no_faces()))
def test_cats_things_and_textures_are_no_faces(name, pack):
    assert not faces_in(photos.no_faces()[name], pack)


@pytest.mark.slow
def test_backgrounds_are_no_faces(pack):
    assert not any(found.faces for found in find_faces(photos.backgrounds()[:20], pack).photos)


def test_the_detector_alone_would_take_a_coffee_cup_for_a_face(pack):
    coffee = photos.no_faces()["coffee"]
    boxes, _ = load_models(pack).detector.detect(coffee[..., ::-1], input_size=(384, 384), det_thresh=0.5)
    assert len(boxes) == 1


@pytest.mark.slow
def test_a_drawn_face_is_refused_as_a_drawing(pack):
    found = find_faces([photos.drawn_face()], pack).photos[0]
    assert not found.faces
    assert [refused.problem for refused in found.refused] == [detect.LOOKS_DRAWN]


@pytest.mark.slow
def test_a_face_cut_by_the_border_is_refused_as_cut(astronaut, pack):
    face = faces_in(astronaut, pack)[0]
    mouth = int(face.landmarks[3:, 1].mean())
    found = find_faces([astronaut[: mouth - 8]], pack).photos[0]
    assert not found.faces
    assert [refused.problem for refused in found.refused] == [detect.CUT_OFF]


@pytest.mark.slow
@pytest.mark.parametrize("alteration", sorted(photos.altered_copies(np.zeros((20, 20, 3), np.uint8))))
def test_altered_copies_of_every_person_keep_their_face(alteration, pack):
    copies = [photos.altered_copies(photo)[alteration] for photo in photos.people(pack).values()]
    assert all(found.faces for found in find_faces(copies, pack).photos)


@pytest.mark.slow
def test_a_photo_of_8000_by_8000_pixels_is_searched_like_any_other(astronaut, pack):
    huge = cv2.resize(astronaut, (8000, 8000), interpolation=cv2.INTER_LINEAR)
    small, large = faces_in(astronaut, pack)[0], faces_in(huge, pack)[0]
    np.testing.assert_allclose(large.landmarks / (8000 / 512), small.landmarks, atol=2)
    assert small.unit_embedding @ large.unit_embedding > 0.8


@pytest.mark.slow
def test_a_long_strip_is_searched_without_an_error(astronaut, pack):
    strip = np.full((16, 8000, 3), 128, np.uint8)
    assert not faces_in(strip, pack)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "tried"), [(1280, [1280, 640, 512]), (640, [640, 512, 384]), (192, [192, 128, 192])])
def test_the_first_size_is_the_users_and_the_ladder_goes_down_from_it(size, tried, watched):
    texture = cv2.resize(photos.no_faces()["grass"], (256, 256))
    detect.detect(texture, watched, DetectorSettings(size))
    assert [size for size in watched.sizes if size != 160][: len(tried)] == tried, "160 is the second look"


@pytest.mark.parametrize(
    ("threshold", "faces"), [(0.3, 6), (0.5, 6), (0.9, 4), pytest.param(0.95, 0, marks=pytest.mark.slow)]
)
def test_a_higher_threshold_leaves_doubtful_faces_out(threshold, faces, t1, pack):
    found = find_faces([t1], pack, settings=DetectorSettings(threshold=threshold)).photos[0].faces
    assert len(found) == faces
    assert all(face.score >= threshold for face in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 700}, "detector_size: 700 is not a multiple of 32 from 128 to 1920"),
        ({"size": 96}, "detector_size: 96 is not"),
        ({"size": 4096}, "detector_size: 4096 is not"),
        ({"threshold": 0.0}, "detector_threshold: 0 is not between 0.1 and 0.95"),
        ({"threshold": 1.0}, "detector_threshold: 1 is not"),
        ({"threshold": float("nan")}, "detector_threshold: nan is not"),
    ],
)
def test_settings_that_no_detector_takes_are_refused(settings, message):
    with pytest.raises(FaceIDError, match=message):
        DetectorSettings(**settings)
