"""FaceIDMixPeople as ComfyUI runs it."""

from __future__ import annotations

import io

import pytest
from faceid_tunes.faceid_core.faces import extract_faces
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.nodes.host import folders, storage
from faceid_tunes.nodes.mix import FaceIDMixPeople
from PIL import Image
from support import photos


def test_two_people_become_one_between_them_and_the_node_says_how():
    her, him = (extract_faces([photos.single_faces()[name]], embedded_pack()) for name in ("astronaut", "Tom_Hanks"))
    output = FaceIDMixPeople.PREPARE_CLASS_CLONE(None).execute(faces_1=her, faces_2=him, share=0.25)
    (mixed,) = output.result
    expected = 0.75 * her.mean_embedding() + 0.25 * him.mean_embedding()
    assert mixed.mean_embedding() @ expected == pytest.approx((expected @ expected) ** 0.5, abs=1e-5)
    assert output.ui["faceid_lines"] == ["75% of the first person, 25% of the second"]


def test_a_tune_is_mixed_as_its_faces_are(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path])
    group = photos.single_faces()
    her, him = (extract_faces([group[name]], embedded_pack()) for name in ("astronaut", "Tom_Hanks"))
    mix = FaceIDMixPeople.PREPARE_CLASS_CLONE(None).execute
    with open_store(tmp_path / "home") as store:
        monkeypatch.setattr(storage, "tune_store", lambda: store)
        file = io.BytesIO()
        Image.fromarray(group["Tom_Hanks"]).save(file, "PNG")
        tune = create_tune(store, [file.getvalue()], "Tom", "man", embedded_pack())
        expected = mix(faces_1=her, faces_2=him, share=0.5).result[0].mean_embedding()
        for both in ((her, tune), (tune, her), (tune, tune)):
            (mixed,) = mix(faces_1=both[0], faces_2=both[1], share=0.5).result
            wanted = him.mean_embedding() if both == (tune, tune) else expected
            assert mixed.mean_embedding() @ wanted == pytest.approx((wanted @ wanted), abs=1e-3)


def test_the_sockets_take_faces_and_tunes():
    for socket in FaceIDMixPeople.define_schema().inputs[:2]:
        assert socket.get_io_type() == "FACEID_FACES,FACEID_TUNE"
