"""The inputs, outputs and weights of an ONNX file, read from its header only.

Packs are listed whenever the node menu is built, so listing must not need ``onnx`` or a session: only the few protobuf
fields that matter are read here, and weights are skipped. The same reading distinguishes a face swapper from a restorer
before half a gigabyte is loaded. Field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO

# Wire types of https://protobuf.dev/programming-guides/encoding/
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 5, 11, 12
_TENSOR_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 2, 1, 1

_MAX_FIELDS = 150_000  # a second; a model of 10,000 nodes and weights has 60,000
_MAX_NAME = 4096  # bytes


class Role(Enum):
    """What a file of a face pack is for."""

    DETECTOR = "detector"
    RECOGNISER = "recogniser"
    OTHER = "other"


@dataclass(frozen=True)
class Value:
    """An input or output. shape: 0 for a symbolic side, () when the file does not say."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Weight:
    """An initializer: its TensorProto is the bytes ``start`` to ``end`` of the file."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The inputs, outputs and weights of a model.

    Attributes:
        inputs: what a caller passes; weights that old exporters list among the inputs are left out.
        weights: in file order.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    weights: tuple[Weight, ...] = field(repr=False)

    @property
    def picture(self) -> Value | None:
        """The input that takes a picture, [N, 3, H, W]; None without one."""
        return next((value for value in self.inputs if len(value.shape) == 4), None)


@dataclass(frozen=True)
class Signature:
    """input_shape: of the first input, 0 for a symbolic side; inputs, outputs: how many."""

    input_shape: tuple[int, ...]
    inputs: int
    outputs: int

    @property
    def role(self) -> Role:
        """The role insightface's model router gives a file of this signature."""
        if self.outputs >= 5:
            return Role.DETECTOR
        if len(self.input_shape) == 4 and self.inputs == 1 and self.outputs == 1:
            height, width = self.input_shape[2:]
            landmark_or_attribute = (height, width) in ((192, 192), (96, 96))
            if height == width and height >= 112 and height % 16 == 0 and not landmark_or_attribute:
                return Role.RECOGNISER
        return Role.OTHER


def read_signature(path: Path) -> Signature | None:
    """The signature of an ONNX file, or None when it is not one (a web page, a pointer, a half download)."""
    header = read_header(path)
    return Signature(header.inputs[0].shape, len(header.inputs), len(header.outputs)) if header else None


def read_header(path: Path) -> Header | None:
    """The inputs, outputs and weights of an ONNX file, or None when it is not one."""
    try:
        with path.open("rb") as file:
            return _Message(file, path.stat().st_size).header()
    except (OSError, ValueError):
        return None


class _Message:
    """A protobuf file that is walked, of which only names and sizes are read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._left = _MAX_FIELDS

    def header(self) -> Header | None:
        graph = next((span for number, *span in self._fields(0, self._size) if number == _MODEL_GRAPH), None)
        return self._graph(*graph) if graph else None

    def _graph(self, start: int, end: int) -> Header | None:
        weights: list[Weight] = []
        inputs: list[Value] = []
        outputs: list[Value] = []
        for number, first, last in self._fields(start, end):
            if number == _GRAPH_INITIALIZER:
                weights.append(Weight(self._text(first, last, _TENSOR_NAME), first, last))
            elif number == _GRAPH_INPUT:
                inputs.append(self._value(first, last))
            elif number == _GRAPH_OUTPUT:
                outputs.append(self._value(first, last))
        names = {weight.name for weight in weights}
        real = tuple(value for value in inputs if value.name not in names)
        return Header(real, tuple(outputs), tuple(weights)) if real and outputs else None

    def _value(self, start: int, end: int) -> Value:
        return Value(self._text(start, end, _VALUE_NAME), self._shape(start, end))

    def _shape(self, start: int, end: int) -> tuple[int, ...]:
        for wanted in (_VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE):
            found = next((span for number, *span in self._fields(start, end) if number == wanted), None)
            if found is None:
                return ()
            start, end = found
        return tuple(
            next((value for number, value, _ in self._fields(first, last) if number == _DIM_VALUE), 0)
            for number, first, last in self._fields(start, end)
            if number == _SHAPE_DIM
        )

    def _text(self, start: int, end: int, wanted: int) -> str:
        for number, first, last in self._fields(start, end):
            if number == wanted:
                self._file.seek(first)
                return self._file.read(min(last - first, _MAX_NAME)).decode("utf-8", "replace")
        return ""

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(field number, first byte, end) of each field; of a varint field (number, value, value)."""
        position = start
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("more fields than a model has")
            self._file.seek(position)
            tag, kind = divmod(self._varint(), 8)
            if kind == _VARINT:
                value = self._varint()
                position = self._file.tell()
                yield tag, value, value
                continue
            length = self._varint() if kind == _BYTES else {_FIXED64: 8, _FIXED32: 4}.get(kind)
            first = self._file.tell()
            if length is None or tag == 0 or first + length > end:
                raise ValueError("not a protobuf message, or cut short")
            position = first + length
            yield tag, first, position

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self._file.read(1)
            if not byte:
                raise ValueError("cut short")
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise ValueError("not a varint")
