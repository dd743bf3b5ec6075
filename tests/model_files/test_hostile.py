"""Files made to do harm: every room refuses each in a sentence, before any of it is loaded."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from faceid_tunes.faceid_core.adapter.model import load_adapter
from faceid_tunes.faceid_core.adapter.tokens import _project
from faceid_tunes.faceid_core.engines.embedded.checkpoint import open_checkpoint
from faceid_tunes.faceid_core.engines.embedded.loras import Lora, _deltas
from faceid_tunes.faceid_core.errors import AdapterError, FaceIDError
from faceid_tunes.faceid_core.model_files import model_file, onnx_header, torch_scan
from faceid_tunes.faceid_core.model_files.onnx_header import read_header
from faceid_tunes.faceid_core.retouch import load_restorer, load_swapper, load_upscaler
from faceid_tunes.faceid_core.retouch.errors import RetouchError
from safetensors.torch import save_file
from support.adapters import adapter_tensors, layer_widths, write_bin, write_safetensors
from support.hostile_models import (
    archive,
    colliding_keys,
    legacy,
    nested_key,
    one_tensor,
    onnx_of,
    safetensors_of,
)
from support.retouch_models import write_restorer, write_swapper, write_upscaler

HUGE = 750_000_000_000  # float32 numbers: 3 TB
ROOMS = {
    "adapter": load_adapter,
    "checkpoint": open_checkpoint,
    "LoRA": lambda path: _deltas(Lora(path, 1.0, 1.0), {"lora_unet_a": torch.nn.Linear(8, 8)}),
    "restorer": load_restorer,
    "swapper": load_swapper,
    "upscaler": load_upscaler,
}
HARM = {
    "a key nested 64 deep": (lambda: nested_key(), "Python objects other than tensors"),
    "the same in the legacy layout": (lambda: legacy(nested_key()), "Python objects other than tensors"),
    "the same in an archive": (lambda: archive(nested_key()), "Python objects other than tensors"),
    "keys of one hash": (lambda: legacy(colliding_keys(60_000)), "Python objects other than tensors"),
    "a storage of 3 TB": (
        lambda: legacy(one_tensor(HUGE, (HUGE,), (1,), legacy=True), ["0"], bytes(79_000)),
        r"truncated or damaged after 79,\d\d\d bytes",
    ),
    "a storage of 3 TB in an archive": (lambda: archive(one_tensor(HUGE, (HUGE,), (1,)), bytes(79_000)), "damaged"),
    "four numbers repeated into 3 TB": (
        lambda: archive(one_tensor(4, (HUGE,), (0,)), bytes(16)),
        r"asks for more than a model needs \(750,000,000,000 numbers out of 4\)",
    ),
    "a tensor beyond its storage": (lambda: archive(one_tensor(4, (4,), (9,)), bytes(16)), "damaged"),
    "100,000 sides": (lambda: archive(one_tensor(4, (1,) * 10**5, (1,) * 10**5), bytes(16)), "100,000 sides"),
    "compressed members": (
        lambda: archive(one_tensor(10**7, (10**7,), (1,)), bytes(4 * 10**7), zipfile.ZIP_DEFLATED),
        r"3 of its members are compressed, which PyTorch does not do: 40,000,\d\d\d bytes",
    ),
    "an archive of something else": (lambda: archive(b"hello", name="readme.txt"), "a zip archive, not a model"),
    "a name of 4 GB": (lambda: legacy(b"\x80\x02X\xff\xff\xff\xff"), r"a name of 4,294,967,295 bytes"),
    "an endless line": (lambda: legacy(b"\x80\x02c" + b"x" * 10**6), "damaged|Python objects"),
    "opcodes without end": (lambda: legacy(b"\x80\x02](" + b"N" * 1_100_000 + b"e."), "more than 1,000,000 opcodes"),
    "an ONNX graph of ten million weights": (lambda: onnx_of(b"\x2a\x00", 10**7), "neither|damaged"),
    "an ONNX graph of ten million numbers": (lambda: onnx_of(b"\x08\x01", 10**7), "neither|damaged"),
    "200,000 tensors of nothing": (
        lambda: safetensors_of({str(number): ("F16", (0,), 0) for number in range(200_000)}),
        "200,000 tensors",
    ),
}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_one_reader(tmp_path, room):
    (tmp_path / "model.bin").write_bytes(nested_key())
    with pytest.raises(FaceIDError, match=r"model\.bin: holds Python objects other than tensors"):
        ROOMS[room](tmp_path / "model.bin")


@pytest.mark.slow
@pytest.mark.parametrize("name", HARM)
def test_a_file_made_to_do_harm_is_refused_in_a_sentence(tmp_path, name):
    make, message = HARM[name]
    path = tmp_path / "model.bin"
    path.write_bytes(make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FaceIDError, match=message) as raised:
        load_adapter(path)
    assert str(raised.value).startswith("model.bin: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB


def test_the_walk_through_a_header_is_bounded(tmp_path, monkeypatch):
    """Bounds, not seconds: one field or opcode or tensor more than is allowed stops the reader."""
    graph = write_swapper(tmp_path / "swapper.onnx")
    assert read_header(graph) is not None
    monkeypatch.setattr(onnx_header, "_MAX_FIELDS", 5)
    assert read_header(graph) is None
    saved = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(1)}, saved)
    monkeypatch.setattr(torch_scan, "_MAX_OPCODES", 10)
    with pytest.raises(AdapterError, match="more than 10 opcodes"):
        load_adapter(saved)
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "two.safetensors")
    monkeypatch.setattr(model_file, "_MAX_TENSORS", 1)
    with pytest.raises(AdapterError, match="2 tensors"):
        load_adapter(tmp_path / "two.safetensors")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    for load in ROOMS.values():
        with pytest.raises(FaceIDError, match="is not a regular file"):
            load(tmp_path / "model.safetensors")


def small(variant: str = "faceid", base: str = "sd15") -> dict:
    return adapter_tensors(variant, base, hidden=layer_widths(base, divide=40), context=64, lora_rank=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["1.to_k_ip.weight", "31.to_v_ip.weight", "0.to_q_lora.up.weight"])
def test_an_adapter_with_one_number_that_is_not_finite_is_refused(tmp_path, key, value):
    for write, name in ((write_safetensors, "a.safetensors"), (write_bin, "a.bin")):
        tensors = small()
        tensors["ip_adapter"][key].view(-1)[3] = value
        with pytest.raises(AdapterError, match=rf"a\.\w+: ip_adapter.{key} holds NaN or infinite numbers"):
            load_adapter(write(tmp_path / name, tensors))


def test_sums_that_overflow_are_not_taken_for_infinite_numbers(tmp_path):
    tensors = small()
    tensors["ip_adapter"]["1.to_k_ip.weight"] = torch.full((8, 64), 3e38)
    load_adapter(write_safetensors(tmp_path / "a.safetensors", tensors))


def test_a_lora_with_a_number_that_is_not_finite_is_refused(tmp_path):
    halves = {"lora_unet_a.lora_down.weight": torch.ones(2, 8), "lora_unet_a.lora_up.weight": torch.ones(8, 2)}
    save_file(halves, tmp_path / "fine.safetensors")
    assert list(ROOMS["LoRA"](tmp_path / "fine.safetensors")) == ["lora_unet_a"]
    halves["lora_unet_a.lora_up.weight"][0, 0] = math.nan
    save_file(halves, tmp_path / "nan.safetensors")
    with pytest.raises(FaceIDError, match=r"lora_unet_a.lora_up.weight holds NaN"):
        ROOMS["LoRA"](tmp_path / "nan.safetensors")


@pytest.mark.parametrize(
    "halves",
    [
        {"lora_down": (), "lora_up": (8, 2)},
        {"lora_down": (2, 8), "lora_up": ()},
        {"lora_down": (0, 8), "lora_up": (8, 0)},
        {"lora_down": (2, 8), "lora_up": (8, 2, 3)},
        {"lora_down": (2, 8, 1, 1), "lora_up": (8, 2, 1, 1)},
    ],
    ids=str,
)
def test_halves_of_a_lora_that_cannot_be_multiplied_are_refused(tmp_path, halves):
    save_file({f"lora_unet_a.{half}.weight": torch.zeros(shape) for half, shape in halves.items()}, tmp_path / "a.pt")
    with pytest.raises(FaceIDError, match=r"a.pt: this LoRA does not fit SD 1.5: lora_unet_a changes"):
        ROOMS["LoRA"](tmp_path / "a.pt")


def test_an_alpha_of_several_numbers_is_refused(tmp_path):
    tensors = {"lora_unet_a.lora_down.weight": torch.zeros(2, 8), "lora_unet_a.lora_up.weight": torch.zeros(8, 2)}
    save_file(tensors | {"lora_unet_a.alpha": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(FaceIDError, match=r"lora_unet_a.alpha is 3 numbers, not one"):
        ROOMS["LoRA"](tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("key", "tensor", "message"),
    [
        ("ip_adapter.3.to_k_ip.weight", torch.zeros(8, 63), "3.to_k_ip.weight is 8x63 where .* needs 8x64"),
        ("ip_adapter.3.to_v_ip.weight", torch.zeros(()), "is a single number where"),
        ("ip_adapter.0.to_q_lora.up.weight", torch.zeros(8, 3), "0.to_q_lora.up.weight is 8x3"),
        ("image_proj.proj.0.bias", torch.zeros(7), "image_proj.proj.0.bias is 7 where"),
        ("image_proj.norm.weight", torch.zeros(()), "FaceID|needs|makes tokens"),
        ("ip_adapter.1.to_v_ip.weight", torch.zeros(8, 64, dtype=torch.int64), "holds numbers of type I64"),
        ("ip_adapter.one.to_k_ip.weight", torch.zeros(8, 64), None),
        ("ip_adapter.²1.to_k_ip.weight", torch.zeros(8, 64), None),
        ("ip_adapter.99999999999999999999.to_k_ip.weight", torch.zeros(8, 64), None),
    ],
)
def test_tensors_of_other_shapes_than_the_published_are_refused(tmp_path, key, tensor, message):
    flat = {f"{part}.{name}": one for part, keys in small().items() for name, one in keys.items()} | {key: tensor}
    save_file(flat, tmp_path / "a.safetensors")
    if message is None:  # a key that no adapter has is not looked at
        load_adapter(tmp_path / "a.safetensors")
        return
    with pytest.raises(AdapterError, match=message):
        load_adapter(tmp_path / "a.safetensors")


@pytest.mark.slow
def test_a_network_of_a_billion_blocks_is_not_built(tmp_path):
    file = write_upscaler(tmp_path / "up.safetensors")
    from safetensors.torch import load_file

    tensors = load_file(file)
    key = next(key for key in tensors if ".RDB1." in key)
    tensors[key.replace("sub.0.", "sub.999999999.")] = tensors[key].clone()
    save_file(tensors, file)
    with pytest.raises(RetouchError, match=r"its tensors are not those of a published model \('model.1.sub.999999999"):
        load_upscaler(file)


def _mutated(content: bytes, draw: random.Random) -> bytes:
    data, kind = bytearray(content), draw.randrange(5)
    if kind == 0:
        for _ in range(draw.randrange(1, 20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
    elif kind == 1:
        del data[draw.randrange(len(data)) :]
    elif kind == 2:
        data[draw.randrange(min(len(data), 4000))] = draw.randrange(256)
    elif kind == 3:
        start = draw.randrange(len(data))
        del data[start : start + draw.randrange(1, 64)]
    else:
        start = draw.randrange(len(data))
        data[start:start] = draw.randbytes(draw.randrange(1, 32))
    return bytes(data)


def _edited(content: bytes, draw: random.Random) -> bytes:
    """Shapes, number types and keys of a safetensors header changed, its offsets kept right."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    sizes = {"I64": 8, "F64": 8, "C64": 8, "F32": 4, "U8": 1, "F8_E4M3": 1, "F4": 0.5}
    keys = [key for key in header if key != "__metadata__"]
    tensors = {key: (header[key]["dtype"], tuple(header[key]["shape"])) for key in keys}
    for key in draw.sample(keys, min(3, len(keys))):
        dtype, shape = tensors.pop(key)
        kind = draw.randrange(6)
        if kind == 0:
            shape = ()
        elif kind == 1:
            shape = tuple(draw.choice([0, 1, 2, 3, 7, 64, 512]) for _ in shape)
        elif kind == 2:
            dtype = draw.choice([*sizes, "BF16", "U16"])
        elif kind == 3:
            continue
        elif kind == 4:
            key = draw.choice(
                ["", "..", "image_proj", f"{key}.", key.replace(".", "..", 1), "ip_adapter.x.to_k_ip.weight"]
            )
        else:
            shape = (*shape[::-1], 1)
        tensors[key] = (dtype, shape)
    return safetensors_of(
        {key: (dtype, shape, int(math.prod(shape) * sizes.get(dtype, 2))) for key, (dtype, shape) in tensors.items()}
    )


def _used_adapter(path: Path) -> None:
    adapter = load_adapter(path)
    _project(adapter, torch.ones(1, 512), torch.zeros(1, 257, 1280) if adapter.spec.variant.uses_clip else None, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("room", ["adapter", "LoRA", "swapper", "restorer", "upscaler"])
def test_mutated_files_are_loaded_or_refused_and_never_end_in_a_traceback(tmp_path, room):
    draw = random.Random(room)
    lora = {"lora_unet_a.lora_down.weight": torch.ones(2, 8), "lora_unet_a.lora_up.weight": torch.ones(8, 2)}
    files = {
        "adapter": [
            write_safetensors(tmp_path / "plusv2.safetensors", small("plusv2")),
            write_bin(tmp_path / "faceid.bin", small()),
            write_bin(tmp_path / "portrait.bin", small("portrait"), legacy=False),
        ],
        "LoRA": [tmp_path / "lora.safetensors", tmp_path / "lora.pt"],
        "swapper": [write_swapper(tmp_path / "swap" / "inswapper.onnx", emap=np.eye(512, dtype=np.float32))],
        "restorer": [write_restorer(tmp_path / "restore" / "gfpgan.onnx")],
        "upscaler": [write_upscaler(tmp_path / "up" / "x4.safetensors")],
    }[room]
    if room == "LoRA":
        save_file(lora, files[0])
        torch.save(lora, files[1])
    load = {**ROOMS, "adapter": _used_adapter}[room]
    refused = 0
    for file in files:
        content = file.read_bytes()
        for number in range(40):
            change = _edited if file.suffix == ".safetensors" and number % 2 else _mutated
            file.write_bytes(change(content, draw))
            try:
                load(file)
            except FaceIDError as error:
                refused += 1
                assert file.name in str(error)
    assert refused > 10 * len(files)
