"""Whatever is wrong on the disk, every node registers: the combo says it, and the node that needs it when it runs."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import folder_paths
import pytest
from comfy_api.latest import io
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.tunes.store import open_store
from faceid_tunes.nodes import checks
from faceid_tunes.nodes.extension import FaceIDExtension
from faceid_tunes.nodes.faces import FaceIDExtractFace
from faceid_tunes.nodes.host import folders, service, storage
from faceid_tunes.nodes.prompt import FaceIDPrompt
from faceid_tunes.nodes.remote import FaceIDBaseModel
from faceid_tunes.nodes.tunes import FaceIDLoadTune
from server import PromptServer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """ComfyUI's user directory for this package, empty."""
    monkeypatch.setattr(folder_paths, "get_system_user_directory", lambda _name: str(tmp_path))
    monkeypatch.setattr(PromptServer, "instance", None, raising=False)
    for name in ("FACEID_TUNES_HOME", "FACEID_TUNES_DATABASE_URL", "FACEID_TUNES_BLOBS_URL", "ASTRIA_API_KEY"):
        monkeypatch.setenv(name, "")  # so that afterwards it is as before, whatever a test sets
        monkeypatch.delenv(name)
    storage.tune_store.cache_clear()
    yield tmp_path
    storage.tune_store.cache_clear()


def _newer_schema(home: Path) -> None:
    open_store(home).close()
    with sqlite3.connect(home / "tunes.sqlite3") as database:
        database.execute("UPDATE faceid_schema_version SET version_num = '9999'")


def _folder_for_a_database(home: Path) -> None:
    (home / "tunes.sqlite3").mkdir()


def _environment(name: str, value: str) -> Callable[[Path], None]:
    return lambda _home: os.environ.__setitem__(name, value)


STORES: dict[str, tuple[Callable[[Path], object], str]] = {
    "random bytes": (
        lambda home: (home / "tunes.sqlite3").write_bytes(random.Random(1).randbytes(9000)),
        r"tunes\.sqlite3 failed: file is not a database",
    ),
    "a newer schema": (_newer_schema, "made by a newer version. Update this plugin"),
    "a folder in its place": (_folder_for_a_database, "unable to open database file"),
    "PostgreSQL that is down": (
        _environment("FACEID_TUNES_DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:1/tunes"),
        r"u:\*\*\*@127\.0\.0\.1:1/tunes failed|install the driver",  # without psycopg here
    ),
    "a URL that is none": (
        _environment("FACEID_TUNES_DATABASE_URL", "postgresql://u@127.0.0.1:port/tunes"),
        "database URL cannot be used",
    ),
    "blobs in nowhere": (_environment("FACEID_TUNES_BLOBS_URL", "nowhere://tunes"), "Protocol not known: nowhere"),
    "a home that is a file": (_environment("FACEID_TUNES_HOME", __file__), "cannot be created"),
    "a home of nobody": (_environment("FACEID_TUNES_HOME", "~nobody-at-all/tunes"), "has no place"),
    "a home with too long a name": (_environment("FACEID_TUNES_HOME", "/" + "x" * 300), "name too long"),
}


def schemas() -> dict[str, io.Schema]:
    """The schemas of every node, as ComfyUI asks for them when it loads an extension."""

    async def load() -> dict[str, io.Schema]:
        extension = FaceIDExtension()
        await extension.on_load()
        return {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in await extension.get_node_list()}

    return asyncio.run(load())


def options(node: str, combo: str) -> list[str]:
    return next(one.options for one in schemas()[node].inputs if one.id == combo)


@pytest.mark.parametrize("name", STORES)
def test_every_node_registers_whatever_the_store_says_and_says_it_when_it_runs(home, name):
    spoil, message = STORES[name]
    spoil(home)
    if name == "blobs in nowhere":
        (home / "tunes.sqlite3").touch()  # without one nobody asks for the tunes
    assert len(schemas()) == 16
    (listed,) = options("FaceIDLoadTune", "tune")
    assert listed.startswith("The tunes cannot be listed: ") and "\n" not in listed
    node = FaceIDLoadTune.PREPARE_CLASS_CLONE(None)
    with pytest.raises(FaceIDError, match=message) as error:
        node.execute("Anna")
    assert "secret" not in str(error.value) + listed
    assert " ".join(str(error.value).split()) in listed
    assert FaceIDLoadTune.validate_inputs(tune="Anna") == str(error.value)


def test_a_prompt_that_names_nobody_is_made_although_the_store_is_broken(home):
    (home / "tunes.sqlite3").write_bytes(b"no database" * 100)
    node = FaceIDPrompt.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.unique_id: None}})
    assert node.execute(text="a boat").args[0].text == "a boat"
    with pytest.raises(FaceIDError, match="not a database"):
        node.execute(text="<faceid:1:1> a woman")


def test_a_database_that_is_mended_counts_at_once(home):
    (home / "tunes.sqlite3").write_bytes(b"no database" * 100)
    assert "not a database" in options("FaceIDLoadTune", "tune")[0]
    (home / "tunes.sqlite3").unlink()
    open_store(home).close()
    assert options("FaceIDLoadTune", "tune") == []


def test_a_sentence_in_a_combo_is_logged_once(home, caplog):
    (home / "base_models.toml").write_text("[[base_models]\n")
    for _page in range(3):
        assert "Correct it, or delete it" in options("FaceIDBaseModel", "base_model")[0]
    assert sum("The base models cannot be listed" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("spoiled", [b"[[base_models]\n", b"\xff\xfe\0", None], ids=["brackets", "UTF-16", "a folder"])
def test_a_broken_table_of_base_models_is_a_sentence(home, spoiled):
    table = home / "base_models.toml"
    table.mkdir() if spoiled is None else table.write_bytes(spoiled)
    assert len(schemas()) == 16
    (listed,) = options("FaceIDBaseModel", "base_model")
    with pytest.raises(FaceIDError, match=r"base_models\.toml cannot be read") as error:
        FaceIDBaseModel.PREPARE_CLASS_CLONE(None).execute(listed)
    assert str(error.value) in listed


def test_a_face_pack_folder_that_is_a_file_or_vanishes_hides_no_node(tmp_path, monkeypatch):
    (tmp_path / "insightface").write_text("x")
    monkeypatch.setattr(folders, "insightface_roots", lambda: [tmp_path / "insightface"])
    assert options("FaceIDExtractFace", "face_pack") == ["auto", "yunet_sface"]

    def vanished() -> list[Path]:
        raise OSError("Stale file handle")

    monkeypatch.setattr(folders, "insightface_roots", vanished)
    assert options("FaceIDExtractFace", "face_pack")[1:] == ["The face packs cannot be listed: Stale file handle"]
    assert len(schemas()) == 16


@pytest.mark.parametrize("key", [b"\xff\xfe\0not a key", b"", b"x" * 9000, None])
def test_a_broken_key_file_hides_no_node(home, key):
    file = home / "astria_key"
    file.mkdir(mode=0o700) if key is None else file.write_bytes(key)
    file.chmod(0o700 if key is None else 0o600)
    assert len(schemas()) == 16
    with pytest.raises(FaceIDError, match="astria_key"):
        storage.astria_settings()


def test_folders_and_routes_that_cannot_be_added_hide_no_node(monkeypatch):
    def fails() -> None:
        raise RuntimeError("the router is frozen")

    monkeypatch.setattr(service, "mount_service", fails)
    monkeypatch.setattr(folders, "register_model_folders", fails)
    assert len(schemas()) == 16


@pytest.mark.parametrize("name", STORES)
def test_comfyui_starts_although_prompts_of_before_cannot_be_resumed(home, name, monkeypatch):
    from aiohttp import web

    STORES[name][0](home)
    monkeypatch.setattr(service, "_has_unfinished_prompts", lambda _database: True)
    app = service.make_app(service._started_service, service.PREFIX)
    assert isinstance(app, web.Application)
    asyncio.run(service._resume(app))


def test_a_linked_name_is_checked_when_it_arrives():
    for node, combo in ((FaceIDLoadTune, "tune"), (FaceIDExtractFace, "face_pack")):
        assert node.validate_inputs(**{combo: None}) is True


def test_every_number_has_bounds():
    for schema in schemas().values():
        for one in schema.inputs:
            if isinstance(one, io.Int.Input | io.Float.Input):
                assert one.min is not None and one.max is not None, (schema.node_id, one.id)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"layout": "spirals"}, "layout: 'spirals' is linked here. Link one of columns, rows, faces"),
        ({"layout": ["columns"]}, "layout: a list is linked here"),
        ({"people": 10**9}, "people: 1000000000 is not a whole number 1 to"),
        ({"people": 2.5}, "people: 2.5 is not a whole number"),
        ({"width": "wide"}, "width: 'wide' is not a whole number"),
    ],
)
def test_what_is_linked_is_held_to_the_bounds_of_a_widget(inputs, message):
    from faceid_tunes.nodes.regions import FaceIDRegions

    given = {"layout": "columns", "people": 2, "width": 64, "height": 64, "feather": 0, "person": 0} | inputs
    with pytest.raises(FaceIDError, match=message):
        FaceIDRegions.PREPARE_CLASS_CLONE(None).execute(**given)


def test_a_schema_that_lists_the_disk_is_asked_for_once_however_often_the_node_runs():
    asked = []

    class Node:
        @classmethod
        def define_schema(cls):
            asked.append(cls)
            return FaceIDExtractFace.define_schema()

        @classmethod
        @checks.within_schema("face_pack")
        def execute(cls, face_pack, detector_threshold):
            return face_pack

    clone = type("Clone", (Node,), {})  # as ComfyUI makes one for each run
    assert [node.execute("auto", 0.5) for node in (Node, clone, Node)] == ["auto"] * 3
    assert len(asked) == 1
    with pytest.raises(FaceIDError, match="detector_threshold"):
        clone.execute("auto", "none")


def test_a_number_that_is_none_is_refused_and_one_beyond_a_slider_is_not():
    checks._check(FaceIDExtractFace.define_schema().inputs, {"detector_threshold": 7.5}, ())
    with pytest.raises(FaceIDError, match="detector_threshold: nan is not a number"):
        checks._check(FaceIDExtractFace.define_schema().inputs, {"detector_threshold": float("nan")}, ())
