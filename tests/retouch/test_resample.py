"""Faces drawn again: which parts of the picture a sampler pass may change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces.extract import FoundFaces, PhotoFaces
from faceid_tunes.faceid_core.retouch import crop_face, inpaint_faces
from faceid_tunes.faceid_core.retouch.paste import face_rectangle
from faceid_tunes.faceid_core.retouch.resample import partial_steps


def darker(picture: np.ndarray, denoise: float, seed: int, people: tuple[int, ...] | None) -> np.ndarray:
    return (picture * 0.5).astype(np.uint8)


@pytest.fixture
def hand_out(monkeypatch):
    """Makes the step find the faces it is given, which no detector of ours would let through."""

    def install(faces):
        def find(photos, pack):
            return FoundFaces((PhotoFaces(0, (1280, 886), tuple(faces), (), "CPUExecutionProvider"),), pack)

        monkeypatch.setattr("faceid_tunes.faceid_core.retouch.resample.find_faces", find)

    return install


def test_a_face_is_drawn_again_on_its_rectangle_only(t1, found, six, pack, hand_out):
    hand_out(found[2:3])
    result = inpaint_faces(t1, six[2:3], darker, pack, side=512, seed=1).picture
    _, matrix = crop_face(t1, found[2].landmarks, "ffhq_512", 512)
    left, top, right, bottom = face_rectangle(matrix, 512, t1.shape)
    keep = np.ones(t1.shape[:2], bool)
    keep[top:bottom, left:right] = False
    np.testing.assert_array_equal(result[keep], t1[keep])
    assert (result[~keep] != t1[~keep]).any()


def test_faces_of_no_size_and_outside_the_picture_are_left_alone(t1, found, six, pack, hand_out):
    flat = replace(found[0], box=np.array([0, 300, 0, 380], np.float32))
    point = replace(found[0], landmarks=np.full((5, 2), (0, 340), np.float32))
    beyond = replace(found[0], landmarks=found[0].landmarks - np.float32([2000, 0]))
    hand_out([flat, point, beyond])
    result = inpaint_faces(t1, six[:1], darker, pack, side=512, seed=1)
    np.testing.assert_array_equal(result.picture, t1)
    assert [note.split(" is ")[0] for note in result.notes[:2]] == ["face number 0", "face number 1"]
    assert result.notes[2:] == ("face number 2 lies outside the picture: not changed",)


def test_a_face_cut_by_the_border_is_drawn_again_as_far_as_the_picture_goes(t1, found, six, pack, hand_out):
    edge = int(found[0].landmarks[2, 0])
    cut = np.ascontiguousarray(t1[:, edge:])
    moved = replace(found[0], landmarks=found[0].landmarks - np.float32([edge, 0]))
    hand_out([moved])
    result = inpaint_faces(cut, six[:1], darker, pack, side=512, seed=1).picture
    changed = (result != cut).any(axis=-1)
    assert changed[int(moved.landmarks[2, 1]), 0], "up to the border"
    assert not changed[:, 500:].any()


@pytest.mark.parametrize(
    ("steps", "denoise", "of_all_and_run"),
    [(30, 0.35, (30, 10)), (6, 0.35, (6, 2)), (2, 0.35, (3, 1)), (1, 0.35, (3, 1)), (20, 1.0, (20, 20))],
)
def test_so_many_steps_at_the_end_of_so_many_draw_a_picture_again(steps, denoise, of_all_and_run):
    """Never all of them when only a part is asked for, however few there are."""
    assert partial_steps(steps, denoise) == of_all_and_run
