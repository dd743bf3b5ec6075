"""A tune as one file: what goes out comes in elsewhere, and nothing in such a file is trusted."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable

import pytest
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.orders import parse_orders
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from faceid_tunes.faceid_core.tunes.transfer import export_tune, import_tune


@pytest.fixture(scope="module")
def exported(tmp_path_factory, photos, pack) -> bytes:
    with open_store(tmp_path_factory.mktemp("there")) as store:
        orders = parse_orders("2 ignore; 1 weight 2")
        tune = create_tune(
            store, [photos.astronaut, photos.actor, photos.coffee], "alice", "woman", pack, orders=orders
        )
        tune = store.set_remote_id(tune.id, 4711, "https://api.example.org")
        file = io.BytesIO()
        export_tune(store, tune, file)
    return file.getvalue()


def changed(exported: bytes, change: Callable[[dict[str, bytes]], None], kind: int = zipfile.ZIP_STORED) -> io.BytesIO:
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    file.seek(0)
    return file


def in_manifest(**values: object) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        parts["manifest.json"] = json.dumps(json.loads(parts["manifest.json"]) | values).encode()

    return change


@pytest.mark.slow
def test_a_person_arrives_with_photos_decisions_and_embeddings(store: TuneStore, exported, photos, pack) -> None:
    tune = import_tune(store, io.BytesIO(exported), pack)

    assert (tune.title, tune.name, tune.remote_id) == ("alice", "woman", None)
    assert [store.photo_bytes(tune, photo) for photo in tune.photos] == [photos.astronaut, photos.actor, photos.coffee]
    assert [photo.use for photo in tune.photos] == [None, False, None] and tune.photos[0].weight == 2
    assert [face.photo for face in faces_of(tune, store, pack).faces] == [0]
    assert b"4711" not in exported and b"api.example.org" not in exported


def test_importing_twice_is_one_tune_and_another_title_another(store: TuneStore, exported, pack) -> None:
    tune = import_tune(store, io.BytesIO(exported), pack)
    assert import_tune(store, io.BytesIO(exported), pack) == tune
    assert import_tune(store, io.BytesIO(exported), pack, title="alice 2").id != tune.id


def test_another_persons_title_is_refused(store: TuneStore, exported, photos, pack) -> None:
    create_tune(store, [photos.actor], "alice", "man", pack)
    with pytest.raises(TuneError, match="made from other photos"):
        import_tune(store, io.BytesIO(exported), pack)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (in_manifest(version=2), "version 2"),
        (in_manifest(format="zip"), "something else"),
        (in_manifest(photos=[]), "no photos"),
        (in_manifest(photos=[{"sha256": "../../tunes.sqlite3"}]), "missing"),
        (in_manifest(photos="x"), "no photos"),
        (in_manifest(title=""), "empty"),
        (lambda parts: parts.pop("manifest.json"), "missing"),
        (lambda parts: parts.update({"manifest.json": b"[" * 100_000}), "cannot be read"),
        (lambda parts: parts.update({next(name for name in parts if "files" in name): b"other"}), "is damaged"),
    ],
    ids=range(9),
)
def test_a_file_that_is_not_whole_is_refused_and_leaves_nothing(store, exported, pack, change, said) -> None:
    with pytest.raises(TuneError, match=said):
        import_tune(store, changed(exported, change), pack)
    assert store.list() == ()


@pytest.mark.parametrize("said", [{"weight": 0}, {"weight": "x"}, {"face_at": [2, 0]}, {"face_at": 1}, {"use": "yes"}])
def test_decisions_out_of_bounds_are_refused(store, exported, pack, said) -> None:
    def change(parts: dict[str, bytes]) -> None:
        manifest = json.loads(parts["manifest.json"])
        manifest["photos"][0] |= said
        parts["manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(TuneError, match="photo 1 cannot be read"):
        import_tune(store, changed(exported, change), pack)


def test_the_embedding_of_another_face_is_refused(store: TuneStore, exported, pack) -> None:
    def change(parts: dict[str, bytes]) -> None:
        manifest = json.loads(parts["manifest.json"])
        manifest["photos"][0]["face"] = manifest["photos"][1]["face"]
        parts["manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(TuneError, match="embedding of photo 1 is not of a face in it"):
        import_tune(store, changed(exported, change), pack)


def test_compressed_parts_are_refused(store: TuneStore, exported, pack) -> None:
    with pytest.raises(TuneError, match="compressed"):
        import_tune(store, changed(exported, lambda parts: None, zipfile.ZIP_DEFLATED), pack)


@pytest.mark.slow
def test_five_hundred_mutations_are_a_tune_or_a_sentence(store: TuneStore, exported, pack) -> None:
    chance = random.Random(0)
    for _ in range(500):
        data = bytearray(exported)
        for _ in range(chance.randint(1, 8)):
            at = chance.choice([chance.randrange(len(data)), chance.randrange(max(0, len(data) - 900), len(data))])
            data[at] = chance.randrange(256)
        try:
            import_tune(store, io.BytesIO(data[: chance.choice([len(data), chance.randrange(len(data))])]), pack)
        except FaceIDError as error:
            assert str(error)
