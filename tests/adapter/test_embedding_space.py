"""An adapter takes faces of the recogniser it was trained on; which one that is, is the adapter's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from faceid_tunes.faceid_core.adapter.model import Adapter, load_adapter
from faceid_tunes.faceid_core.adapter.tokens import check_embedding_space, preview_note
from faceid_tunes.faceid_core.adapter.variants import adapter_packs
from faceid_tunes.faceid_core.errors import AdapterError
from faceid_tunes.faceid_core.faces.face import Face, Faces
from support.adapters import adapter_tensors, layer_widths, write_safetensors


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Adapter:
    tensors = adapter_tensors("faceid", "sd15", hidden=layer_widths("sd15", divide=40), context=64, lora_rank=1)
    return load_adapter(write_safetensors(tmp_path_factory.mktemp("adapter") / "a.safetensors", tensors))


def faces(pack: str, space: str) -> Faces:
    box, landmarks = np.array([0, 0, 99, 99], np.float32), np.zeros((5, 2), np.float32)
    values = {"box": box, "landmarks": landmarks, "embedding": np.ones(512, np.float32)}
    face = Face(**{field.name: values.get(field.name, np.zeros(1)) for field in dataclasses.fields(Face) if field.init})
    return Faces((face,), space, pack, "CPUExecutionProvider")


def trained_on(adapter: Adapter, space: str) -> Adapter:
    return dataclasses.replace(adapter, spec=dataclasses.replace(adapter.spec, space=space))


def test_every_published_faceid_model_wants_buffalo_l(adapter):
    assert (adapter.spec.space, adapter.spec.pack) == ("w600k_r50", "buffalo_l")


@pytest.mark.parametrize(
    ("space", "pack", "wrong_pack", "wrong_space"),
    [("w600k_r50", "buffalo_l", "antelopev2", "glintr100"), ("glintr100", "antelopev2", "buffalo_l", "w600k_r50")],
)
def test_the_wrong_pack_is_refused_with_the_right_ones_name(adapter, space, pack, wrong_pack, wrong_space):
    wanted = trained_on(adapter, space)
    check_embedding_space(wanted, faces(pack, space), preview=False)
    check_embedding_space(wanted, faces(wrong_pack, wrong_space), preview=True)
    with pytest.raises(AdapterError, match=rf"trained on {pack} .*Install {pack} into .*models/{pack} "):
        check_embedding_space(wanted, faces(wrong_pack, wrong_space), preview=False)


def test_a_preview_is_told_of_against_the_adapters_own_pack(adapter):
    wanted, right, wrong = trained_on(adapter, "glintr100"), faces("antelopev2", "glintr100"), faces("b", "w600k_r50")
    assert preview_note(wanted, [right]) == ""
    told = "PREVIEW: faces from b, not antelopev2; the likeness is meaningless"
    assert preview_note(wanted, [right, wrong, wrong]) == told


def test_an_adapter_has_the_space_of_its_variant_and_its_pack_is_among_those_that_adapters_take(adapter):
    assert adapter.spec.space == adapter.spec.variant.space
    assert adapter_packs()[adapter.spec.space] == adapter.spec.pack
