"""Our own client and remote engine against our own service: one prompt text, one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.engines.remote import AstriaEngine, Journal
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs.tokens import make_token
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import open_store

from .conftest import Served
from .test_page import PHOTO


@pytest.fixture
def engine(served: Served, tmp_path: Path) -> AstriaEngine:
    key = make_token(served.store.database, "client")
    return AstriaEngine(AstriaSettings(Secret(key), served.url), Journal(tmp_path / "journal"))


@pytest.mark.slow
def test_the_remote_engine_draws_at_our_own_service(served: Served, engine: AstriaEngine, tmp_path: Path) -> None:
    with open_store(tmp_path / "mine") as mine:
        create_tune(mine, [PHOTO.read_bytes()], "Tom", "man", embedded_pack())
        drawn = engine.draw(Prompt("<faceid:Tom:1> man at sea", num_images=2, seed=7), mine)
    assert len(drawn.pictures) == 2
    (sent,) = served.engine.drawn
    assert (sent.seed, sent.num_images, sent.parsed.plain_text.strip()) == (7, 2, "man at sea")
    here = served.engine.draw(sent, served.store)
    for there, same in zip(drawn.pictures, here.pictures, strict=True):
        assert np.array_equal(there.pixels, same.pixels)
