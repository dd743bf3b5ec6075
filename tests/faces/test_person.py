"""Which face of several photos is the person: never another one without a word. Real photos, real embeddings."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from faceid_tunes.faceid_core.adapter.variants import adapter_packs
from faceid_tunes.faceid_core.errors import NoFaceError, UnclearPersonError
from faceid_tunes.faceid_core.faces import (
    PhotoChoice,
    describe_faces,
    extract_faces,
    find_faces,
    judge_photos,
    one_person,
)
from faceid_tunes.faceid_core.faces.candidates import candidates_of
from faceid_tunes.faceid_core.faces.clusters import clusters
from faceid_tunes.faceid_core.faces.person import relative_centre
from support import photos
from support.groups import given_photos, table


@pytest.fixture(scope="module")
def hanks():
    return photos.single_faces()["Tom_Hanks"]


@pytest.fixture(scope="module")
def her(astronaut):
    """Four photos of one woman."""
    copies = photos.altered_copies(astronaut)
    return [astronaut, copies["flip"], copies["grey"], copies["bright"]]


def beside(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """One picture: the first photo, and the second at half its size beside it."""
    canvas = np.full((512, 1024, 3), 150, np.uint8)
    canvas[:, :512] = np.array(_resized(large, 512))
    canvas[128:384, 640:896] = np.array(_resized(small, 256))
    return canvas


def _resized(photo: np.ndarray, side: int):
    from PIL import Image

    return Image.fromarray(photo).resize((side, side))


@pytest.mark.slow
def test_no_set_of_photos_stands_for_another_person_without_a_word(pack):
    counted = table(islice(given_photos(pack), 0, 448, 23), pack)
    assert len(counted) == 8
    assert not sum(counts["ANOTHER PERSON, SILENT"] for counts in counted.values())
    assert counted["one of each"].keys() == {"refused"}
    assert set(counted["one and a group"]) <= {"right", "refused"} and counted["one and a group"]["right"]
    assert counted["stranger first"]["right, told"]


@pytest.mark.slow
def test_of_a_group_the_face_most_like_the_other_photos_is_taken_though_it_is_small(pack, her, hanks):
    found = one_person(find_faces([her[0], beside(hanks, her[1])], pack))
    assert [face.photo for face in found.faces] == [0, 1]
    assert found.faces[1].box[0] > 600
    assert found.left_out == () and found.remarks == ()
    assert found.mean_embedding() @ extract_faces([her[0]], pack).mean_embedding() > 0.9


def test_a_stranger_is_left_out_of_the_mean_and_named(pack, her, hanks):
    photos_given = find_faces([her[0], hanks, her[2]], pack)
    found = one_person(photos_given)
    assert [face.photo for face in found.faces] == [0, 2]
    assert [left.photo for left in found.left_out] == [1]
    assert "left out: image 2, seems to be someone else (cosine 0." in str(
        describe_faces(found, photos_given, adapter_packs())
    )
    alone = one_person(find_faces([her[0], her[2]], pack))
    np.testing.assert_array_equal(found.mean_embedding(), alone.mean_embedding())


def test_two_photos_of_two_people_are_refused_and_both_are_named(pack, her, hanks):
    with pytest.raises(UnclearPersonError, match=r"person A: image 1; person B: image 2\..*Leave out"):
        one_person(find_faces([her[0], hanks], pack))


@pytest.mark.slow
def test_a_couple_in_each_photo_is_refused_with_the_faces_places(pack, her, hanks):
    with pytest.raises(
        UnclearPersonError, match=r"person A: image 1, face 0 \(at \d+, \d+\), image 2, face 1 \(at 7\d\d, 2\d\d\);"
    ):
        one_person(find_faces([beside(hanks, her[0]), beside(her[1], hanks)], pack))


def test_the_refusal_has_the_face_of_each_candidate(pack, her, hanks):
    found = find_faces([beside(hanks, her[0]), beside(her[1], hanks)], pack)
    with pytest.raises(UnclearPersonError) as refused:
        one_person(found)
    candidates = candidates_of(refused.value)
    assert [(each.person, each.place) for each in candidates] == [
        ("A", "image 1, face 0"),
        ("A", "image 2, face 1"),
        ("B", "image 1, face 1"),
        ("B", "image 2, face 0"),
    ]
    for each, (photo, face) in zip(candidates, ((0, 0), (1, 1), (0, 1), (1, 0)), strict=True):
        np.testing.assert_array_equal(each.crop, found.photos[photo].faces[face].crop)
    assert candidates_of(ValueError()) == ()


def test_one_photo_of_several_people_stands_for_the_largest_and_says_so(pack, her, hanks):
    found = one_person(find_faces([beside(hanks, her[0])], pack))
    assert found.faces[0].box[2] < 520
    assert found.remarks == ("image 1: of the 2 people in it the largest was taken, face 0 from the left",)


@pytest.mark.slow
def test_the_same_person_twice_in_a_photo_is_one_person(pack, her):
    found = one_person(find_faces([beside(her[0], her[1])], pack))
    assert found.faces[0].box[2] < 520 and found.remarks == ()


@pytest.mark.slow
def test_a_group_without_the_person_is_left_out(pack, her, t1):
    found = one_person(find_faces([*her[:2], t1], pack))
    assert [left.photo for left in found.left_out] == [2]
    assert "none of the 6 people" in found.left_out[0].reason


def test_an_explicit_pick_holds_for_each_photo(pack, her, hanks):
    found = one_person(find_faces([her[0], beside(hanks, her[1])], pack), pick="leftmost")
    assert found.faces[1].box[0] < 500 and found.left_out == ()


@pytest.mark.slow
def test_a_chosen_face_decides_who_it_is(pack, her, hanks):
    found = find_faces([her[0], her[1], beside(hanks, her[2])], pack)
    him = found.photos[2].faces[0]
    at = relative_centre(him, found.photos[2].size)
    verdicts = judge_photos(found, [PhotoChoice(), PhotoChoice(), PhotoChoice(at=at)])
    assert [verdict.counts for verdict in verdicts] == [False, False, True]
    assert verdicts[2].face.box.tolist() == him.box.tolist()


def test_a_place_without_a_face_is_said(pack, her):
    (verdict,) = judge_photos(find_faces([her[0]], pack), [PhotoChoice(at=(0.01, 0.01))])
    assert (verdict.face, verdict.counts) == (None, False) and "no face where" in verdict.reason


def test_what_the_user_said_of_a_photo_holds(pack, her, hanks):
    found = find_faces([her[0], her[1], hanks], pack)
    used = judge_photos(found, [PhotoChoice(), PhotoChoice(), PhotoChoice(counts=True)])
    assert [verdict.counts for verdict in used] == [True, True, True]
    assert "used as chosen, though it seems to be someone else" in used[2].reason
    ignored = judge_photos(found, [PhotoChoice(), PhotoChoice(counts=False), PhotoChoice(counts=False)])
    assert [verdict.counts for verdict in ignored] == [True, False, False]


def test_one_word_of_the_user_decides_between_two_people(pack, her, hanks):
    found = find_faces([her[0], hanks], pack)
    assert [verdict.counts for verdict in judge_photos(found, [PhotoChoice(), PhotoChoice(counts=True)])] == [
        False,
        True,
    ]
    assert [verdict.counts for verdict in judge_photos(found, [PhotoChoice(), PhotoChoice(counts=False)])] == [
        True,
        False,
    ]


@pytest.mark.slow
def test_photos_without_a_face_are_no_votes(pack, her, hanks, cat):
    found = find_faces([cat, her[0], cat], pack)
    assert [verdict.counts for verdict in judge_photos(found)] == [False, True, False]
    with pytest.raises(NoFaceError, match="image 1"):
        one_person(found)
    assert one_person(found, on_missing="skip").skipped == (0, 2)


def test_a_weight_moves_the_mean_and_the_digest(pack, her):
    found = find_faces(her[:2], pack)
    plain, heavy = (
        one_person(found),
        judge_photos(found, [PhotoChoice(weight=9.0), PhotoChoice()]),
    )
    from faceid_tunes.faceid_core.faces import person_faces

    weighed = person_faces(found, heavy)
    first = plain.faces[0].unit_embedding
    assert weighed.mean_embedding() @ first > plain.mean_embedding() @ first + 0.001
    assert weighed.digest != plain.digest


def test_faces_are_grouped_by_person_in_the_order_they_come(pack, her, hanks):
    faces = extract_faces([her[0], hanks, her[1], her[2]], pack).faces
    assert [[face.photo for face in group] for group in clusters(faces, 0.4)] == [[0, 2, 3], [1]]
    assert clusters([], 0.4) == []
