"""Requests to the service, over HTTP."""

from __future__ import annotations

import random
import sys
from functools import partial
from typing import Any

import requests

from .trick import Area, Place, Tricks
from .values import ODD_TEXTS, named


def _served(place: Place) -> tuple[Any, Any]:
    """A service that runs, and tests/service/test_malformed.py, which makes its bodies."""
    import importlib
    from pathlib import Path

    from faceid_tunes.service.settings import ServiceSettings

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    malformed = importlib.import_module("service.test_malformed")
    served = importlib.import_module("service.conftest").Served(place.inside / "service", ServiceSettings())
    served.engine.gate.clear()
    served.start()
    return served, malformed


def _tried(served: Any, method: str, path: str, **options: Any) -> str:
    answer = requests.request(method, served.url + path, timeout=20, allow_redirects=False, **options)
    assert answer.status_code < 500, (answer.status_code, served.errors()[-1:])
    assert "root:" not in answer.text
    return f"answered with {answer.status_code}: {answer.text[:200].encode('ascii', 'backslashreplace').decode()!r}"


def _requests(place: Place) -> Tricks:
    served, malformed = _served(place)
    json_type = malformed.JSON
    for body in malformed.ODD:
        yield (
            f"a body of {body[:20]!r}",
            partial(_tried, served, "POST", f"/tunes/{malformed.BASE}/prompts", data=body, headers=json_type),
        )
    texts = [text.encode("utf-8", "surrogatepass")[:3000] for text in ODD_TEXTS]
    for text in texts:
        quoted = requests.utils.quote(text)
        for path in (f"/tunes/{quoted}", f"/prompts/{quoted}", f"/tunes?title={quoted}&offset={quoted}", f"/{quoted}"):
            yield f"GET {path[:50]}", partial(_tried, served, "GET", path)
        headers = {"Authorization": b"Bearer " + text.replace(b"\n", b"").replace(b"\r", b"")}
        yield f"a token of {named(text)}", partial(_tried, served, "GET", "/tunes", headers=headers)
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS", "FOO"):
        for path in ("/tunes", "/tunes/1", "/prompts/1", "/", "/metrics"):
            yield f"{method} {path}", partial(_tried, served, method, path)
    for name, value in {
        "Host": "evil.example.com",
        "Origin": "https://evil.example.com",
        "X-Forwarded-For": "127.0.0.1",
        "Forwarded": "for=127.0.0.1",
        "Content-Length": "99999999999999999999",
        "Content-Type": "multipart/form-data",
        "Content-Encoding": "gzip",
        "Expect": "200-maybe",
        "Range": "bytes=0-" + "9" * 400,
    }.items():
        yield f"{name}: {value[:40]}", partial(_tried, served, "GET", "/tunes", headers={name: value})


def _bodies(place: Place, draw: random.Random) -> Tricks:
    served, malformed = _served(place)
    for number, (path, options) in enumerate(malformed.bodies(draw.randrange(2**32))):
        yield f"body {number} to {path}", partial(_tried, served, "POST", path, **options)


AREAS = (Area("service", _requests, _bodies, 0.10),)
