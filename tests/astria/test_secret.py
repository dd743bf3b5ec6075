"""The key shows nowhere: not in what a run logs, raises or prints, even when the server echoes it."""

from __future__ import annotations

import asyncio
import base64
import copy
import dataclasses
import json
import logging
import pickle
import traceback

import pytest
from faceid_tunes.faceid_core.astria.errors import AstriaError, AstriaSettingsError
from faceid_tunes.faceid_core.astria.images import download_images
from faceid_tunes.faceid_core.astria.polling import wait_for_images
from faceid_tunes.faceid_core.astria.secret import HIDDEN, Secret, looks_like_key
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.errors import FaceIDError, printable
from faceid_tunes.faceid_core.prompts import Prompt
from support.asking import QUICK_POLLS, ask
from support.fake_astria import BASE, KEY, FakeAstria
from support.fake_faults import Fault
from support.raw_http import RawServer

PROMPT = Prompt("a lake", seed=7)


def test_only_reveal_shows_it():
    secret = Secret(KEY)
    settings = AstriaSettings(secret)
    shown = [
        repr(secret),
        str(secret),
        f"{secret:>9}",
        repr(settings),
        repr(dataclasses.asdict(settings)),
        f"{[secret]}",
    ]
    assert not any(KEY in text for text in shown)
    assert repr(secret) == HIDDEN
    assert copy.deepcopy(secret).reveal() == secret.reveal() == KEY


def test_it_is_not_pickled_nor_written_as_json():
    with pytest.raises(TypeError):
        pickle.dumps(AstriaSettings(Secret(KEY)))
    with pytest.raises(TypeError):
        json.dumps(Secret(KEY))


def test_two_of_the_same_characters_are_equal():
    assert Secret(KEY) == Secret(KEY) != Secret(KEY + "x")
    assert len({Secret(KEY), Secret(KEY)}) == 1


@pytest.mark.parametrize(
    "characters", ["", " ", f"{KEY}\n", f"{KEY}\r\nX-Evil: 1", "a b", "clé", "a\0b", "x" * 513, None]
)
def test_what_no_header_can_carry_is_refused_and_not_shown(characters: str):
    with pytest.raises(AstriaSettingsError, match="The API key ") as caught:
        Secret(characters)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "text", [KEY, f'{{"text": "{KEY}"}}', f"a lake,{KEY}", "Bearer abcdefghijklmnop", "my-own-key"]
)
def test_a_text_with_a_key_in_it_is_recognised(text: str):
    assert looks_like_key(text, Secret("my-own-key"))


@pytest.mark.parametrize(
    "text",
    [
        "sd_xl_base_1.0.safetensors",
        "sd_v1",
        "a bearer of good news",
        "sdxl_" + "a" * 30,
        "a_sd_" + "a" * 30,
        "",
        "sd_15",
    ],
)
def test_a_text_without_one_is_not(text: str):
    assert not looks_like_key(text, Secret("my-own-key"))


FAULTS = {
    "an error that echoes the key": Fault(status=422, body=f'{{"error":"bad token {KEY}"}}'.encode()),
    "another key in an error": Fault(status=401, body=b'{"error":"not sd_0123456789abcdefghij"}'),
    "a header in an error": Fault(status=500, body=f"Authorization: Bearer {KEY}".encode(), content_type="text/plain"),
    "reset": Fault(how="reset"),
    "cut": Fault(how="cut"),
    "not JSON": Fault(status=200, body=KEY.encode(), content_type="text/html"),
    "redirect": Fault(status=307, headers={"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_run_shows_it_neither_in_logs_nor_in_errors(
    api: FakeAstria, fault: Fault, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
):
    caplog.set_level(logging.DEBUG)
    shown = []

    async def everything(client):
        asyncio.get_running_loop().set_debug(True)
        for call in (
            lambda: client.account(),
            lambda: client.create_prompt(BASE, PROMPT),
            lambda: wait_for_images(client, 30000901, policy=QUICK_POLLS),
            lambda: download_images(client, [api.url + "/blobs/x"]),
        ):
            try:
                shown.append(repr(await call()))
            except AstriaError as error:
                whole = traceback.TracebackException.from_exception(error, capture_locals=True)
                shown.extend([repr(error), repr(vars(error)), "".join(whole.format())])
                shown.extend(repr(cause) for cause in (error.__cause__, error.__context__))

    # The images' server never saw the key and cannot echo it.
    api.will(fault, path="^/(?!blobs)" if fault.content_type == "text/html" else "", times=99)
    ask(api, everything)
    output = capsys.readouterr()
    everything_shown = "\n".join([*shown, caplog.text, output.out, output.err])
    assert "POST /tunes/690204/prompts" in everything_shown
    assert KEY not in everything_shown and "0123456789abcdefghij" not in everything_shown


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_of_the_api_is_not_followed(api: FakeAstria, status: str):
    with RawServer() as elsewhere:
        api.will(Fault(status=int(status[:3]), headers={"Location": elsewhere.url}), times=9)
        with pytest.raises(AstriaSettingsError, match="the key is not sent there"):
            ask(api, lambda client: client.account())
        assert not elsewhere.requests


def spellings(key: str) -> dict[str, str]:
    """What servers make of a key when they repeat it."""
    percent = "".join(f"%{ord(character):02X}" for character in key)
    return {
        "plain": key,
        "upper case": key.upper(),
        "percent": percent,
        "percent in lower case": percent.lower(),
        "one percent": key.replace("_", "%5f"),
        "percent twice": percent.replace("%", "%25"),
        "JSON": "".join(f"\\u{ord(character):04x}" for character in key),
        "JSON in JSON": "".join(f"\\\\u{ord(character):04X}" for character in key),
        "Python": "".join(f"\\x{ord(character):02x}" for character in key),
        "one escape": "\\u0073" + key[1:],
        "HTML": "".join(f"&#{ord(character)};" for character in key),
        "HTML hex": "".join(f"&#x{ord(character):X};" for character in key),
        "base64": base64.b64encode(key.encode()).decode(),
        "base64 of a header": base64.b64encode(f"Bearer {key}".encode()).decode(),
        "base64 of a pair": base64.b64encode(f"me:{key}:".encode()).decode(),
        "hex": key.encode().hex(),
        "reversed": key[::-1],
        "cut": key[:20],
    }


@pytest.mark.parametrize("spelling", spellings(KEY))
@pytest.mark.parametrize("place", ["body", "location", "content type", "a field", "an image's address"])
def test_a_key_that_the_server_repeats_is_hidden_in_every_spelling_and_place(
    api: FakeAstria, spelling: str, place: str
):
    echo = spellings(KEY)[spelling]
    said = json.dumps({"error": f"bad token {echo} here"}).replace("\\\\u", "\\u").encode()
    prompt = json.dumps({"id": 1, "user_error": f"not {echo}", "trained_at": "2026-01-01T00:00:00Z", "images": []})
    faults = {
        "body": Fault(status=422, body=said),
        "location": Fault(status=307, headers={"Location": f"https://x.example/{echo}/"}),
        "content type": Fault(status=200, body=b"x", content_type=f"text/{echo}"),
        "a field": Fault(status=200, body=prompt.encode()),
        "an image's address": Fault(status=404),
    }

    async def everything(client):
        shown = []
        for call in (
            lambda: client.account(),
            lambda: wait_for_images(client, 1, policy=QUICK_POLLS),
            lambda: download_images(client, [f"http://{echo.replace('/', '')}.example/x"]),
        ):
            try:
                shown.append(repr(await call()))
            except AstriaError as error:
                shown += [repr(error), repr(vars(error)), str(error.with_advice(f"See {echo}"))]
        return "\n".join(shown)

    api.will(faults[place], "GET", times=99)
    shown = ask(api, everything)
    assert "GET /users" in shown or place == "a field"
    assert shown and echo not in shown and KEY not in shown
    assert echo.replace("\\", "\\\\") not in shown and echo.lower() not in shown.lower()


def test_no_message_repeats_a_word_of_any_length():
    assert str(FaceIDError("x" * 5000 + " is none")) == f"{'x' * 100}…{'x' * 100} is none"
    path = "/" + "folder/" * 140
    assert str(FaceIDError(path)) == path


def test_a_short_key_is_hidden_as_it_is_and_sentences_stay_readable():
    assert Secret("abc").redact("abcd, a%62c") == f"{HIDDEN}d, a%62c"


@pytest.mark.slow
def test_hiding_takes_no_longer_for_an_answer_made_to_be_slow():
    for hostile in ("\\" * 300_000, "%25" * 100_000, "&amp;" * 50_000, KEY[:-1] * 10_000):
        Secret(KEY).redact(hostile)  # with a pattern that starts over at each place this takes hours


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\x00b\x9bc\x7f", "a\\x00b\\x9bc\\x7f"),
        ("half \ud800", "half \\ud800"),
        ("two\nlines\tof", "two\nlines\tof"),
        ("line\u2028line", "line\\u2028line"),
        ("Zoë 👩‍👩‍👧 مرحبا", "Zoë 👩‍👩‍👧 مرحبا"),
    ],
)
def test_no_error_steers_the_terminal(text: str, shown: str):
    assert str(FaceIDError(text)) == shown == printable(text)
    assert str(AstriaError("x").with_advice(text)) == f"x {shown}"
