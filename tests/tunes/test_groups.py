"""A tune of photos with strangers in them: who counts, what is said, what the user overrules, for every face pack."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from faceid_tunes.faceid_core.faces.packs import FacePack
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.edit import add_photos, decide, drop_photo
from faceid_tunes.faceid_core.tunes.errors import TuneError
from faceid_tunes.faceid_core.tunes.faces import faces_of
from faceid_tunes.faceid_core.tunes.orders import parse_orders
from faceid_tunes.faceid_core.tunes.store import TuneStore
from PIL import Image, ImageOps


@pytest.fixture(scope="module")
def mirrored(photos) -> bytes:
    return png(ImageOps.mirror(opened(photos.astronaut)))


@pytest.fixture(scope="module")
def together(photos) -> bytes:
    """The actor, large, and the astronaut at half his size beside him."""
    canvas = Image.new("RGB", (1024, 512), (150, 150, 150))
    canvas.paste(opened(photos.actor).resize((512, 512)), (0, 0))
    canvas.paste(opened(photos.astronaut).resize((256, 256)), (640, 128))
    return png(canvas)


@pytest.fixture
def other_pack(pack: FacePack) -> FacePack:
    return replace(pack, name="another pack")


@pytest.mark.slow
def test_of_a_group_the_face_like_the_other_photos_is_kept(store: TuneStore, photos, together, pack) -> None:
    tune = create_tune(store, [photos.astronaut, together], "alice", "woman", pack)

    assert tune.photos[1].face.box[0] > 600 and tune.photos[1].face.others == 1
    assert tune.remarks == ()
    person, alone = faces_of(tune, store, pack), faces_of(create_alone(store, photos, pack), store, pack)
    assert person.mean_embedding() @ alone.mean_embedding() > 0.9


@pytest.mark.slow
def test_a_stranger_is_stored_left_out_and_named(store: TuneStore, photos, mirrored, pack) -> None:
    tune = create_tune(store, [photos.astronaut, photos.actor, mirrored], "alice", "woman", pack)

    assert [photo.face.counts for photo in tune.photos] == [True, False, True]
    ((number, remark),) = tune.remarks
    assert number == 2 and remark.startswith("left out, seems to be someone else")
    assert store.get(tune.id) == tune
    found = faces_of(tune, store, pack)
    assert [face.photo for face in found.faces] == [0, 2] and [left.photo for left in found.left_out] == [1]


def test_without_a_majority_nothing_is_kept_and_the_candidates_are_named(store: TuneStore, photos, pack) -> None:
    with pytest.raises(TuneError, match=r"person A: image 1; person B: image 2\..*--face") as caught:
        create_tune(store, [photos.astronaut, photos.actor], "alice", "woman", pack)
    assert caught.value.field == "tune[images][]"
    assert store.list() == ()


@pytest.mark.parametrize(
    ("orders", "counts"),
    [
        ("2 ignore", [True, False]),
        ("1 ignore", [False, True]),
        ("2 use", [False, True]),
        ("1 use; 2 use", [True, True]),
    ],
)
def test_the_user_decides_between_two_people(store: TuneStore, photos, pack, orders, counts) -> None:
    tune = create_tune(store, [photos.astronaut, photos.actor], "alice", "woman", pack, orders=parse_orders(orders))
    assert [photo.face.counts for photo in tune.photos] == counts
    assert store.get(tune.id) == tune


def test_a_face_of_a_group_is_chosen_by_its_number(store: TuneStore, photos, together, pack) -> None:
    tune = create_tune(store, [together], "alice", "woman", pack, orders=parse_orders("1 face 1"))
    assert tune.photos[0].face.box[0] > 600
    assert tune.photos[0].face_at == pytest.approx((0.75, 0.4), abs=0.1)
    for wrong, said in (("1 face 2", "no face number 2 in image 1"), ("2 ignore", "no photo 2")):
        with pytest.raises(TuneError, match=said):
            create_tune(store, [together], "bob", "man", pack, orders=parse_orders(wrong))


@pytest.mark.slow
def test_another_pack_takes_the_same_face_and_leaves_the_same_photos_out(
    store: TuneStore, photos, together, mirrored, pack, other_pack
) -> None:
    given = [together, photos.actor, photos.astronaut, mirrored]
    tune = create_tune(store, given, "alice", "woman", pack)
    chosen = create_tune(store, [together], "chosen", "woman", pack, orders=parse_orders("1 face 1"))

    for each, expected in ((tune, [0, 2, 3]), (chosen, [0])):
        for _again in (1, 2):  # found, then restored
            found = faces_of(each, store, other_pack)
            assert found.pack == "another pack"
            assert [face.photo for face in found.faces] == expected
            assert found.faces[0].box[0] > 600
    ours = [photo.reason for photo in found_left_out(store, tune, pack)]
    assert ours == [photo.reason for photo in found_left_out(store, tune, other_pack)] and "someone else" in ours[0]


def test_a_tune_of_before_is_judged_when_its_faces_are_needed(store: TuneStore, photos, mirrored, pack) -> None:
    tune = create_tune(store, [photos.actor, photos.astronaut, mirrored], "alice", "woman", pack)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE faceid_tune_faces SET counts = NULL, reason = ''")
    old = store.get(tune.id)
    assert [photo.face.counts for photo in old.photos] == [None, None, None] and old.remarks == ()

    assert [face.photo for face in faces_of(old, store, pack).faces] == [1, 2]
    assert store.get(tune.id).photos == tune.photos


def test_decisions_can_be_changed_and_taken_back(store: TuneStore, photos, mirrored, pack) -> None:
    tune = create_tune(store, [photos.astronaut, photos.actor, mirrored], "alice", "woman", pack)
    used = decide(store, tune, parse_orders("2 use; 1 weight 3"), pack)
    assert [photo.face.counts for photo in used.photos] == [True, True, True]
    assert used.photos[0].weight == 3 and used.updated_at > tune.updated_at
    assert faces_of(used, store, pack).weights == (3.0, 1.0, 1.0)
    back = decide(store, used, parse_orders("2 auto; 1 auto"), pack)
    assert back.photos == tune.photos


@pytest.mark.slow
def test_a_photo_can_be_added_and_dropped(store: TuneStore, photos, mirrored, pack, other_pack) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    tune = store.set_remote_id(tune.id, 17, "https://api.example.org")
    faces_of(tune, store, other_pack)
    added = add_photos(store, tune, [mirrored, photos.coffee], pack)

    assert [photo.is_added for photo in added.photos] == [False, True, True]
    assert added.photos_without_face == (3,)
    assert added.remote_id is None, "the remote tune is of other photos"
    assert len(faces_of(added, store, other_pack).faces) == 2

    dropped = drop_photo(store, added, 3, pack)
    assert len(dropped.photos) == 2
    assert store.blobs.size(added.photos[2].sha256) is None
    assert create_tune(store, [photos.astronaut], "alice", "woman", pack) == dropped, "it was made from this photo"
    with pytest.raises(TuneError, match="no photo 3"):
        drop_photo(store, dropped, 3, pack)
    with pytest.raises(TuneError, match="the only one"):
        drop_photo(store, drop_photo(store, dropped, 1, pack), 1, pack)


def test_a_photo_of_a_stranger_is_added_and_left_out(store: TuneStore, photos, mirrored, pack) -> None:
    tune = create_tune(store, [photos.astronaut, mirrored], "alice", "woman", pack)
    added = add_photos(store, tune, [photos.actor], pack)
    assert [photo.face.counts for photo in added.photos] == [True, True, False]
    with pytest.raises(TuneError, match="it is not clear"):
        drop_photo(store, added, 1, pack)
    assert store.get(tune.id) == added, "a refused change changes nothing"


def test_adding_a_photo_that_is_there_repairs_it(store: TuneStore, photos, pack, tmp_path) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    name = tune.photos[0].sha256
    path = tmp_path / "blobs" / name[:2] / name
    path.write_bytes(b"x" * len(photos.astronaut))

    assert add_photos(store, tune, [photos.astronaut], pack) == tune
    assert path.read_bytes() == photos.astronaut


def test_two_processes_that_add_a_photo_at_once_both_do(
    store: TuneStore, photos, mirrored, pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = create_tune(store, [photos.astronaut], "alice", "woman", pack)
    replace_photos, others = store.replace_photos, [photos.coffee]

    def beaten(*arguments):
        if others:
            add_photos(store, tune, [others.pop()], pack)
        return replace_photos(*arguments)

    monkeypatch.setattr(store, "replace_photos", beaten)
    added = add_photos(store, tune, [mirrored], pack)
    assert len(added.photos) == 3


def test_what_another_pack_found_before_a_change_is_not_stored_after_it(
    store: TuneStore, photos, mirrored, pack, other_pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = create_tune(store, [photos.astronaut, mirrored], "alice", "woman", pack)
    add_faces = store.add_faces

    def late(*arguments):
        decide(store, tune, parse_orders("1 ignore"), pack)
        add_faces(*arguments)

    monkeypatch.setattr(store, "add_faces", late)
    assert len(faces_of(tune, store, other_pack).faces) == 2
    monkeypatch.undo()
    assert store.found_faces(tune.id, other_pack.name) is None
    assert len(faces_of(store.get(tune.id), store, other_pack).faces) == 1


def found_left_out(store: TuneStore, tune, pack) -> tuple:
    return faces_of(tune, store, pack).left_out


def create_alone(store: TuneStore, photos, pack):
    return create_tune(store, [photos.astronaut], "alone", "woman", pack)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
