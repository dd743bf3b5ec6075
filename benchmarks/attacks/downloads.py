"""What a server sends in place of a model, and what lies where it is written."""

from __future__ import annotations

import hashlib
import io
import os
import random
import zipfile
from collections.abc import Callable
from functools import partial

from .trick import Area, Place, Tricks, damaged
from .values import ODD_TEXTS, named

_HEADERS = (
    "Retry-After",
    "Content-Length",
    "Content-Range",
    "Content-Encoding",
    "ETag",
    "Location",
    "Transfer-Encoding",
)
_NUMBERS = ("²", "9" * 5000, "-1", "٣", "1e9", "", "NaN", "0x10", "１２", " 7", "+7", "7, 8", "\x1b[2J")


def _got(place: Place) -> tuple[object, Callable[..., str]]:
    """A server that does what it is told, and a download from it into an empty folder."""
    from faceid_tunes.faceid_core.weights.fetch import fetch_each
    from faceid_tunes.faceid_core.weights.folders import model_folders
    from faceid_tunes.faceid_core.weights.manifest import Download, Licence, PublishedFile
    from faceid_tunes.faceid_core.weights.transfer import Patience
    from support.faulty_server import FaultyServer

    os.environ |= {"HOME": str(place.inside), "XDG_CONFIG_HOME": str(place.inside), "NO_PROXY": "127.0.0.1"}
    server, folders = FaultyServer(), model_folders(place.inside / "models")
    free = Licence("free", "Free for any use.", True, "https://example.org/free")

    def got(content: bytes, *faults: object, sent: bytes | None = None, put: Callable[..., None] | None = None) -> str:
        """The file is ``content``; the server has ``sent``. ``put``: lies there before, given where the file goes."""
        is_zip = sent is not None and sent[:2] == b"PK"
        url = server.serve("/model.onnx", content if sent is None else sent, *faults)
        name = "model.onnx"
        entry = PublishedFile(
            id="model",
            name=name,
            folder="ipadapter",
            url=url,
            revision="main",
            licence=free,
            needed_for=("tests",),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            member=name if is_zip else None,
            archive=Download(url) if is_zip else None,
        )
        target = folders.target(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.iterdir():
            left.unlink()
        if put is not None:
            put(target)
        told: list[str] = []
        patience = Patience(timeout=2, attempts=2, pause=0)
        (found,) = fetch_each([entry], folders, tell=told.append, patience=patience)
        if found.verified:
            assert target.read_bytes() == content, "another file than the published one"
        return " ".join(told) or ("the published file" if found.verified else "it stays, and is not the published file")

    return server, got


def _model() -> bytes:
    from faceid_tunes.faceid_core.faces.packs import embedded_pack

    return embedded_pack().detector.read_bytes()


def _downloads(place: Place) -> Tricks:
    from support.faulty_server import answers, corrupts, drops, ignores_range, resets, says_less, stalls

    _, got = _got(place)
    model = _model()
    for header in _HEADERS:
        for value in _NUMBERS:
            said = value.encode().decode("latin-1")
            for status in (200, 206, 302, 416, 503):
                yield (
                    f"{status} with {header}: {named(value)}",
                    partial(got, model, answers(status, **{header.replace("-", "_"): said})),
                )
    for name, make in (("drops", drops), ("resets", resets), ("stalls", stalls), ("says less", says_less)):
        for after in (0, 1, len(model) // 2, len(model) - 1):
            yield f"{name} after {after}", partial(got, model, make(after))
    yield "ignores ranges", partial(got, model, drops(100), ignores_range())
    yield "a wrong byte", partial(got, model, corrupts(5))
    for text in ODD_TEXTS:
        content = text.encode("utf-8", "surrogatepass")
        yield f"sends {named(text)}", partial(got, model, sent=content)
    for name, put in _in_the_way(place).items():
        yield name, partial(got, model, put=put)
    for name, archive in _archives(model).items():
        yield name, partial(got, model, sent=archive)


def _in_the_way(place: Place) -> dict[str, Callable[..., None]]:
    """What lies at the place of the part, or of the file."""
    secret, devices = place.outside / "secret", ("/dev/full", "/dev/zero", "/dev/stdin")
    found: dict[str, Callable[..., None]] = {}
    for where, suffix in (("the part", ".part"), ("the file", "")):

        def at(target, suffix=suffix):
            return target.with_name(target.name + suffix)

        found[f"{where} is a link outside"] = lambda target, at=at: at(target).symlink_to(secret)
        found[f"{where} is a link to nothing outside"] = lambda target, at=at: at(target).symlink_to(place.mark)
        found[f"{where} is a loop"] = lambda target, at=at: at(target).symlink_to(at(target))
        found[f"{where} is a pipe"] = lambda target, at=at: os.mkfifo(at(target))
        for device in devices:
            found[f"{where} is {device}"] = lambda target, at=at, device=device: at(target).symlink_to(device)
        found[f"{where} is a hard link outside"] = lambda target, at=at: os.link(secret, at(target))
        found[f"{where} has other bytes"] = lambda target, at=at: at(target).write_bytes(b"x" * 500_000)
    return found


def _archives(model: bytes) -> dict[str, bytes]:
    def of(*members: tuple[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return file.getvalue()

    def changed(place: int, value: bytes) -> bytes:
        data = bytearray(of(("model.onnx", model)))
        central = data.rindex(b"PK\x01\x02")
        for start in (place, central + place + 2):
            data[start : start + len(value)] = value
        return bytes(data)

    whole = of(("model.onnx", model))
    return {
        "a zip": whole,
        "a zip with a password": changed(6, b"\x01\0"),
        "a zip of compression 99": changed(8, b"\x63\0"),
        "a zip with a wrong sum": changed(14, b"\1\2\3\4"),
        "a zip that says 4 GB": changed(22, b"\xff\xff\xff\xff"),
        "a zip of LZMA": of(("model.onnx", model), kind=zipfile.ZIP_LZMA),
        "a zip with a bomb": of(("model.onnx", bytes(400 * 2**20)), kind=zipfile.ZIP_DEFLATED),
        "a zip with a path outside": of(("../outside/code-ran", b"x"), ("../../model.onnx", model)),
        "a zip with an absolute path": of(("/tmp/code-ran", b"x"), ("/model.onnx", model)),
        "a zip that has it twice": of(("a/model.onnx", b"x"), ("b/model.onnx", model)),
        "a zip of 50,000 members": of(*((f"a/{number}", b"") for number in range(50_000))),
        "a zip without it": of(("other.onnx", model)),
        "half a zip": whole[: len(whole) // 2],
        "a zip without its end": whole[:-22],
        "a zip of nothing": of(),
    }


def _damaged_zips(place: Place, draw: random.Random) -> Tricks:
    _, got = _got(place)
    small = b"not a web page, and no model either " * 20
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other", b"x" * 100)
        archive.writestr("model.onnx", small)
    while True:
        sent = b"PK" + damaged(file.getvalue()[2:], draw)
        yield "a damaged zip", partial(got, small, sent=sent)


AREAS = (Area("downloads", _downloads, _damaged_zips, 0.02),)
