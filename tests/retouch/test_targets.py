"""Which face is swapped: by a reference photo, by a place, several people at once; and never somebody else silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import Faces
from faceid_tunes.faceid_core.retouch import RetouchError, all_targets, reference_target, swap_faces
from faceid_tunes.faceid_core.retouch.targets import POSITIONS, Target, place_target
from support import photos
from support.retouch_models import COLOURS


@pytest.fixture(scope="module")
def portraits(t1, found):
    """A photo of each of the six alone, other than the picture: darker, and compressed."""
    cut = [photos.around(t1, face.box, 0.5) for face in found]
    return [photos.jpeg(photos.as_uint8(photo * 0.8), 80) for photo in cut]


def swapped(picture, people, swapper, pack, targets, **options):
    return swap_faces(picture, people, swapper, pack, preview=True, match_colour=False, targets=targets, **options)


def painted(picture, found):
    """Who was painted over each face (an index into COLOURS), by the colour of its nose; None: nobody."""
    noses = [picture[int(y), int(x)].astype(int) for x, y in (face.landmarks[2] for face in found)]
    distances = [np.abs(COLOURS - nose).max(axis=1) for nose in noses]
    return [int(distance.argmin()) if distance.min() <= 3 else None for distance in distances]


def who(*faces: int | None) -> list[int | None]:
    return list(faces)


@pytest.mark.slow
@pytest.mark.parametrize("face", range(6))
def test_the_face_of_the_reference_is_swapped_and_no_other(t1, found, six, painter, pack, portraits, face):
    painter_of = (face + 2) % 6
    result = swapped(t1, [six[painter_of]], painter, pack, [reference_target([portraits[face]], pack)])
    assert painted(result.picture, found) == [painter_of if number == face else None for number in range(6)]
    assert result.notes == ()


def test_a_reference_of_somebody_who_is_not_there_changes_nothing_and_says_so(t1, six, painter, pack):
    stranger = reference_target([photos.single_faces()["astronaut"]], pack)
    result = swapped(t1, six[:1], painter, pack, [stranger])
    assert result.picture is t1
    (note,) = result.notes
    assert note.startswith("no face is that of the reference of person 1 (the most alike has a cosine of ")
    assert note.endswith(", 0.40 is needed): not changed")


def test_a_reference_is_never_made_up_for_by_the_only_face_there_is(six, painter, pack, portraits):
    astronaut = photos.single_faces()["astronaut"]
    result = swapped(astronaut, six[:1], painter, pack, [reference_target([portraits[4]], pack)])
    assert result.picture is astronaut and "not changed" in result.notes[0]


def test_two_people_take_the_faces_of_their_references_whatever_the_order(t1, found, six, painter, pack, portraits):
    targets = [reference_target([portraits[face]], pack) for face in (5, 1)]
    result = swapped(t1, [six[2], six[3]], painter, pack, targets)
    assert painted(result.picture, found) == who(None, 3, None, None, None, 2)
    turned = swapped(t1, [six[3], six[2]], painter, pack, targets[::-1])
    np.testing.assert_array_equal(turned.picture, result.picture)


def test_two_references_of_one_person_get_one_face_and_the_other_is_named(t1, found, six, painter, pack, portraits):
    targets = [reference_target([portraits[2]], pack), Target(reference=six[2])]
    result = swapped(t1, six[:2], painter, pack, targets)
    assert painted(result.picture, found) == who(None, None, 1, None, None, None)
    assert result.notes == (
        "no face is that of the reference of person 1 (whoever is like it is more like another reference): not changed",
    )


def test_a_face_is_whose_reference_it_is_most_like_even_where_the_sum_would_be_higher(t1, found, six, painter, pack):
    zero, one = found[0].unit_embedding, found[1].unit_embedding
    nobody = np.linalg.qr(np.stack([zero, one, np.ones(512)]).T)[0][:, 2]
    unlike = [zero + 0.5 * one, 0.55 * zero - 0.3 * one + 0.8 * nobody]
    references = [Faces((replace(found[0], embedding=12 * each),), pack.space, pack.name, "") for each in unlike]
    result = swapped(t1, six[2:4], painter, pack, [Target(reference=each) for each in references])
    assert painted(result.picture, found) == who(2, None, None, None, None, None)
    assert any("no face is that of the reference of person 2" in note for note in result.notes)


def test_a_face_that_is_taken_is_not_the_most_alike_of_another(t1, found, six, painter, pack):
    result = swapped(t1, [six[0], six[5]], painter, pack, [Target(5), None])
    who_is_where = painted(result.picture, found)
    assert who_is_where[5] == 0 and who_is_where.count(5) == 1
    assert result.notes[0].startswith("no face looks like person 2 (cosine ")


def test_places_and_references_go_together_and_the_rest_is_by_likeness(t1, found, six, painter, pack, portraits):
    targets = all_targets("rightmost", [None, reference_target([portraits[0]], pack), None])
    result = swapped(t1, [six[1], six[3], six[2]], painter, pack, targets)
    assert painted(result.picture, found) == who(3, None, 2, None, None, 1)
    assert result.notes == ()


@pytest.mark.parametrize("place", [*POSITIONS, 0, 3])
def test_a_place_is_the_face_that_is_there(t1, found, six, painter, pack, place):
    def area(face):
        return float(np.prod(face.box[2:] - face.box[:2]))

    def off_centre(face):
        return float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - np.array([1280, 886]) / 2))

    expected = {
        "largest": max(range(6), key=lambda number: area(found[number])),
        "central": min(range(6), key=lambda number: off_centre(found[number])),
        "leftmost": 0,
        "rightmost": 5,
    }.get(place, place)
    result = swapped(t1, six[:1], painter, pack, [Target(place)])
    assert painted(result.picture, found) == [0 if number == expected else None for number in range(6)]


def test_people_are_mapped_to_faces_by_number(t1, found, six, painter, pack):
    result = swapped(t1, six[:3], painter, pack, all_targets("4, 0 ,2", [None] * 3))
    assert painted(result.picture, found) == who(1, None, 2, None, 0, None)


def test_a_face_is_given_away_once_and_one_that_is_not_there_is_named(t1, found, six, painter, pack):
    result = swapped(t1, six[:3], painter, pack, all_targets("2,2,17", [None] * 3))
    assert painted(result.picture, found) == who(None, None, 0, None, None, None)
    assert result.notes == (
        "person 2 has no face: number 2 is person 1's already",
        "there is no face number 17 for person 3: not changed",
    )


def test_with_the_choice_index_people_without_a_target_keep_their_number(t1, found, six, painter, pack, portraits):
    targets = [None, reference_target([portraits[5]], pack)]
    result = swapped(t1, six[:2], painter, pack, targets, choice="index", index=3)
    assert painted(result.picture, found) == who(None, None, None, 0, None, 1)


def test_a_likeness_that_is_not_sure_is_said(t1, found, six, painter, pack):
    unit, other = found[3].unit_embedding, np.linalg.qr(np.stack([found[3].unit_embedding, np.ones(512)]).T)[0][:, 1]
    half = replace(found[3], embedding=(0.45 * unit + np.sqrt(1 - 0.45**2) * other) * 12)
    target = Target(reference=Faces((half,), pack.space, pack.name, ""))
    result = swapped(t1, six[:1], painter, pack, [target])
    assert painted(result.picture, found)[3] == 0
    assert result.notes[0] == "face number 3 is probably that of the reference of person 1, not surely (cosine 0.45)"


@pytest.mark.slow
def test_two_faces_like_the_reference_are_said(t1, found, six, painter, pack):
    mirror = np.ascontiguousarray(np.hstack([t1[:, :210], t1[:, 209::-1]]))
    result = swapped(mirror, six[3:4], painter, pack, [Target(reference=six[0])])
    assert result.notes[0].startswith("several faces are like the reference of person 1: number ")


def test_a_person_unlike_everybody_is_not_swapped_silently_on_somebody(t1, six, painter, pack):
    stranger = reference_target([photos.single_faces()["astronaut"]], pack).reference
    result = swapped(t1, [stranger], painter, pack, ())
    (note,) = result.notes
    assert note.startswith("no face looks like person 1 (cosine ") and note.endswith(" was taken")


def test_a_reference_with_several_people_is_the_largest_and_says_so(t1, found, six, pack):
    target = reference_target([t1], pack, "reference_2")
    (remark,) = target.remarks
    assert remark.startswith("reference_2: image 1: of the 6 people in it the largest was taken")


def test_a_reference_without_a_face_is_refused_by_the_name_of_its_input(cat, pack):
    with pytest.raises(RetouchError, match=r"reference_2: .*face"):
        reference_target([cat], pack, "reference_2")


@pytest.mark.parametrize("word", ["first", "-1", "1.5", "²", "best score", "index"])
def test_a_place_that_does_not_exist_is_refused(word):
    with pytest.raises(RetouchError, match="is no face of a picture"):
        place_target(word)


def test_targets_that_do_not_go_together_are_refused(t1, six, painter, pack, portraits):
    reference = reference_target([portraits[0]], pack)
    with pytest.raises(RetouchError, match="2 of them for 1 people"):
        all_targets("0,1", [None])
    with pytest.raises(RetouchError, match="person 1 has a reference, too"):
        all_targets("0", [reference])
    with pytest.raises(RetouchError, match='choice: "all" paints every face'):
        swapped(t1, six[:1], painter, pack, [reference], choice="all")
    with pytest.raises(RetouchError, match="targets: 1 for 2 people"):
        swapped(t1, six[:2], painter, pack, [reference])
    assert all_targets(" ", [None, reference]) == (None, reference)
    nobody, third = all_targets(",3", [None, None])
    assert nobody is None and third.place == 3
