"""From photos to a tune, and back to the faces an adapter is fed with: real photos, real ONNX inference."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.faceid_core.errors import NoFaceError
from faceid_tunes.faceid_core.faces import Faces, extract_faces, read_photo
from faceid_tunes.faceid_core.faces import extract as extract_module
from faceid_tunes.faceid_core.faces.packs import FacePack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.same_photos import same_photos
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from PIL import Image


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def other_pack(pack: FacePack) -> FacePack:
    """The same two files under another name: an analysis of its own."""
    return replace(pack, name="another pack")


@pytest.fixture
def no_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no photo may be looked at."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a photo was analysed")

    monkeypatch.setattr(extract_module, "find_faces", refuse)


def test_one_photo_is_enough(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)

    assert (tune.title, tune.name, tune.model_type, tune.pack, tune.space) == (
        "alice",
        "woman",
        "faceid",
        "yunet_sface",
        "sface",
    )
    assert tune.photos_without_face == ()
    (photo,) = tune.photos
    assert (photo.media_type, photo.width, photo.height) == ("image/png", 512, 512)
    assert photo.face.score > 0.8
    assert 150 < photo.face.box[0] < photo.face.box[2] < 300  # where her face is
    assert store.get(tune.id) == tune


def test_the_api_fields_are_kept(store: TuneStore, photos, pack: FacePack) -> None:
    fields = {"is_api": True, "base_tune_id": 690204, "callback": "https://example.org/?id=7", "face_crop": True}
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack, **fields)

    assert {name: getattr(tune, name) for name in fields} == fields


def test_a_photo_without_a_face_is_kept_and_told(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.coffee, photos.friends, photos.coffee], "friends", "person", pack)

    assert tune.photos_without_face == (1, 3)
    assert [store.photo_bytes(tune, photo) for photo in tune.photos] == [photos.coffee, photos.friends, photos.coffee]
    assert tune.photos[1].media_type == "image/jpeg"


def test_photos_without_any_face_are_refused_by_number(store: TuneStore, photos, pack: FacePack) -> None:
    with pytest.raises(TuneError, match=r"image 1 .*image 2 ") as caught:
        create_tune(store, [photos.coffee, photos.coffee], "coffee", "cup", pack)

    assert caught.value.field == "tune[images][]"
    assert store.list() == ()
    assert not list((Path(store.blobs._root)).rglob("*"))


def test_the_progress_is_told_photo_by_photo(store: TuneStore, photos, pack: FacePack) -> None:
    told = []
    create_tune(
        store,
        [photos.astronaut, photos.coffee],
        "alice",
        "woman",
        pack,
        on_photo=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": ""}, "tune[title]"),
        ({"title": " \t "}, "tune[title]"),
        ({"title": None}, "tune[title]"),
        ({"title": "x" * 10_240}, "tune[title]"),
        ({"title": "a\0b"}, "tune[title]"),
        ({"title": "half of an emoji \ud83d"}, "tune[title]"),
        ({"title": 12}, "tune[title]"),
        ({"name": ""}, "tune[name]"),
        ({"name": None}, "tune[name]"),
        ({"name": "x" * 256}, "tune[name]"),
        ({"photos": []}, "tune[images][]"),
        ({"photos": [b"<html>"]}, "tune[images][]"),
        ({"base_tune_id": -1}, "tune[base_tune_id]"),
        ({"base_tune_id": 2**63}, "tune[base_tune_id]"),
        ({"steps": "many"}, "tune[steps]"),
        ({"callback": "x" * 5000}, "tune[callback]"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(store: TuneStore, photos, pack: FacePack, wrong: dict, field: str) -> None:
    arguments = {"photos": [photos.astronaut], "title": "alice", "name": "woman", **wrong}
    with pytest.raises(TuneError) as caught:
        create_tune(store, pack=pack, **arguments)

    assert caught.value.field == field
    assert store.list() == ()


def test_an_unreadable_photo_is_named_by_its_number(store: TuneStore, photos, pack: FacePack) -> None:
    with pytest.raises(TuneError, match=r"^Image 2: .*web page"):
        create_tune(store, [photos.astronaut, b"<html>"], "alice", "woman", pack)


def test_a_title_is_trimmed_and_composed(store: TuneStore, photos, pack: FacePack) -> None:
    first = create_tune(store, [photos.astronaut], " Zoe\u0308 ", "woman", pack)
    assert first.title == "Zo\u00eb"
    assert create_tune(store, [photos.astronaut], "Zo\u00eb", "woman", pack) == first


def test_the_same_title_returns_the_tune_and_looks_at_nothing(
    store: TuneStore, photos, pack: FacePack, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    request.getfixturevalue("no_inference")
    caplog.set_level(logging.WARNING)

    assert create_tune(store, [photos.astronaut], "alice", "woman", pack) == tune
    assert caplog.records == []
    with pytest.raises(TuneError, match=r"'alice', made from other photos \(image 1 not among them\).*another title"):
        create_tune(store, [photos.actor], "alice", "man", pack)
    assert store.list() == (tune,)
    assert same_photos(tune, [photos.astronaut])
    assert not same_photos(tune, [photos.actor])


def test_a_title_that_is_the_number_of_another_tune_is_refused(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    with pytest.raises(TuneError, match=rf"'{tune.id}' is the number of a tune already \('alice'\)") as caught:
        create_tune(store, [photos.actor], str(tune.id), "man", pack)
    assert caught.value.field == "tune[title]"


def test_the_same_photos_in_another_order_are_the_same_tune(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.astronaut, photos.coffee], "alice", "woman", pack)
    assert create_tune(store, [photos.coffee, photos.astronaut], "alice", "woman", pack) == tune


def test_the_same_pixels_in_another_file_are_the_same_photo(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    again = io.BytesIO()
    Image.open(io.BytesIO(photos.astronaut)).save(again, "PNG", compress_level=1)
    assert again.getvalue() != photos.astronaut
    assert create_tune(store, [again.getvalue()], "alice", "woman", pack) == tune


@pytest.mark.parametrize("given", [("astronaut",), ("astronaut", "coffee", "coffee")], ids=["fewer", "more"])
def test_fewer_or_more_photos_are_other_photos(store: TuneStore, photos, pack: FacePack, given) -> None:
    create_tune(store, [photos.astronaut, photos.coffee], "alice", "woman", pack)
    with pytest.raises(TuneError, match=rf"2 of them, and here are {len(given)}") as caught:
        create_tune(store, [getattr(photos, name) for name in given], "alice", "woman", pack)
    assert caught.value.field == "tune[title]"


def test_the_photos_in_hand_repair_those_the_disk_has_lost(
    store: TuneStore, photos, pack: FacePack, tmp_path: Path
) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    flip_a_bit(tmp_path, tune.photos[0].sha256)

    assert create_tune(store, [photos.astronaut], "alice", "woman", pack) == tune
    assert store.photo_bytes(tune, tune.photos[0]) == photos.astronaut


def test_a_new_tune_of_a_damaged_file_is_born_whole(store: TuneStore, photos, pack: FacePack, tmp_path: Path) -> None:
    first = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    flip_a_bit(tmp_path, first.photos[0].sha256)
    flip_a_bit(tmp_path, first.photos[0].face.sha256)

    second = create_tune(store, [photos.astronaut], "alice again", "woman", pack)
    assert store.photo_bytes(second, second.photos[0]) == photos.astronaut
    assert store.blobs.problem(second.photos[0].face.sha256) is None


def flip_a_bit(home: Path, sha256: str) -> None:
    path = home / "blobs" / sha256[:2] / sha256
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.slow
def test_the_kept_faces_are_the_extracted_ones(
    store: TuneStore, photos, pack: FacePack, request: pytest.FixtureRequest
) -> None:
    extracted = extract_faces(
        [read_photo(data) for data in (photos.coffee, photos.astronaut, mirrored(photos.astronaut))],
        pack,
        on_missing="skip",
    )
    given = [photos.coffee, photos.astronaut, mirrored(photos.astronaut)]
    tune = create_tune(store, given, "two", "person", pack)
    request.getfixturevalue("no_inference")

    assert_same_faces(faces_of(tune, store, pack), extracted)


def test_another_pack_looks_at_the_kept_photos_once(
    store: TuneStore, photos, pack: FacePack, other_pack: FacePack, request: pytest.FixtureRequest
) -> None:
    tune = create_tune(store, [photos.coffee, photos.astronaut], "alice", "woman", pack)
    found = faces_of(tune, store, other_pack)
    assert (found.pack, found.skipped, len(found.faces)) == ("another pack", (0,), 1)
    request.getfixturevalue("no_inference")

    assert_same_faces(faces_of(tune, store, other_pack), found)
    assert store.get(tune.id) == tune  # which speaks of its own pack


def test_a_pack_of_the_same_name_and_another_space_looks_again(store: TuneStore, photos, pack: FacePack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE faceid_tune_faces SET space = 'older'")

    assert faces_of(tune, store, pack).space == "sface"
    assert store.found_faces(tune.id, pack.name)[0] == "sface"


def test_a_damaged_embedding_is_made_again_from_the_photo(
    store: TuneStore, photos, pack: FacePack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    before = faces_of(tune, store, pack)
    name = tune.photos[0].face.sha256
    path = tmp_path / "blobs" / name[:2] / name
    path.write_bytes(bytes(len(path.read_bytes())))

    assert_same_faces(faces_of(tune, store, pack), before)
    assert "damaged" in caplog.text
    assert store.blobs.get(name)


def test_a_pack_that_finds_no_face_names_the_tune(store: TuneStore, photos, pack: FacePack, other_pack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    coffee = store.blobs.put(photos.coffee)
    tune = replace(tune, photos=(replace(tune.photos[0], sha256=coffee),))

    with pytest.raises(NoFaceError, match=r"^Tune 1 \('alice'\): .*image 1 "):
        faces_of(tune, store, other_pack)


@pytest.mark.slow
def test_a_turned_phone_photo_is_measured_upright(store: TuneStore, photos, pack: FacePack) -> None:
    upright = Image.open(io.BytesIO(photos.friends)).crop((0, 0, 1200, 886))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", exif=exif)
    tune = create_tune(store, [file.getvalue()], "turned", "person", pack)

    assert (tune.photos[0].width, tune.photos[0].height) == (1200, 886)
    assert tune.photos_without_face == ()


def mirrored(photo: bytes) -> bytes:
    """Another photo of the same person."""
    file = io.BytesIO()
    Image.open(io.BytesIO(photo)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file, "PNG")
    return file.getvalue()


def assert_same_faces(left: Faces, right: Faces) -> None:
    assert (left.space, left.pack, left.provider, left.skipped) == (
        right.space,
        right.pack,
        right.provider,
        right.skipped,
    )
    assert left.digest == right.digest
    for one, other in zip(left.faces, right.faces, strict=True):
        assert (one.photo, one.score) == (other.photo, pytest.approx(other.score))
        np.testing.assert_array_equal(one.box, other.box)
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        np.testing.assert_array_equal(one.embedding, other.embedding)
        np.testing.assert_array_equal(one.crop, other.crop)
