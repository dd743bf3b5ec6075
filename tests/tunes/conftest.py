"""Real photos, their real analysis (once), and an empty store on each database."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
import skimage.data
from faceid_tunes.faceid_core.faces.packs import FacePack
from faceid_tunes.faceid_core.tunes.analysis import Analysis, analyse
from faceid_tunes.faceid_core.tunes.store import TuneStore
from faceid_tunes.faceid_core.tunes.tune import Tune
from PIL import Image
from support.databases import database_url, migrated, store
from support.photos import INSIGHTFACE

__all__ = ["database_url", "migrated", "store"]


@dataclasses.dataclass(frozen=True)
class Photos:
    """Image files as a user uploads them."""

    astronaut: bytes  # one woman, PNG
    actor: bytes  # one man, PNG
    friends: bytes  # six people, JPEG
    coffee: bytes  # nobody, PNG


@pytest.fixture(scope="session")
def photos() -> Photos:
    return Photos(
        astronaut=_png(skimage.data.astronaut()),
        actor=(INSIGHTFACE / "Tom_Hanks_54745.png").read_bytes(),
        friends=(INSIGHTFACE / "t1.jpg").read_bytes(),
        coffee=_png(skimage.data.coffee()),
    )


@pytest.fixture(scope="session")
def analysis(photos: Photos, pack: FacePack) -> Analysis:
    """Of two photos, the second without a face."""
    return analyse([photos.astronaut, photos.coffee], pack)


@pytest.fixture(scope="session")
def another_analysis(photos: Photos, pack: FacePack) -> Analysis:
    return analyse([photos.actor], pack)


@pytest.fixture
def create(store: TuneStore, analysis: Analysis) -> Callable[..., Tune]:
    """Keep a tune of the astronaut, without analysing the photo again."""

    def keep(title: str = "alice", **fields: object) -> Tune:
        return store.create(analysis.tune(title, **{"name": "woman", **fields}), analysis.files)

    return keep


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
