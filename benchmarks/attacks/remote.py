"""What the remote API answers, and where its answers point."""

from __future__ import annotations

import asyncio
import json
import random
from functools import partial

from .trick import SECRET, Area, Place, Tricks, damaged
from .values import JSON, named

_ANSWER = {
    "id": 42,
    "callback": None,
    "trained_at": "2026-01-01T00:00:00.000Z",
    "started_training_at": "2026-01-01T00:00:00.000Z",
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.000Z",
    "tune_id": 690204,
    "text": "a lake",
    "negative_prompt": "",
    "cfg_scale": "7.0",
    "steps": 25,
    "super_resolution": False,
    "ar": "1:1",
    "num_images": 1,
    "seed": 7,
    "controlnet_conditioning_scale": None,
    "controlnet_txt2img": False,
    "denoising_strength": None,
    "style": None,
    "url": "https://www.astria.ai/prompts/42.json",
    "images": ["https://93.184.216.34/x.jpg"],
    "prompt_likes_count": 0,
    "base_pack_id": None,
    "input_image": None,
    "mask_image": None,
    "user_error": None,
    "cost_mc": 23,
}


def _read(text: bytes) -> str:
    """As the client reads it: JSON, then the prompt, then what the node shows."""
    from faceid_tunes.faceid_core.astria.secret import Secret
    from faceid_tunes.faceid_core.astria.settings import AstriaSettings
    from faceid_tunes.faceid_core.astria.wire.objects_json import prompt_text
    from support.asking import QUICK
    from support.raw_http import RawServer

    async def asked(url: str) -> str:
        from faceid_tunes.faceid_core.astria.client import AstriaClient

        async with AstriaClient(AstriaSettings(Secret(SECRET), url), QUICK) as client:
            return prompt_text(await client.get_prompt(42))

    with RawServer(body=text) as server:
        shown = asyncio.run(asked(server.url))
    assert shown.isascii() or "\x1b" not in shown
    json.loads(shown)
    return f"read: {len(shown)} characters of JSON"


def _answers(place: Place) -> Tricks:
    raws = (b"", b"null", b"[]", b"[[]]", b"7", b"NaN", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000)
    for raw in (*raws, b"<html>", f'"{SECRET}"'.encode(), b"{" + SECRET.encode(), b'{"id":' + b"9" * 5000 + b"}"):
        yield f"an answer of {raw[:16]!r}", partial(_read, raw)
    chosen = random.Random(4)
    for field in _ANSWER:
        for value in chosen.sample(JSON, 4):
            yield f"{field} = {named(value)}", partial(_read, json.dumps(_ANSWER | {field: value}).encode())


def _damaged_answers(place: Place, draw: random.Random) -> Tricks:
    whole = json.dumps(_ANSWER).encode()
    while True:
        yield "a damaged answer", partial(_read, damaged(whole, draw))


def _addresses(place: Place) -> Tricks:
    import aiohttp
    from faceid_tunes.faceid_core.astria.addresses import Fetcher, forbidden
    from support.raw_http import RawServer

    server = RawServer(body=b"a picture")
    server.__enter__()
    port = server.url.rsplit(":", 1)[-1]

    async def fetch(address: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=3)
        async with Fetcher("https://api.example.com", timeout=timeout) as fetcher:
            async with fetcher.get(address, {}) as answer:
                return await answer.read()

    def tried(address: str) -> str:
        try:
            asyncio.run(fetch(address))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            assert not server.requests, "the server on this machine was asked"
            return f"refused: {forbidden(error) or error!r}"
        raise AssertionError("it was fetched")

    hosts = (
        *("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.0.8", "198.18.0.1"),
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[fe80::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("[2001:0:7f00:1::]", "[fc00::1]", "[fec0::1]", "224.0.0.1", "240.0.0.1", "255.255.255.255", "127.0.0.1."),
        *("LOCALHOST", "localhost.", "１２７.0.0.1", "127。0。0。1", "a@127.0.0.1", "127.0.0.1#@x", "[::1%25lo]"),
    )
    for host in hosts:
        for scheme in ("https", "http"):
            yield f"{scheme}://{host}", partial(tried, f"{scheme}://{host}:{port}/x")
    for address in (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:,x",
        "//x",
        "https://",
        "https://[/",
        "gopher://x",
    ):
        yield address, partial(tried, address)


AREAS = (Area("remote answers", _answers, _damaged_answers, 0.05), Area("addresses", _addresses))
