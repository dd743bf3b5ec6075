"""What ``faceid tunes check`` finds: flipped bits, missing files, files nobody needs, a damaged database."""

from __future__ import annotations

from pathlib import Path

import pytest
from faceid_tunes.faceid_core.tunes.check import check_store
from faceid_tunes.faceid_core.tunes.store import TuneStore


@pytest.mark.slow
def test_a_whole_store_has_no_damage(store: TuneStore, create) -> None:
    create("alice")
    create("bob")
    found = check_store(store)
    assert (found.tunes, found.files, found.unneeded, found.damages, found.database) == (2, 3, 0, (), ())


@pytest.mark.parametrize("harm", ["flip", "cut", "delete"])
def test_a_damaged_photo_is_named_with_what_to_do(store: TuneStore, create, tmp_path: Path, harm: str) -> None:
    tune = create("alice")
    damage(path_of(tmp_path, tune.photos[1].sha256), harm)
    (found,) = check_store(store).damages
    assert (found.tune_id, found.title) == (tune.id, "alice")
    assert found.problem.startswith("photo 2: ")
    assert ("cannot be read" if harm == "delete" else "damaged") in found.problem
    assert "same" in found.remedy


def test_a_damaged_embedding_is_named(store: TuneStore, create, tmp_path: Path) -> None:
    tune = create("alice")
    damage(path_of(tmp_path, tune.photos[0].face.sha256), "flip")
    (found,) = check_store(store).damages
    assert found.problem.startswith("an embedding: ") and "found again" in found.remedy


def test_a_file_that_two_tunes_need_is_named_for_both(store: TuneStore, create, tmp_path: Path) -> None:
    tune = create("alice")
    create("bob")
    damage(path_of(tmp_path, tune.photos[0].sha256), "flip")
    assert [found.title for found in check_store(store).damages] == ["bob", "alice"]


def test_a_file_that_no_tune_needs_is_counted(store: TuneStore, create) -> None:
    create("alice")
    store.blobs.put(b"of a tune whose creation was killed")
    assert check_store(store).unneeded == 1


def path_of(home: Path, sha256: str) -> Path:
    return home / "blobs" / sha256[:2] / sha256


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[:-1])
    else:
        path.unlink()
