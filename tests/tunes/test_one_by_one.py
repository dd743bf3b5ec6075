"""Photos that are looked at one after another are never in memory together."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.tunes import analysis
from faceid_tunes.faceid_core.tunes.one_by_one import Named, OneByOne, chained
from support.photos import INSIGHTFACE


def test_it_is_a_sequence_that_makes_a_value_each_time():
    made: list[int] = []
    values = OneByOne(3, lambda index: made.append(index) or index * 10)
    assert len(values) == 3 and not made and bool(values) and not OneByOne(0, str)
    assert list(values) == [0, 10, 20] and values[-1] == 20 and values[1:] == [10, 20] and made == [0, 1, 2, 2, 1, 2]
    with pytest.raises(IndexError):
        values[3]
    assert pickle.loads(pickle.dumps(values)) == (0, 10, 20), "a process that gets them has the values"
    assert list(chained(values, (7, 8))) == [0, 10, 20, 7, 8] and list(chained((), values)) == [0, 10, 20]


def test_names_look_values_up():
    found = Named(["a", "b"], OneByOne(2, str))
    assert dict(found) == {"a": "0", "b": "1"} and "c" not in found


def test_no_two_photos_of_a_tune_are_open_at_once(monkeypatch: pytest.MonkeyPatch):
    opened: list[weakref.ref[np.ndarray]] = []
    most = 0
    read = analysis.open_photo

    def watched(data: bytes, number: int) -> np.ndarray:
        nonlocal most
        pixels = read(data, number)
        opened.append(weakref.ref(pixels))
        gc.collect()
        most = max(most, sum(each() is not None for each in opened))
        return pixels

    monkeypatch.setattr(analysis, "open_photo", watched)
    photo = (INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes()
    photos = [photo + bytes(number) for number in range(6)]
    found = analysis.analyse(photos, embedded_pack())
    assert len(opened) == 12 and most <= 2, "the one before may be let go a moment later"
    assert [*found.files[:6]] == photos
