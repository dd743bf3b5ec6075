"""The tune store as its users see it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faceid_tunes.faceid_core import surroundings
from faceid_tunes.faceid_core.surroundings import surrounding_comfyui
from faceid_tunes.faceid_core.tunes.analysis import Analysis
from faceid_tunes.faceid_core.tunes.database import Database
from faceid_tunes.faceid_core.tunes.errors import TuneError, TuneNotFoundError, TuneStorageError
from faceid_tunes.faceid_core.tunes.fields import check_title
from faceid_tunes.faceid_core.tunes.home import default_home
from faceid_tunes.faceid_core.tunes.store import API_LIFETIME, TuneStore, open_store
from faceid_tunes.faceid_core.tunes.tune import Tune
from faceid_tunes.faceid_core.weights.folders import model_folders

ALL_FIELDS = {
    "is_api": True,
    "token": "ohwx",
    "base_tune_id": 690204,
    "branch": "sdxl1",
    "args": "--x 1",
    "steps": 300,
    "face_crop": True,
    "training_face_correct": False,
    "ckpt_url": "https://example.org/ckpt",
    "ckpt_urls": ("https://example.org/ckpt",),
    "callback": "https://example.org/hook?order=17",
    "cost_mc": 1500,
    "remote_id": 2000501,
    "remote_url": "https://api.example.org",
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 9, 0, 0, 400_000, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expiring(store: TuneStore, clock: Clock) -> TuneStore:
    """The same store, as a service opens it that keeps tunes for the API's 30 days."""
    return TuneStore(store.database, store.blobs, API_LIFETIME, clock)


@pytest.mark.slow
def test_a_tune_comes_back_exactly_as_it_was_created(store: TuneStore, create: Callable[..., Tune]) -> None:
    created = create(**ALL_FIELDS)

    assert {name: getattr(created, name) for name in ALL_FIELDS} == ALL_FIELDS
    assert store.get(created.id) == store.find("alice") == store.get_by_title("alice") == created
    assert store.list() == (created,)


def test_a_tune_is_trained_when_created_and_kept_for_ever(create: Callable[..., Tune]) -> None:
    before = datetime.now(timezone.utc)
    tune = create()

    assert before <= tune.trained_at == tune.started_training_at == tune.created_at <= datetime.now(timezone.utc)
    assert tune.trained_at.utcoffset() == timedelta(0)
    assert tune.expires_at is None


def test_photos_and_faces_can_be_read_back(store: TuneStore, create: Callable[..., Tune], photos) -> None:
    tune = create()

    assert [store.photo_bytes(tune, photo) for photo in tune.photos] == [photos.astronaut, photos.coffee]
    assert tune.photos[0].face is not None
    assert store.blobs.get(tune.photos[0].face.sha256)
    assert tune.photos_without_face == (2,)


def test_another_process_sees_the_tune(store: TuneStore, create, tmp_path: Path, database_url: str | None) -> None:
    tune = create()
    with open_store(tmp_path, database_url=database_url) as reopened:
        assert reopened.get(tune.id) == tune


@pytest.mark.slow
def test_the_same_title_is_the_same_tune(store: TuneStore, create, another_analysis: Analysis) -> None:
    first = create("alice")
    second = store.create(another_analysis.tune("alice", "man"), another_analysis.files)

    assert second == first
    assert store.blobs.size(another_analysis.photos[0].sha256) is None


def test_an_id_is_never_given_twice(store: TuneStore, create: Callable[..., Tune]) -> None:
    first = create("alice")
    store.delete(first.id)

    assert create("bob").id > first.id


@pytest.mark.parametrize("tune_id", [0, -1, 99, 2**63, 10**30])
def test_an_unknown_id_says_so(store: TuneStore, tune_id: int) -> None:
    with pytest.raises(TuneNotFoundError, match=f"no tune {tune_id}"):
        store.get(tune_id)


def test_an_unknown_title_says_so(store: TuneStore) -> None:
    assert store.find("nobody") is None
    with pytest.raises(TuneNotFoundError, match="'nobody'"):
        store.get_by_title("nobody")


@pytest.mark.parametrize("title", ["", "a\0b", "half of an emoji \ud83d"], ids=ascii)
def test_a_title_that_no_tune_can_have_is_simply_unknown(store: TuneStore, title: str) -> None:
    assert store.find(title) is None
    assert store.list(filters={"title": title, "name": title}) == ()
    with pytest.raises(TuneNotFoundError):
        store.get_by_title(title)


def test_a_title_is_found_however_it_was_typed(store: TuneStore, create: Callable[..., Tune]) -> None:
    assert create("Zo\u00eb") == store.find(" Zoe\u0308 ")


@pytest.mark.parametrize(
    "typed",
    ["Anna\u00a02026", " Anna  2026 ", "Anna\u20032026", "An\u200bna 2026", "\ufeffAnna 2026", "Anna \u200e2026\u200f"],
    ids=ascii,
)
def test_spaces_and_invisible_characters_make_no_other_title(store: TuneStore, create, typed: str) -> None:
    tune = create("Anna 2026")
    assert store.find(typed) == tune
    assert check_title(typed) == "Anna 2026"


def test_the_joiner_inside_an_emoji_stays(store: TuneStore) -> None:
    assert check_title("\U0001f469\u200d\U0001f680 Anna") == "\U0001f469\u200d\U0001f680 Anna"


def test_a_new_tune_never_gets_the_number_that_another_is_titled(store: TuneStore, create) -> None:
    first = create("alice")
    create(str(first.id + 2))
    third = create("bob")
    assert third.id == first.id + 3
    assert store.find_id(first.id + 2) is None


def test_lists_go_from_the_newest_id_down_page_by_page(store: TuneStore, create: Callable[..., Tune]) -> None:
    ids = [create(f"tune {n}").id for n in range(5)][::-1]

    assert [tune.id for tune in store.list(limit=2)] == ids[:2]
    assert [tune.id for tune in store.list(limit=2, before_id=ids[1])] == ids[2:4]
    assert [tune.id for tune in store.list(limit=2, before_id=ids[4])] == []
    assert [tune.id for tune in store.list(limit=2, offset=3)] == ids[3:]
    assert [tune_id for tune_id, _ in store.titles()] == ids


def test_lists_can_be_filtered(store: TuneStore, create: Callable[..., Tune]) -> None:
    woman, man = create("alice"), create("bob", name="man", branch="sdxl1", model_type="lora")

    assert store.list(filters={"name": "woman", "branch": "sd15"}) == (woman,)
    assert store.list(filters={"model_type": "lora"}) == (man,)
    assert store.list(filters={"title": "alice"}) == (woman,)
    with pytest.raises(TuneError, match="'token'"):
        store.list(filters={"token": "ohwx"})


@pytest.mark.parametrize("limit", [0, -1, 121])
def test_a_page_has_at_most_120_tunes(store: TuneStore, limit: int) -> None:
    with pytest.raises(TuneError, match="1 to 120"):
        store.list(limit=limit)


def test_title_and_name_can_be_changed(store: TuneStore, create: Callable[..., Tune]) -> None:
    created = create("alice")
    changed = store.update(created.id, title="Alice B.", name="person")

    assert (changed.title, changed.name) == ("Alice B.", "person")
    assert changed.updated_at > created.updated_at
    assert store.get_by_title("Alice B.") == changed
    assert store.find("alice") is None


def test_a_title_in_use_cannot_be_given_to_another_tune(store: TuneStore, create: Callable[..., Tune]) -> None:
    create("alice")
    bob = create("bob")
    with pytest.raises(TuneError, match="titled 'alice'") as caught:
        store.update(bob.id, title="alice")
    assert caught.value.field == "tune[title]"
    assert store.get(bob.id).title == "bob"


def test_what_cannot_be_changed_is_refused_by_name(store: TuneStore, create: Callable[..., Tune]) -> None:
    with pytest.raises(TuneError, match="trained_at"):
        store.update(create().id, trained_at=None)


def test_the_remote_id_is_remembered(store: TuneStore, create: Callable[..., Tune]) -> None:
    tune = store.set_remote_id(create().id, 2000501, "https://api.example.org")
    assert (tune.remote_id, tune.remote_url) == (2000501, "https://api.example.org")
    assert store.get(tune.id) == tune


def test_deleting_a_tune_deletes_its_files(store: TuneStore, create: Callable[..., Tune]) -> None:
    tune = create()
    store.delete(tune.id)

    assert list(store.blobs.older_than(timedelta(0))) == []
    with pytest.raises(TuneNotFoundError):
        store.get(tune.id)
    with pytest.raises(TuneNotFoundError):
        store.delete(tune.id)


def test_files_that_two_tunes_share_stay_until_both_are_gone(store: TuneStore, create: Callable[..., Tune]) -> None:
    first, second = create("alice"), create("alice again")
    store.delete(first.id)

    assert [store.photo_bytes(second, photo) for photo in second.photos]


def test_a_tune_expires_after_thirty_days(expiring: TuneStore, clock: Clock, analysis: Analysis) -> None:
    tune = expiring.create(analysis.tune("alice", "woman"), analysis.files)
    assert tune.expires_at - tune.trained_at == timedelta(days=30)

    clock.now = tune.expires_at - timedelta(seconds=1)
    assert expiring.get(tune.id) == tune

    clock.now = tune.expires_at
    assert expiring.list() == ()
    assert expiring.titles() == ()
    assert expiring.find("alice") is None
    for lookup in (lambda: expiring.get(tune.id), lambda: expiring.get_by_title("alice")):
        with pytest.raises(TuneNotFoundError, match="expired on 2026-03-02 at 09:00 UTC"):
            lookup()


def test_the_title_of_an_expired_tune_is_free_again(expiring: TuneStore, clock: Clock, analysis: Analysis) -> None:
    old = expiring.create(analysis.tune("alice", "woman"), analysis.files)
    clock.now += API_LIFETIME
    new = expiring.create(analysis.tune("alice", "woman"), analysis.files)

    assert new.id > old.id
    assert expiring.list() == (new,)


def test_purge_deletes_expired_tunes_and_leaves_the_others(
    expiring: TuneStore, clock: Clock, analysis: Analysis, another_analysis: Analysis
) -> None:
    expiring.create(analysis.tune("alice", "woman"), analysis.files)
    clock.now += timedelta(days=1)
    bob = expiring.create(another_analysis.tune("bob", "woman"), another_analysis.files)
    clock.now += timedelta(days=29)
    purged = expiring.purge()

    assert (purged.tunes, purged.blobs) == (1, 3)
    assert purged.bytes == sum(map(len, analysis.files))
    assert expiring.list() == (bob,)
    assert sorted(expiring.blobs.older_than(timedelta(0))) == sorted([bob.photos[0].sha256, bob.photos[0].face.sha256])


def test_purge_removes_files_that_no_tune_needs_once_they_are_old_enough(store: TuneStore, create) -> None:
    tune = create()
    orphan = store.blobs.put(b"of a tune whose creation was killed")

    assert store.purge().blobs == 0
    assert store.blobs.size(orphan) is not None
    assert store.purge(grace=timedelta(0)).blobs == 1
    assert store.blobs.size(orphan) is None
    assert store.photo_bytes(tune, tune.photos[0])


def test_a_purge_during_a_creation_takes_nothing_from_it(
    store: TuneStore, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all, insert = [], store._insert

    def purge_first(*arguments):  # between the files and the transaction
        put_all.append(store.purge(grace=timedelta(0)).blobs)
        return insert(*arguments)

    monkeypatch.setattr(store, "_insert", purge_first)
    tune = store.create(analysis.tune("alice", "woman"), analysis.files)

    assert put_all == [3]
    assert [store.photo_bytes(tune, photo) for photo in tune.photos]


def test_a_missing_or_damaged_photo_is_named(store: TuneStore, create, tmp_path: Path) -> None:
    tune = create()
    path = tmp_path / "blobs" / tune.photos[1].sha256[:2] / tune.photos[1].sha256
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TuneError, match=r"Image 2 of tune \d+ \('alice'\).*damaged"):
        store.photo_bytes(tune, tune.photos[1])
    path.unlink()
    with pytest.raises(TuneError, match=r"Image 2 of tune \d+ \('alice'\).*cannot be read"):
        store.photo_bytes(tune, tune.photos[1])


def test_a_tune_without_all_its_files_is_not_kept(store: TuneStore, analysis: Analysis) -> None:
    with pytest.raises(TuneError, match="files that were not given"):
        store.create(analysis.tune("alice", "woman"), analysis.files[:1])
    assert store.list() == ()


def test_a_tune_that_the_database_refuses_is_not_tried_for_ever(store: TuneStore, analysis: Analysis) -> None:
    with pytest.raises(TuneError, match="cannot be stored"):
        store.create(analysis.tune("alice", None), analysis.files)
    assert store.list() == ()


def test_the_home_is_the_environments_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEID_TUNES_HOME", str(tmp_path / "elsewhere"))
    assert default_home() == tmp_path / "elsewhere"
    monkeypatch.delenv("FACEID_TUNES_HOME")
    monkeypatch.setattr(surroundings, "_places", lambda: ())
    assert default_home().is_absolute()
    assert default_home().name == "faceid-tunes"


def test_of_a_comfyui_that_this_package_is_linked_into_the_people_and_models_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FACEID_TUNES_HOME", raising=False)
    monkeypatch.delenv("FACEID_MODELS", raising=False)
    comfyui = tmp_path / "ComfyUI"
    (comfyui / "custom_nodes").mkdir(parents=True)
    (comfyui / "folder_paths.py").touch()
    monkeypatch.chdir(comfyui)
    assert surrounding_comfyui() is None, "another ComfyUI, without this package"
    (comfyui / "custom_nodes" / "any-name").symlink_to(Path(surroundings.__file__).parents[1])
    assert default_home() == comfyui / "user" / "__faceid_tunes"
    assert model_folders().of("ipadapter") == (comfyui / "models" / "ipadapter",)
    (comfyui / "models").mkdir()
    monkeypatch.chdir(comfyui / "models")
    assert surrounding_comfyui() == comfyui, "also from a folder below it"
    monkeypatch.chdir(tmp_path)
    assert surrounding_comfyui() is None
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    assert surrounding_comfyui() == comfyui


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(TuneError, match="home"):
        open_store(tmp_path / "home")


@pytest.mark.parametrize("url", ["no url", "postgresql+nodriver://u:secret@h/d", "mysql+nothing://u:secret@h/d"])
def test_a_database_url_that_cannot_be_used_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(TuneError, match="database URL") as caught:
        open_store(tmp_path, database_url=url)
    assert "secret" not in str(caught.value)


def test_an_unreachable_server_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(TuneError, match=r"127\.0\.0\.1:1/") as caught:
        Database("postgresql+psycopg://someone:secret@127.0.0.1:1/tunes")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "tunes.sqlite3").write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(TuneError, match=r"tunes\.sqlite3.*not a database"):
        open_store(tmp_path)


def test_a_database_whose_connections_are_all_in_use_is_an_error_for_people(store: TuneStore) -> None:
    engine = store.database._engine
    engine.pool._timeout = 0.01
    with contextlib.ExitStack() as stack, pytest.raises(TuneStorageError, match="tune database"):
        for _ in range(100):
            stack.enter_context(store.database.reading())


def test_postgresql_lets_go_of_what_a_cut_connection_had_locked(store: TuneStore) -> None:
    if store.database._engine.dialect.name != "postgresql":
        pytest.skip("a server's setting")
    with store.database.reading() as connection:
        shown = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    assert shown == "1min"


def test_the_state_of_a_store_changes_with_every_change(store, create):
    states = [store.state()]
    tune = create("alice")
    states.append(store.state())
    store.update(tune.id, name="girl")
    states.append(store.state())
    store.delete(tune.id)
    states.append(store.state())
    assert len(set(states)) >= 3 and states[1] != states[2] != states[3]


def test_an_address_without_a_number_for_its_port_is_a_sentence():
    with pytest.raises(TuneError, match="database URL cannot be used"):
        Database("postgresql://nobody@127.0.0.1:port/tunes")


@pytest.mark.parametrize("home", ["/tunes\0", "/" + "x" * 300])
def test_a_folder_that_no_system_has_is_a_sentence(home):
    with pytest.raises(TuneError, match="cannot be created"):
        open_store(home)
