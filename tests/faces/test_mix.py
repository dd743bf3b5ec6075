"""Somebody between two people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.mix import mix_people
from support import photos


@pytest.fixture(scope="module")
def her(pack, astronaut):
    return extract_faces([astronaut, *list(photos.altered_copies(astronaut).values())[:3]], pack)


@pytest.fixture(scope="module")
def him(pack):
    return extract_faces([photos.single_faces()["Tom_Hanks"]], pack)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_the_mean_is_between_the_two_whatever_the_number_of_photos(her, him, share):
    expected = (1 - share) * her.mean_embedding() + share * him.mean_embedding()
    mixed = mix_people(her, him, share)
    np.testing.assert_allclose(mixed.mean_embedding(), expected / np.linalg.norm(expected), atol=1e-6)
    assert [face.photo for face in mixed.faces] == [0, 1, 2, 3, 4]
    assert len({mixed.digest, her.digest, him.digest, mix_people(her, him, share / 2).digest}) == 4


def test_at_either_end_only_one_person_is_left(her, him):
    assert mix_people(her, him, 0) is her and mix_people(her, him, 1) is him


def test_a_mix_can_be_mixed_again(her, him):
    half = mix_people(her, him, 0.5)
    again = mix_people(half, him, 0.5)
    assert again.mean_embedding() @ him.mean_embedding() > half.mean_embedding() @ him.mean_embedding() + 0.1


def test_what_cannot_be_mixed_is_refused(her, him):
    with pytest.raises(FaceIDError, match="same face_pack"):
        mix_people(her, replace(him, space="w600k_r50"), 0.5)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(FaceIDError, match="from 0"):
            mix_people(her, him, share)
