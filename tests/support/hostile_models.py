"""Model files made to do harm: pickles written opcode by opcode, archives, ONNX and safetensors headers."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping

_MAGIC = 0x1950A86A20F9469CFC6C


def nested_key(depth: int = 64) -> bytes:
    """{((), ()), ...}: a key that is hashed 2 ** depth times."""
    return b"\x80\x02}))\x86" + b"q\x00h\x00\x86" * depth + b"K\x01s."


def colliding_keys(count: int) -> bytes:
    """A dictionary of integers that all have one hash: filling it takes the square of the count."""
    step = (1 << 61) - 1
    keys = b"".join(b"\x8a\x0b" + (number * step).to_bytes(11, "little") + b"N" for number in range(count))
    return b"\x80\x02}(" + keys + b"u."


def one_tensor(numbers: int, shape: tuple[int, ...], stride: tuple[int, ...], *, legacy: bool = False) -> bytes:
    """{"a": a float32 tensor}, over a storage "0" that is said to have so many numbers."""

    def whole(*values: int) -> bytes:
        return b"".join(pickle.dumps(value, 2)[2:-1] for value in values)

    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    storage += whole(numbers) + (b"NtQ" if legacy else b"tQ")
    sizes = b"(" + whole(*shape) + b"t(" + whole(*stride) + b"t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(0) + sizes + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


def legacy(content: bytes, keys: list[str] | None = None, numbers: bytes = b"") -> bytes:
    """PyTorch's legacy layout around a pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(value, 2) for value in (_MAGIC, 1001, system))
    return head + content + pickle.dumps(keys or [], 2) + numbers


def archive(
    content: bytes, storage: bytes = b"", compression: int = zipfile.ZIP_STORED, name: str = "data.pkl"
) -> bytes:
    """PyTorch's zip layout around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(f"a/{name}", content)
        file.writestr("a/data/0", storage)
        file.writestr("a/version", "3\n")
    return buffer.getvalue()


def onnx_of(field: bytes, count: int) -> bytes:
    """A graph of so many tiny fields."""
    length, size = b"", len(field) * count
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return b"\x3a" + length + bytes([size]) + field * count


def safetensors_of(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """A safetensors file of zeros. tensors: key -> (number type, shape, bytes)."""
    header, offset = {}, 0
    for key, (dtype, shape, size) in tensors.items():
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(offset)
