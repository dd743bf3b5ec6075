"""The list of model files: every entry complete, and the whole of it what the code and the pages say."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from faceid_tunes.faceid_core.faces import packs
from faceid_tunes.faceid_core.weights import manifest as manifest_module
from faceid_tunes.faceid_core.weights.errors import WeightsError
from faceid_tunes.faceid_core.weights.folders import EXTENSIONS, KEYS
from faceid_tunes.faceid_core.weights.manifest import files_for, groups, licence, manifest, model_file

ENTRIES = pytest.mark.parametrize("entry", manifest(), ids=lambda entry: entry.id)


@ENTRIES
def test_every_file_says_where_it_comes_from_and_where_it_goes(entry):
    assert entry.folder in KEYS
    assert "." + entry.name.rsplit(".", 1)[1] in EXTENSIONS
    url = urlsplit(entry.url)
    assert url.scheme == "https" and url.netloc in ("huggingface.co", "github.com")
    assert entry.revision in url.path.split("/"), "the revision is part of the URL"
    assert entry.base in (None, "sd15", "sdxl")


@ENTRIES
def test_every_file_has_its_size_and_hash(entry):
    for published in (entry, entry.download):
        assert re.fullmatch(r"[0-9a-f]{64}", published.sha256) and published.size > 1_000_000


@ENTRIES
def test_every_file_is_needed_for_something_that_is_explained(entry):
    assert entry.needed_for and set(entry.needed_for) <= set(groups())


@ENTRIES
def test_every_file_has_a_licence_in_a_plain_sentence(entry):
    assert entry.licence.sentence.endswith(".") and entry.licence.url.startswith("https://")
    if not entry.licence.commercial:
        assert "research" in entry.licence.sentence or "non-commercial" in entry.licence.sentence


def test_every_licence_of_the_list_in_one_view():
    assert {entry.licence.id: entry.licence.commercial for entry in manifest()} == {
        "ip-adapter-faceid-non-commercial": False,
        "insightface-non-commercial": False,
        "facefusion-research-rail": False,
        "s-lab-1-0": False,
        "creativeml-openrail-m": True,
        "creativeml-openrail-plus-plus-m": True,
        "apache-2-0": True,
        "bsd-3-clause": True,
        "mit": True,
    }


def test_ids_hashes_and_places_are_unique():
    for values in (
        [entry.id for entry in manifest()],
        [entry.sha256 for entry in manifest()],
        [(entry.folder, entry.subfolder, entry.name) for entry in manifest()],
    ):
        assert len(values) == len(set(values))


def test_every_group_is_used():
    assert all(files_for(group) for group in groups())


def test_the_face_pack_is_the_one_the_faces_code_knows():
    detector, recogniser = model_file("buffalo_l-detector"), model_file("buffalo_l-recogniser")
    assert detector.url == recogniser.url == packs.BUFFALO_L_URL
    assert packs._SPACES[recogniser.sha256] == packs.W600K_R50
    assert detector.subfolder == recogniser.subfolder == f"models/{packs.BUFFALO_L}"


def test_what_generate_needs_is_complete():
    assert {entry.folder for entry in files_for("generate")} == {
        "ipadapter",
        "insightface",
        "clip_vision",
        "checkpoints",
    }
    assert {entry.base for entry in files_for("generate")} == {None, "sd15"}


def test_an_unknown_name_is_answered_with_similar_ones():
    with pytest.raises(WeightsError, match='no model file "plusv2-sd1"') as unknown:
        model_file("plusv2-sd1")
    assert "plusv2-sd15" in str(unknown.value)
    with pytest.raises(WeightsError, match="no licence"):
        licence("insightface")
    with pytest.raises(WeightsError, match="no group"):
        files_for("genrate")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sentence =", "sentense =", "licence insightface-non-commercial: unknown key sentense"),
        ('id = "sd15"\n', 'id = "sd15"\nmd5 = "0"\n', "model file sd15: unknown key md5"),
        ('licence = "mit"', 'licence = "mitt"', 'no licence \\(model file clip-vit-h\\) "mitt"'),
        ('name = "GFPGANv1.4.pth"\n', "", "model file gfpgan: .*name"),
    ],
)
def test_a_mistake_in_the_manifest_is_named(tmp_path, monkeypatch, old, new, says):
    text = manifest_module.MANIFEST.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "manifest.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    monkeypatch.setattr(manifest_module, "MANIFEST", tmp_path / "manifest.toml")
    with pytest.raises(WeightsError, match=says):
        manifest()
