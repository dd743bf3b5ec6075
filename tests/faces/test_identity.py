"""Crops and embeddings: the same as insightface's, and good enough to tell people apart."""

from __future__ import annotations

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces import extract_faces, find_faces
from faceid_tunes.faceid_core.faces.align import TEMPLATE, norm_crop, similarity
from faceid_tunes.faceid_core.faces.embed import embed
from faceid_tunes.faceid_core.faces.models import load_models
from support import photos


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # insightface's own norm_crop, scikit-image 0.26
def test_embeddings_are_insightfaces_own(t1, pack):
    from insightface.app.common import Face as InsightFace

    recogniser = load_models(pack).recogniser
    for face in find_faces([t1], pack).photos[0].faces:
        theirs = recogniser.get(np.ascontiguousarray(t1[..., ::-1]), InsightFace(kps=face.landmarks))
        assert np.abs(face.embedding - theirs).max() < 1e-4


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_crops_are_insightfaces_own(t1, pack):
    from insightface.utils.face_align import norm_crop as their_norm_crop

    for face in find_faces([t1], pack).photos[0].faces:
        assert face.crop.shape == (224, 224, 3)
        np.testing.assert_array_equal(face.crop, their_norm_crop(t1, face.landmarks, 224))


def test_a_similarity_is_recovered_from_its_points():
    angle, scale, shift = 0.4, 2.5, np.array([30.0, -12.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(TEMPLATE, scale * TEMPLATE @ rotation.T + shift)
    np.testing.assert_allclose(matrix, np.column_stack([scale * rotation, shift]), atol=1e-4)


def test_a_similarity_never_mirrors():
    mirrored = TEMPLATE * (-1, 1)
    assert np.linalg.det(similarity(TEMPLATE, mirrored)[:, :2]) > 0


@pytest.mark.slow
def test_channel_order_is_rgb_from_the_photo_to_the_recogniser(t1, pack):
    models = load_models(pack)
    right = find_faces([t1], pack).photos[0].faces
    swapped = [embed(norm_crop(t1[..., ::-1], face.landmarks, 112), models) for face in right]
    cosines = [
        face.unit_embedding @ (other / np.linalg.norm(other)) for face, other in zip(right, swapped, strict=True)
    ]
    assert min(cosines) < 0.95, "swapping the channels must matter"
    blue_is_not_red = right[0].crop[..., 0].mean() > right[0].crop[..., 2].mean()
    assert blue_is_not_red, "skin is more red than blue"


@pytest.mark.slow
def test_altered_copies_of_a_person_are_closer_than_any_other_person(pack):
    same, different = photos.same_and_different_cosines(pack)
    assert (len(same), len(different)) == (80, 28)
    assert same.min() > different.max()
    assert np.median(same) > 0.85
    assert np.median(different) < 0.2


@pytest.mark.slow
def test_the_mean_embedding_weighs_every_photo_the_same(pack, astronaut):
    copies = [astronaut, *photos.altered_copies(astronaut).values()]
    faces = extract_faces(copies, pack)
    mean = faces.mean_embedding()
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(1.0, abs=1e-6)
    units = np.stack([face.unit_embedding for face in faces.faces])
    np.testing.assert_allclose(mean, units.mean(axis=0) / np.linalg.norm(units.mean(axis=0)), atol=1e-6)


@pytest.mark.slow
def test_someone_else_among_the_photos_is_reported(pack, astronaut):
    copies = photos.altered_copies(astronaut)
    hanks = photos.single_faces()["Tom_Hanks"]
    faces = extract_faces([astronaut, copies["grey"], hanks, copies["flip"]], pack)
    assert faces.outliers() == (2,)


def test_one_photo_has_no_outliers(pack, astronaut):
    assert extract_faces([astronaut], pack).outliers() == ()


def test_the_digest_follows_the_content(pack, astronaut):
    once, again = extract_faces([astronaut], pack), extract_faces([astronaut.copy()], pack)
    other = extract_faces([photos.single_faces()["Tom_Hanks"]], pack)
    assert once.digest == again.digest != other.digest
