"""Our own client, remote engine and command line against our own service, also where the network between them fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faceid_tunes.cli import main
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.engines.engine import Drawn
from faceid_tunes.faceid_core.engines.remote import AstriaEngine, Journal
from faceid_tunes.faceid_core.errors import FaceIDError
from faceid_tunes.faceid_core.faces.packs import embedded_pack
from faceid_tunes.faceid_core.jobs import api_tunes
from faceid_tunes.faceid_core.jobs.listing import list_jobs
from faceid_tunes.faceid_core.jobs.tokens import make_token
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.create import create_tune
from faceid_tunes.faceid_core.tunes.store import TuneStore, open_store
from PIL import Image
from support.asking import QUICK, QUICK_POLLS
from support.fake_faults import Fault
from support.faulty_proxy import FaultyProxy

from .conftest import Served
from .test_page import PHOTO

OWNER = 1  # the first token


@pytest.fixture
def key(served: Served) -> str:
    return make_token(served.store.database, "client")


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[TuneStore]:
    with open_store(tmp_path / "mine") as opened:
        create_tune(opened, [PHOTO.read_bytes()], "Tom", "man", embedded_pack())
        yield opened


@pytest.fixture
def proxy(served: Served) -> Iterator[FaultyProxy]:
    with FaultyProxy(served.url) as running:
        yield running


@pytest.fixture
def engine(proxy: FaultyProxy, key: str, tmp_path: Path) -> AstriaEngine:
    settings = AstriaSettings(Secret(key), proxy.url)
    return AstriaEngine(settings, Journal(tmp_path / "journal"), polling=QUICK_POLLS, retrying=QUICK)


def made(served: Served) -> tuple[int, int]:
    """How many tunes and prompts the service has."""
    return len(api_tunes.list_tunes(served.store, OWNER)), len(list_jobs(served.store.database, OWNER))


def assert_same_pictures(served: Served, drawn: Drawn) -> None:
    """As the service's engine draws what has reached it, once."""
    (sent,) = served.engine.drawn
    here = served.engine.draw(sent, served.store)
    assert len(drawn.pictures) == len(here.pictures)
    for there, same in zip(drawn.pictures, here.pictures, strict=True):
        assert np.array_equal(there.pixels, same.pixels)


@pytest.mark.slow
def test_the_remote_engine_draws_at_our_own_service(served: Served, engine: AstriaEngine, mine: TuneStore) -> None:
    drawn = engine.draw(Prompt("<faceid:Tom:1> man at sea", num_images=2, seed=7), mine)
    (sent,) = served.engine.drawn
    assert (sent.seed, sent.num_images, sent.parsed.plain_text.strip()) == (7, 2, "man at sea")
    assert_same_pictures(served, drawn)


LOST = {
    "the tune's answer is lost": (Fault("reset", work="done"), "POST", "/tunes$"),
    "the tune's answer comes too late": (Fault("stall", work="done", seconds=0.5), "POST", "/tunes$"),
    "the tune never arrives": (Fault("reset"), "POST", "/tunes$"),
    "the prompt's answer is lost": (Fault("reset", work="done"), "POST", "/prompts$"),
    "the prompt's answer is cut": (Fault("cut"), "POST", "/prompts$"),
    "the prompt never arrives": (Fault("reset"), "POST", "/prompts$"),
    "a gateway gives the prompt up": (Fault(status=504, work="done", body=b""), "POST", "/prompts$"),
    "a gateway gives a question up": (Fault(status=502, body=b"<html>"), "GET", "/prompts/"),
    "there were too many questions": (Fault(status=429, body=b"", headers={"Retry-After": "0"}), "GET", "/prompts/"),
    "the picture is cut": (Fault("cut"), "GET", "/images/"),
    "the picture is too short": (Fault(shorten=True), "GET", "/images/"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LOST)
def test_a_prompt_is_drawn_once_whatever_is_lost(
    served: Served, proxy: FaultyProxy, engine: AstriaEngine, mine: TuneStore, what: str
) -> None:
    fault, method, path = LOST[what]
    proxy.will(fault, method, path)
    drawn = engine.draw(Prompt("<faceid:Tom:1> man at sea", seed=7), mine)
    assert made(served) == (1, 1)
    assert_same_pictures(served, drawn)
    assert any((method, status) != ("GET", 0) for _, _, status in proxy.seen)


def test_what_the_service_cannot_draw_is_told_in_its_words(
    served: Served, engine: AstriaEngine, mine: TuneStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Drawn:
        raise FaceIDError("There is no model.")

    monkeypatch.setattr(served.engine, "draw", fail)
    with pytest.raises(FaceIDError, match="There is no model"):
        engine.draw(Prompt("<faceid:Tom:1> man at sea"), mine)


@pytest.mark.slow
def test_the_command_line_draws_at_our_own_service(
    served: Served, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASTRIA_API_KEY", key)
    monkeypatch.setenv("ASTRIA_BASE_URL", served.url)
    monkeypatch.delenv("ASTRIA_WORKSPACE_ID", raising=False)
    places = ["--home", str(tmp_path / "home"), "--output", str(tmp_path / "out"), "--engine", "astria"]
    order = [str(PHOTO), "--name", "man", "--text", "<faceid:Tom_Hanks_54745:1> man at sea", "--seed", "7"]
    status = main(["generate", *places, *order, "--num-images", "2"])
    said = capsys.readouterr()
    assert status == 0, said.err
    assert f"drawing with the remote API at {served.url}" in said.out and key not in said.out + said.err
    (sent,) = served.engine.drawn
    here = served.engine.draw(sent, served.store)
    for number, picture in enumerate(here.pictures, 1):
        with Image.open(tmp_path / "out" / f"faceid_0000{number}.png") as written:
            assert np.array_equal(np.array(written), picture.pixels)
