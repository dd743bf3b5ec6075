"""Model files, in every room that opens one."""

from __future__ import annotations

import io
import json
import pickle
import random
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .trick import Area, Place, Tricks, written


class _Runs:
    """Pickled, it is a call."""

    def __init__(self, call: object, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call, self.arguments


def _hostile_tests() -> object:
    """tests/model_files/test_hostile.py: its rooms, its harmful files and its mutations are ours."""
    import importlib.util

    tests = Path(__file__).resolve().parents[2] / "tests"
    spec = importlib.util.spec_from_file_location("test_hostile", tests / "model_files" / "test_hostile.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_hostile"] = module
    spec.loader.exec_module(module)
    return module


def _programs(mark: Path) -> dict[str, bytes]:
    """Pickles that would make the mark."""
    import builtins
    import os
    import runpy
    import subprocess

    import torch

    touch = f"touch {mark}"
    calls: dict[str, tuple[object, ...]] = {
        "os.system": (os.system, touch),
        "os.popen": (os.popen, touch),
        "subprocess.call": (subprocess.call, ["touch", str(mark)]),
        "subprocess.Popen": (subprocess.Popen, ["touch", str(mark)]),
        "eval": (eval, f"open({str(mark)!r}, 'w')"),
        "exec": (exec, f"open({str(mark)!r}, 'w')"),
        "open": (open, str(mark), "w"),
        "getattr": (getattr, os, "system"),
        "__import__": (builtins.__import__, "antigravity"),
        "runpy.run_path": (runpy.run_path, str(mark)),
        "torch.load": (torch.load, "/etc/passwd"),
        "torch.hub.load": (torch.hub.load, "a/b", "c"),
        "os.mkdir": (os.mkdir, str(mark)),
        "os.remove": (os.remove, str(mark.parent / "secret")),
    }
    found = {name: pickle.dumps({"a": _Runs(*call)}, 2) for name, call in calls.items() if name != "getattr"}
    found["a name of another opcode"] = (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([len(touch)]) + (touch.encode() + b"\x85R.")
    )
    found["INST"] = b"(S'" + touch.encode() + b"'\nios\nsystem\n."
    found["OBJ"] = b"(cos\nsystem\nS'" + touch.encode() + b"'\no."
    found["BUILD of a module"] = b"cos\n__dict__\n}S'x'\nI1\nsb."
    found["an extension code"] = b"\x80\x02\x82\x01."
    found["a persistent id"] = b"\x80\x02Pposix\n."
    found["endless memo"] = b"\x80\x02]" + b"q\xff" * 100 + b"r\xff\xff\xff\x7f."
    found["STOP only"] = b"."
    found["no stop"] = b"\x80\x02]"
    return found


def _models(place: Place) -> Tricks:
    from support.hostile_models import archive, legacy

    hostile = _hostile_tests()
    rooms: dict[str, Callable[[Path], object]] = hostile.ROOMS

    def load(room: str, make: Callable[[], bytes], name: str = "model.bin") -> None:
        rooms[room](written(place.inside / name, make()))
        raise AssertionError("it was loaded")

    for name, (make, _) in hostile.HARM.items():
        for room in rooms:
            yield f"{room}: {name}", partial(load, room, make)
    for name, content in _programs(place.mark).items():
        for wrap in (bytes, legacy, archive):
            for room in ("adapter", "checkpoint", "restorer"):
                yield f"{room}: {name} in {wrap.__name__}", partial(load, room, partial(wrap, content))
    for name, make in _headers().items():
        for room in rooms:
            yield f"{room}: {name}", partial(load, room, make, "model.safetensors")
    for name in ("/dev/zero", "/dev/random", "/proc/self/mem", "/etc/passwd", str(place.inside), "none.safetensors"):
        for room in rooms:
            yield (
                f"{room}: {name if name[0:4] != str(place.inside)[:4] else 'a folder'}",
                partial(_open, rooms[room], name),
            )


def _open(load: Callable[[Path], object], name: str) -> None:
    load(Path(name))
    raise AssertionError("it was loaded")


def _headers() -> dict[str, Callable[[], bytes]]:
    def of(header: object, length: int | None = None, rest: int = 64) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(rest)

    def one(**changes: object) -> bytes:
        return of({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}})

    return {
        "a header of 2^64 - 1 bytes": lambda: of({}, 2**64 - 1),
        "a header of 100 GB": lambda: of({}, 10**11),
        "a header of arrays 100,000 deep": lambda: of(b"[" * 100_000),
        "a header of no JSON": lambda: of(b"\xff" * 1000),
        "a header twice the file": lambda: of({}, 1000, 0),
        "a key twice": lambda: of(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":1}'),
        "offsets backwards": lambda: one(data_offsets=[16, 0]),
        "offsets beyond": lambda: one(data_offsets=[0, 2**62]),
        "offsets below 0": lambda: one(data_offsets=[-16, 0]),
        "a shape of 3 TB": lambda: one(shape=[750_000_000_000]),
        "a shape that overflows": lambda: one(shape=[2**62, 2**62]),
        "a shape below 0": lambda: one(shape=[-4]),
        "a shape of text": lambda: one(shape="4"),
        "an unknown type": lambda: one(dtype="F1"),
        "offsets of fractions": lambda: one(data_offsets=[0.5, 16]),
        "nothing but a header": lambda: of({}, rest=0),
    }


def _damaged_models(place: Place, draw: random.Random) -> Tricks:
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from support.adapters import write_bin, write_safetensors
    from support.retouch_models import write_restorer, write_swapper, write_upscaler

    hostile = _hostile_tests()
    folder = place.inside
    lora = {"lora_unet_a.lora_down.weight": torch.ones(2, 8), "lora_unet_a.lora_up.weight": torch.ones(8, 2)}
    save_file(lora, folder / "lora.safetensors")
    torch.save(lora, folder / "lora.pt")
    rooms = {**hostile.ROOMS, "adapter": hostile._used_adapter}
    files = [
        ("adapter", write_safetensors(folder / "plusv2.safetensors", hostile.small("plusv2"))),
        ("adapter", write_bin(folder / "faceid.bin", hostile.small())),
        ("adapter", write_bin(folder / "portrait.bin", hostile.small("portrait"), legacy=False)),
        ("LoRA", folder / "lora.safetensors"),
        ("LoRA", folder / "lora.pt"),
        ("swapper", write_swapper(folder / "s" / "inswapper.onnx", emap=np.eye(512, dtype=np.float32))),
        ("restorer", write_restorer(folder / "r" / "gfpgan.onnx")),
        ("upscaler", write_upscaler(folder / "u" / "x4.safetensors")),
    ]
    whole = {file: file.read_bytes() for _, file in files}

    def load(room: str, file: Path, change: Callable[[bytes, random.Random], bytes], seed: int) -> str:
        file.write_bytes(change(whole[file], random.Random(seed)))
        rooms[room](file)
        return "loaded: what changed is a number, or nothing that is read"

    while True:
        room, file = draw.choice(files)
        change = hostile._edited if file.suffix == ".safetensors" and draw.random() < 0.5 else hostile._mutated
        yield f"{room} {file.name}", partial(load, room, file, change, draw.randrange(2**32))


def _archives(place: Place) -> Tricks:
    """Zip archives that are no model of PyTorch."""
    hostile = _hostile_tests()

    def of(*members: tuple[str, bytes], kind: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, content in members:
                archive.writestr(name, content)
            archive.comment = comment
        return file.getvalue()

    data = pickle.dumps({}, 2)
    tricks = {
        "a path outside": of(("../outside/code-ran", b"x"), ("a/data.pkl", data)),
        "an absolute path": of(("/tmp/code-ran", b"x"), ("a/data.pkl", data)),
        "100,000 members": of(*((f"a/{number}", b"") for number in range(100_000))),
        "two pickles": of(("a/data.pkl", data), ("b/data.pkl", data)),
        "an archive in an archive": of(("a/data.pkl", of(("a/data.pkl", data)))),
        "a comment of 64 KB": of(("a/data.pkl", data), comment=b"x" * 65_535),
        "an end that is missing": of(("a/data.pkl", data))[:-22],
        "a central directory elsewhere": of(("a/data.pkl", data))[:-10] + b"\xff" * 10,
        "LZMA": of(("a/data.pkl", data), kind=zipfile.ZIP_LZMA),
        "BZIP2": of(("a/data.pkl", data), kind=zipfile.ZIP_BZIP2),
    }
    for name, content in tricks.items():
        for room, load in hostile.ROOMS.items():
            yield (
                f"{room}: {name}",
                lambda load=load, content=content: load(written(place.inside / "model.bin", content)),
            )


AREAS = (Area("model files", _models, _damaged_models, 0.14), Area("archives", _archives))
