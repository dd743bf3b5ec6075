"""Face correct: sharper faces of the same people, and nothing else of the picture changed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import Faces, extract_faces, find_faces
from faceid_tunes.faceid_core.faces.align import norm_crop
from faceid_tunes.faceid_core.faces.embed import embed
from faceid_tunes.faceid_core.faces.models import load_models
from faceid_tunes.faceid_core.retouch import RetouchError, crop_face, load_restorer, restore_faces
from faceid_tunes.faceid_core.retouch.paste import face_rectangle
from faceid_tunes.faceid_core.retouch.restore import MAX_LOSS, MIN_SELF
from faceid_tunes.faceid_core.retouch.restorer import Restorer, restore_crop
from support import photos
from support.retouch_models import write_restorer


class Morph:
    """A "restorer" that paints the same aligned face whatever it is given: the worst that can happen to a person."""

    def __init__(self, picture, face):
        self.crop = crop_face(picture, face.landmarks, "ffhq_512", 512)[0]

    def restorer(self):
        import torch

        painted = torch.from_numpy(self.crop.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.painted = torch.nn.Parameter(painted)

            def forward(self, face):
                return (self.painted,)

        return Restorer("morph.pth", "RestoreFormer", 512, False, "none", module=Module())


def unit(picture, face, pack):
    embedding = embed(norm_crop(picture, face.landmarks, 112), load_models(pack))
    return embedding / np.linalg.norm(embedding)


@pytest.mark.slow
@pytest.mark.parametrize("size", [256, 512, 1024])
def test_a_restorer_that_returns_its_input_returns_the_picture(t1, found, tmp_path, pack, size):
    restorer = load_restorer(write_restorer(tmp_path / f"gpen_{size}.onnx", size))
    result = restore_faces(t1, found, restorer, visibility=1.0, pack=pack)
    np.testing.assert_array_equal(result.picture, t1)
    assert result.notes == ()


def test_values_and_channels_arrive_and_return_as_they_are(t1, found, tmp_path):
    """A model of -1 to 1, RGB, that halves red, turns green around and adds to blue."""
    gain, offset = np.array([0.5, -1.0, 0.5]), np.array([0.0, 0.0, 0.25])
    restorer = load_restorer(write_restorer(tmp_path / "r_512.onnx", gain=tuple(gain), offset=tuple(offset)))
    crop, _ = crop_face(t1, found[0].landmarks, "ffhq_512", 512)
    expected = ((crop / 127.5 - 1) * gain + offset + 1) * 127.5
    np.testing.assert_allclose(restore_crop(crop, restorer, 1.0), expected, atol=0.01)


def test_the_picture_shows_what_a_full_frame_paste_would_show(found, tmp_path):
    """Inside the face, where every mask is 1: the picture inverted, sharp to the pixel's own interpolation."""
    picture = cv2.GaussianBlur(photos.t1(), (0, 0), 2)
    restorer = load_restorer(write_restorer(tmp_path / "r_512.onnx", gain=(-1, -1, -1)))
    result = restore_faces(picture, found[:1], restorer, visibility=1.0).picture
    x, y = found[0].landmarks[2].astype(int)
    nose = np.s_[y - 15 : y + 15, x - 15 : x + 15]
    assert np.abs(result[nose].astype(int) - (255 - picture[nose].astype(int))).mean() < 1.5


def test_visibility_is_the_share_of_the_restored_face(t1, found, tmp_path):
    restorer = load_restorer(write_restorer(tmp_path / "r_512.onnx", gain=(0, 0, 0), offset=(1, 1, 1)))  # white
    x, y = found[3].landmarks[2].astype(int)
    for visibility in (0.25, 0.5, 1.0):
        result = restore_faces(t1, found[3:4], restorer, visibility=visibility).picture
        np.testing.assert_allclose(result[y, x], t1[y, x] + visibility * (255.0 - t1[y, x]), atol=1)


def test_fidelity_reaches_a_model_that_asks_for_it(t1, found, tmp_path):
    """CodeFormer exports take it as float64, others as float32."""
    crop, _ = crop_face(t1, found[0].landmarks, "ffhq_512", 512)
    for number in (np.float64, np.float32):
        file = write_restorer(
            tmp_path / f"codeformer_{number.__name__}.onnx", gain=(0, 0, 0), offset=(1, 1, 1), weight=number
        )
        restorer = load_restorer(file)
        assert restorer.has_fidelity
        for fidelity in (0.0, 0.7):
            np.testing.assert_allclose(restore_crop(crop, restorer, fidelity), 127.5 * (1 + fidelity), atol=0.01)


def test_only_the_faces_given_are_restored_and_nothing_around_them(t1, found, tmp_path):
    restorer = load_restorer(write_restorer(tmp_path / "r_512.onnx", gain=(-1, -1, -1)))
    result = restore_faces(t1, [found[4]], restorer).picture
    _, matrix = crop_face(t1, found[4].landmarks, "ffhq_512", 512)
    left, top, right, bottom = face_rectangle(matrix, 512, t1.shape)
    keep = np.ones(t1.shape[:2], bool)
    keep[top:bottom, left:right] = False
    np.testing.assert_array_equal(result[keep], t1[keep])
    assert (result[~keep] != t1[~keep]).mean() > 0.5


def test_a_face_half_outside_is_restored_without_a_black_border(t1, found, same_restored, tmp_path):
    edge = int(found[0].landmarks[2, 0])
    cut = np.ascontiguousarray(t1[:, edge:])
    face = replace(
        found[0], landmarks=found[0].landmarks - np.float32([edge, 0]), box=found[0].box - (edge, 0, edge, 0)
    )
    np.testing.assert_array_equal(restore_faces(cut, [face], same_restored, visibility=1.0).picture, cut)
    brighter = load_restorer(write_restorer(tmp_path / "r_512.onnx", offset=(0.2, 0.2, 0.2)))
    result = restore_faces(cut, [face], brighter, visibility=1.0).picture
    assert (result >= cut).all(), "only ever brighter"
    assert (result[int(face.landmarks[2, 1]), 0] > cut[int(face.landmarks[2, 1]), 0]).all()


def test_a_face_of_no_size_at_the_border_is_left_alone(t1, found, same_restored):
    flat = replace(
        found[0], box=np.array([0, 300, 0, 380], np.float32), landmarks=np.full((5, 2), (0, 340), np.float32)
    )
    result = restore_faces(t1, [flat, found[1]], same_restored)
    np.testing.assert_array_equal(result.picture, t1)
    assert result.notes == ("face number 0 is 0 pixels small (24 are needed): not changed",)


def test_a_face_beyond_the_picture_is_left_alone_and_said_so(t1, found, restorer_stub, pack):
    beyond = replace(found[0], landmarks=found[0].landmarks + np.float32([0, 2000]))
    result = restore_faces(t1, [beyond], load_restorer(restorer_stub), pack=pack)
    np.testing.assert_array_equal(result.picture, t1)
    assert result.notes == ("face number 0 lies outside the picture: not changed",)


def test_a_picture_without_a_face_comes_back_as_it_was(cat, same_restored):
    result = restore_faces(cat, [], same_restored)
    assert result.picture is cat
    assert result.notes == ("no face to restore",)


def test_a_visibility_of_zero_changes_nothing(t1, found, same_restored):
    result = restore_faces(t1, found, same_restored, visibility=0.0)
    assert result.picture is t1
    assert result.notes == ("visibility is 0: the restored faces are not visible",)


@pytest.mark.slow
def test_restoring_that_turns_a_person_into_somebody_else_is_held_back(t1, found, six, pack):
    morph = Morph(t1, found[3]).restorer()
    result = restore_faces(t1, [found[2]], morph, visibility=1.0, people=[six[2]], pack=pack)
    person = six[2].mean_embedding()
    was, full = unit(t1, found[2], pack) @ person, unit_of_full(t1, found[2], morph, pack) @ person
    now = unit(result.picture, found[2], pack) @ person
    assert full < 0.5, "at full visibility it is somebody else"
    assert now >= was - MAX_LOSS
    assert (result.picture != t1).any(), "it is shown as far as it may be"
    assert len(result.notes) == 1
    assert "face number 0: visibility lowered from 1.00 to 0." in result.notes[0]
    assert "the likeness to the person from 1.00 to" in result.notes[0]


def unit_of_full(picture, face, restorer, pack):
    return unit(restore_faces(picture, [face], restorer, visibility=1.0).picture, face, pack)


@pytest.mark.slow
def test_a_face_of_an_unknown_person_is_compared_with_itself(t1, found, six, pack):
    morph = Morph(t1, found[3]).restorer()
    for people in ([], [six[5]]):
        result = restore_faces(t1, [found[2]], morph, visibility=1.0, people=people, pack=pack)
        kept = unit(result.picture, found[2], pack) @ unit(t1, found[2], pack)
        assert kept >= MIN_SELF
        assert "the likeness to the face before from 1.00" in result.notes[0]


@pytest.mark.slow
def test_each_face_is_held_to_the_person_it_shows(t1, found, six, pack):
    """Two people, two faces: neither is compared with the other."""
    morph = Morph(t1, found[3]).restorer()
    result = restore_faces(t1, found[1:3], morph, visibility=1.0, people=[six[2], six[1]], pack=pack)
    assert len(result.notes) == 2
    assert not any("to 0.00" in note for note in result.notes), "each may be shown a little"
    for face, person in ((found[1], six[1]), (found[2], six[2])):
        assert unit(result.picture, face, pack) @ person.mean_embedding() >= 1 - MAX_LOSS - 0.01


@pytest.mark.slow
def test_restoring_that_keeps_the_person_is_shown_in_full(pack):
    """The sharp photo, painted over its blurred copy: what a perfect restorer would do."""
    sharp = photos.single_faces()["astronaut"]
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    face = extract_faces([sharp], pack).faces[0]
    person = Faces((face,), pack.space, pack.name, "")
    given = find_faces([blurred], pack).photos[0].faces
    perfect = Morph(sharp, given[0]).restorer()
    for people in ([], [person]):
        result = restore_faces(blurred, given, perfect, visibility=1.0, people=people, pack=pack)
        assert result.notes == ()
    assert (
        unit(result.picture, given[0], pack) @ face.unit_embedding > unit(blurred, given[0], pack) @ face.unit_embedding
    )


def test_without_a_pack_the_likeness_is_not_looked_at(t1, found):
    result = restore_faces(t1, [found[2]], Morph(t1, found[3]).restorer(), visibility=1.0)
    assert result.notes == ()


def test_the_host_can_run_the_module_its_own_way(t1, found):
    """As ComfyUI does: the module is on a device of its choice, and it says where the face goes."""
    restorer, seen = Morph(t1, found[3]).restorer(), []

    def run(forward, face):
        seen.append((tuple(face.shape), float(face.min()) >= -1, float(face.max()) <= 1, face.requires_grad))
        return forward(face.to("cpu"))

    hosted = restore_faces(t1, [found[2]], restorer, visibility=1.0, run=run).picture
    np.testing.assert_array_equal(hosted, restore_faces(t1, [found[2]], restorer, visibility=1.0).picture)
    assert seen == [((1, 3, 512, 512), True, True, False)]


@pytest.mark.slow
def test_the_stub_restores_the_same_way_every_time(t1, found, restorer_stub, pack):
    restorer = load_restorer(restorer_stub)
    one, two = (restore_faces(t1, found, restorer, pack=pack).picture for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != t1).any()


def test_a_model_that_returns_no_numbers_is_an_error_not_a_black_face(t1, found, tmp_path):
    broken = load_restorer(write_restorer(tmp_path / "r_512.onnx", offset=(float("nan"), 0, 0)))
    with pytest.raises(RetouchError, match="or NaN"):
        restore_faces(t1, found, broken)


@pytest.mark.parametrize("name", ["fidelity", "visibility"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_shares_outside_0_to_1_are_refused(t1, found, same_restored, name, value):
    with pytest.raises(RetouchError, match=f"{name}: .* is not between 0 and 1"):
        restore_faces(t1, found, same_restored, **{name: value})


def test_people_need_the_pack_that_read_them(t1, found, six, same_restored, pack):
    with pytest.raises(RetouchError, match="pack: a face pack is needed"):
        restore_faces(t1, found, same_restored, people=six[:1])
    stranger = replace(six[0], space="w600k_r50", pack="buffalo_l")
    with pytest.raises(RetouchError, match=r"cannot be compared\. Use one pack for both"):
        restore_faces(t1, found, same_restored, people=[stranger], pack=pack)


def test_a_mask_of_another_size_is_refused_with_both_sizes(t1, found, same_restored):
    with pytest.raises(RetouchError, match="mask: 100x50 pixels, but the picture has 1280x886"):
        restore_faces(t1, found, same_restored, mask=np.ones((50, 100)))
