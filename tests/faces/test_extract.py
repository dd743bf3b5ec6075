"""From photos to Faces: choosing, missing faces, progress and the cache."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.adapter.variants import adapter_packs
from faceid_tunes.faceid_core.errors import FaceIDError, NoFaceError, PhotoError
from faceid_tunes.faceid_core.faces import (
    PICKS,
    annotated_photos,
    choose_faces,
    describe_faces,
    extract_faces,
    find_faces,
    models,
)
from support import photos


@pytest.fixture
def group(t1, pack):
    """The faces of t1, left to right."""
    return find_faces([t1], pack).photos[0].faces


def area(face):
    return np.prod(face.box[2:] - face.box[:2])


def chosen(t1, pack, pick, index=0):
    return extract_faces([t1], pack, pick=pick, index=index).faces[0].box.tolist()


def test_the_largest_face_is_not_the_one_with_the_best_score(t1, pack, group):
    largest, best = max(group, key=area), max(group, key=lambda face: face.score)
    assert largest is not best
    assert chosen(t1, pack, "largest") == largest.box.tolist()
    assert chosen(t1, pack, "best score") == best.box.tolist()


def test_leftmost_rightmost_and_central_go_by_position(t1, pack, group):
    centres = [(face.box[:2] + face.box[2:]) / 2 for face in group]
    middle = min(range(6), key=lambda number: np.linalg.norm(centres[number] - (640, 443)))
    assert chosen(t1, pack, "leftmost") == group[0].box.tolist()
    assert chosen(t1, pack, "rightmost") == group[-1].box.tolist()
    assert chosen(t1, pack, "central") == group[middle].box.tolist()


def test_the_index_counts_from_0_left_to_right(t1, pack, group):
    lefts = [chosen(t1, pack, "index", number)[0] for number in range(6)]
    assert lefts == sorted(lefts) == [face.box[0] for face in group]


def test_an_index_that_is_too_large_says_how_many_faces_which_image_has(t1, pack, astronaut):
    with pytest.raises(NoFaceError, match=r"no face number 4 in image 2: it has one face, number 0"):
        extract_faces([t1, astronaut], pack, pick="index", index=4)
    with pytest.raises(NoFaceError, match=r"no face number 6 in image 1: it has 6 faces, numbered 0 to 5"):
        extract_faces([t1], pack, pick="index", index=6)


def test_an_unknown_pick_lists_the_known_ones(t1, pack):
    with pytest.raises(FaceIDError, match="largest, central, leftmost, rightmost, best score, index"):
        extract_faces([t1], pack, pick="prettiest")


@pytest.mark.slow
def test_twins_are_told_apart_by_position_whatever_the_order(astronaut, pack):
    twins = np.concatenate([astronaut, astronaut], axis=1)
    faces = find_faces([twins], pack).photos[0].faces
    assert len(faces) == 2
    assert extract_faces([twins], pack, pick="largest").faces[0].box[0] in (faces[0].box[0], faces[1].box[0])
    assert extract_faces([twins], pack, pick="rightmost").faces[0].box[0] > 512


@pytest.mark.slow
def test_a_photo_without_a_face_is_named_and_the_remedy_given(astronaut, cat, pack):
    with pytest.raises(NoFaceError) as error:
        extract_faces([astronaut, astronaut, cat], pack)
    assert "image 3 (451x300, nothing in it looks like a face)" in str(error.value)
    assert "image 1" not in str(error.value)
    assert 'set on_missing to "skip"' in str(error.value)


@pytest.mark.slow
def test_every_photo_without_a_face_is_named(astronaut, cat, pack):
    with pytest.raises(NoFaceError, match=r"image 1 .*image 3 .*drawn.*image 4 .*cut by the border"):
        cut = astronaut[: int(find_faces([astronaut], pack).photos[0].faces[0].landmarks[3, 1]) - 8]
        extract_faces([cat, astronaut, photos.drawn_face(), cut], pack)


@pytest.mark.slow
def test_skip_goes_on_with_the_other_photos_and_says_so(astronaut, cat, t1, pack):
    faces = extract_faces([astronaut, cat, t1], pack, on_missing="skip")
    assert [face.photo for face in faces.faces] == [0, 2]
    assert faces.skipped == (1,)
    said = describe_faces(faces, find_faces([astronaut, cat, t1], pack), adapter_packs())
    assert "skipped, no face: image 2" in said.warnings


def test_skipping_every_photo_is_an_error(cat, pack):
    with pytest.raises(NoFaceError, match="image 1"):
        extract_faces([cat, cat], pack, on_missing="skip")


def test_no_photos_at_all_is_an_error(pack):
    with pytest.raises(PhotoError, match="no photo"):
        extract_faces([], pack)


def test_progress_is_told_after_each_photo_and_can_interrupt(astronaut, t1, pack):
    seen = []
    extract_faces([astronaut, t1], pack, on_photo=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_faces([astronaut, t1], pack, on_photo=interrupt)


def test_the_provider_is_what_the_session_says_it_runs_on(astronaut, pack):
    session = models.load_models(pack).detector.session
    assert extract_faces([astronaut], pack).provider == session.get_providers()[0]


def test_a_second_run_starts_no_session_and_runs_no_inference(t1, pack, monkeypatch):
    first = extract_faces([t1], pack)
    monkeypatch.setattr(models, "_load", lambda pack: pytest.fail("the models were loaded again"))
    models._loaded.clear()
    again = extract_faces([t1.copy()], pack)
    assert again.digest == first.digest
    assert {tuple(extract_faces([t1], pack, pick=pick).faces[0].box) for pick in PICKS}


@pytest.mark.slow
def test_one_changed_pixel_is_looked_at_again(astronaut, pack):
    changed = astronaut.copy()
    changed[0, 0, 0] ^= 1
    assert find_faces([changed], pack).photos[0].faces[0] is not find_faces([astronaut], pack).photos[0].faces[0]


def test_one_detection_session_serves_every_size(astronaut, cat, pack):
    detector = models.load_models(pack).detector
    find_faces([cat], pack)
    assert set(map(id, detector.resolution_sessions.values())) <= {id(detector.session)}


def test_the_preview_shows_the_chosen_face_in_green_and_is_legible_at_any_size(astronaut, t1, pack):
    for photo in (photos.single_faces()["Tom_Hanks"], astronaut, t1):
        found = find_faces([photo], pack)
        preview = annotated_photos([photo], found, choose_faces(found))[0]
        assert preview.dtype == np.uint8
        assert 768 <= max(preview.shape) <= 1536
        assert (preview == (64, 220, 96)).all(axis=2).sum() > 1000


def test_the_preview_of_a_skipped_photo_says_why(astronaut, cat, pack):
    found = find_faces([astronaut, cat, photos.drawn_face()], pack)
    previews = annotated_photos([astronaut, cat, photos.drawn_face()], found, choose_faces(found, on_missing="skip"))
    assert [bool((preview == (255, 140, 64)).all(axis=2).any()) for preview in previews] == [False, True, True]


def test_the_report_names_pack_provider_counts_and_outliers(astronaut, t1, pack):
    found = find_faces([astronaut, t1], pack)
    report = describe_faces(choose_faces(found), found, adapter_packs())
    assert "yunet_sface (sface) on CPU" in report.lines
    assert "7 faces found in 2 photos, 2 used" in report.lines
    assert "seems to be someone else: image 1, image 2" in report.warnings
    assert "buffalo_l" in report.warnings[-1]
