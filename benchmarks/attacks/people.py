"""What is kept of people: exported tunes and database rows; and the notes of orders."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import zipfile
from contextlib import closing
from functools import partial

from .trick import Area, Place, Tricks, damaged, written
from .values import JSON, named


def _exported(place: Place) -> tuple[bytes, object]:
    """An exported tune, and the face pack that made it; its home has the tune as well."""
    from faceid_tunes.faceid_core.faces.packs import embedded_pack
    from faceid_tunes.faceid_core.tunes.create import create_tune
    from faceid_tunes.faceid_core.tunes.store import open_store
    from faceid_tunes.faceid_core.tunes.transfer import export_tune
    from support import photos

    pack, file = embedded_pack(), io.BytesIO()
    photo = photos.encoded(photos.single_faces()["astronaut"], "JPEG")
    with open_store(place.inside / "home") as store:
        export_tune(store, create_tune(store, [photo], "Anna", "woman", pack), file)
    return file.getvalue(), pack


def _changed(exported: bytes, manifest: object = None, **options: object) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exported)) as old, zipfile.ZipFile(file, "w", **options) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json" and manifest is not None:
                content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            new.writestr(name, content)
        for name in ("../../outside/code-ran", "/tmp/code-ran", "files/../../outside/code-ran"):
            new.writestr(name, b"x")
    return file.getvalue()


def _imports(place: Place) -> Tricks:
    from faceid_tunes.faceid_core.tunes.store import open_store
    from faceid_tunes.faceid_core.tunes.transfer import import_tune

    exported, pack = _exported(place)
    store = open_store(place.inside / "other")
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        manifest = json.loads(archive.read("manifest.json"))

    def tried(content: bytes) -> str:
        tune = import_tune(store, io.BytesIO(content), pack)
        store.delete(tune.id)
        return f"imported as {tune.title[:80]!r}"

    yield "names outside", partial(tried, _changed(exported))
    yield "compressed", partial(tried, _changed(exported, compression=zipfile.ZIP_DEFLATED))
    yield "cut", partial(tried, exported[: len(exported) // 2])
    for name, raw in {"deep": b"[" * 100_000, "no JSON": b"\xff", "long": b" " * 5 * 2**20, "NaN": b"NaN"}.items():
        yield f"a manifest that is {name}", partial(tried, _changed(exported, raw))
    chosen = random.Random(2)
    for field in manifest:
        for value in chosen.sample(JSON, 8):
            yield f"{field} = {named(value)}", partial(tried, _changed(exported, manifest | {field: value}))
    photo = manifest["photos"][0]
    for field in photo:
        for value in chosen.sample(JSON, 6):
            odd = manifest | {"photos": [photo | {field: value}]}
            yield f"photos.{field} = {named(value)}", partial(tried, _changed(exported, odd))


def _damaged_imports(place: Place, draw: random.Random) -> Tricks:
    from faceid_tunes.faceid_core.tunes.store import open_store
    from faceid_tunes.faceid_core.tunes.transfer import import_tune

    with zipfile.ZipFile(io.BytesIO(_exported(place)[0])) as archive:
        text = archive.read("manifest.json")
    exported, pack = _exported(place)
    store = open_store(place.inside / "damaged")

    def tried(content: bytes) -> str:
        return f"imported as {import_tune(store, io.BytesIO(content), pack).title[:80]!r}"

    while True:
        if draw.random() < 0.5:
            yield "a damaged file", partial(tried, damaged(exported, draw))
        else:
            yield "a damaged manifest", partial(tried, _changed(exported, damaged(text, draw)))


def _rows(place: Place) -> Tricks:
    from faceid_tunes.faceid_core.tunes.check import check_store
    from faceid_tunes.faceid_core.tunes.store import open_store

    _exported(place)
    home = place.inside / "home"
    whole = (home / "tunes.sqlite3").read_bytes()

    def tried(table: str, column: str, value: object) -> str:
        for left in home.glob("tunes.sqlite3*"):
            left.unlink()
        (home / "tunes.sqlite3").write_bytes(whole)
        with closing(sqlite3.connect(home / "tunes.sqlite3")) as database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            try:
                database.execute(f'UPDATE OR REPLACE {table} SET "{column}" = ?', (value,))
            except sqlite3.IntegrityError as error:
                return f"SQLite itself refuses it: {error}"
            database.commit()
        with open_store(home) as store:
            problems = check_store(store)
            for number, _ in store.titles():
                tune = store.get(number)
                for photo in tune.photos:
                    assert b"sd_attackers" not in store.photo_bytes(tune, photo)
        return f"checked: {str(problems)[:300]}"

    with closing(sqlite3.connect(home / "tunes.sqlite3")) as database:
        columns = [
            (table, column[1])
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'faceid_tune%s'")
            for column in database.execute(f"PRAGMA table_info({table})")
        ]
    odd = ("", "../../outside/secret", "\x1b[2J", b"\xff\xfe", -1, 2**63 - 1, 1e308, "[[[[", "9999-99-99", "a" * 10**6)
    for table, column in columns:
        for value in odd:
            yield f"{table}.{column} = {named(value)}", partial(tried, table, column, value)


def _notes(place: Place) -> Tricks:
    from faceid_tunes.faceid_core.engines.remote import Journal

    journal = Journal(place.inside / "remote")
    good = journal.begin("key", 7, text="a lake")
    file = journal.where("key")
    note = json.loads(file.read_bytes())

    def tried(content: bytes) -> str:
        file.write_bytes(content)
        found = journal.find("key")
        assert found is not None, "it is taken for none, and paid again"
        assert found.prompt_id is None or 0 <= found.prompt_id < 2**63
        return f"read: seed {found.seed}, prompt {found.prompt_id}"

    assert good.seed == 7
    raws = (b"", b"\0" * 100, b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b"7", file.read_bytes()[:30], b"NaN" * 10)
    for raw in raws:
        yield f"a note of {raw[:20]!r}", partial(tried, raw)
    chosen = random.Random(3)
    for field in note:
        for value in chosen.sample(JSON, 7):
            yield f"{field} = {named(value)}", partial(tried, json.dumps(note | {field: value}).encode())


def _damaged_notes(place: Place, draw: random.Random) -> Tricks:
    from faceid_tunes.faceid_core.engines.remote import Journal

    journal = Journal(place.inside / "damaged")
    journal.begin("key", 7, text="a lake", after_id=41, prompt_id=42)
    whole, file = journal.where("key").read_bytes(), journal.where("key")

    def tried(content: bytes) -> str:
        written(file, content)
        found = journal.find("key")
        assert found is not None
        return f"read: seed {found.seed}, prompt {found.prompt_id}"

    while True:
        yield "a damaged note", partial(tried, damaged(whole, draw))


AREAS = (
    Area("tune imports", _imports, _damaged_imports, 0.05),
    Area("database rows", _rows),
    Area("journal notes", _notes, _damaged_notes, 0.10),
)
