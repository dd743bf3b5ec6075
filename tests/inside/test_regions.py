"""FaceID Regions: masks for people, also around real faces, ready for the nodes that show them."""

from __future__ import annotations

import pytest
import skimage.data
import torch
from faceid_tunes.faceid_core.errors import NoFaceError
from faceid_tunes.nodes.host import folders
from faceid_tunes.nodes.regions import FaceIDRegions

folders.register_model_folders()
ASTRONAUT = torch.from_numpy(skimage.data.astronaut()).float()[None] / 255


def regions(**inputs) -> torch.Tensor:
    defaults = {"layout": "columns", "people": 2, "width": 128, "height": 64, "feather": 0, "person": 0}
    return FaceIDRegions.PREPARE_CLASS_CLONE(None).execute(**(defaults | inputs)).args[0]


def test_all_people_or_one_of_them():
    both = regions()
    assert both.shape == (2, 64, 128)
    assert torch.equal(regions(person=2), both[1:])


def test_around_the_faces_of_a_picture():
    two = torch.cat([ASTRONAUT, ASTRONAUT], dim=2)
    masks = regions(layout="faces", image=two)
    assert masks[0, 20, 20] == 1 and masks[1, 20, 100] == 1
    assert torch.equal(masks.sum(0), torch.ones(64, 128))


def test_a_picture_with_too_few_faces_says_how_many_it_shows():
    with pytest.raises(NoFaceError, match="shows 1 of 2 faces"):
        regions(layout="faces", image=ASTRONAUT)
    with pytest.raises(NoFaceError, match="needs a picture"):
        regions(layout="faces")


def test_a_person_who_is_not_there_is_refused_before_anything_runs():
    assert "no person 3 of 2" in FaceIDRegions.validate_inputs(people=2, person=3)
    assert FaceIDRegions.validate_inputs(people=2, person=2) is True
