"""FaceIDMixPeople as ComfyUI runs it."""

from __future__ import annotations

import pytest
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.nodes.host import progress
from faceid_tunes.nodes.mix import FaceIDMixPeople
from support import photos


def test_two_people_become_one_between_them_and_the_node_says_how(monkeypatch):
    lines = []
    monkeypatch.setattr(progress, "status", lambda node_id, text: lines.append(text))
    her, him = (extract_faces([photos.single_faces()[name]], embedded_pack()) for name in ("astronaut", "Tom_Hanks"))
    (mixed,) = FaceIDMixPeople.PREPARE_CLASS_CLONE(None).execute(faces_1=her, faces_2=him, share=0.25).result
    expected = 0.75 * her.mean_embedding() + 0.25 * him.mean_embedding()
    assert mixed.mean_embedding() @ expected == pytest.approx((expected @ expected) ** 0.5, abs=1e-5)
    assert lines == ["75% of the first person, 25% of the second"]
