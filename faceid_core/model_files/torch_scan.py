"""What a PyTorch file holds, from its pickle's opcodes alone: nothing is called, no tensor is loaded.

``torch.load`` runs no code with ``weights_only``, but it believes the file: a key that is a tuple of tuples is hashed
for ever (327 bytes), a storage of 3 TB is allocated (79 kB), a compressed member is unpacked (28 MB into 6 GB). So
every file is walked here first; what passes has keys that are names or numbers, and no more numbers than bytes.

Sources: CPython's ``pickletools``; PyTorch's ``torch/serialization.py`` and ``torch/_utils.py`` for the two layouts.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..damaged_zip import DAMAGED_ZIP
from .containers import CodeInFileError, DamagedFileError
from .reasons import Reason, UnreadableError

_MAX_OPCODES = 1_000_000  # of a checkpoint with 5,000 tensors there are 200,000
_MAX_PICKLE = 64 << 20  # bytes of a zip archive's data.pkl; published ones have less than 2 MB
_MAX_LINE = 4096
_MAX_MEMBERS = 100_000
_MAX_SIDES = 16
_MAX_EXPANDED = 1 << 20  # numbers; a tensor may repeat those of its storage, but not to fill the memory
_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001

_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "C64": 8, "C128": 16, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
READABLE = frozenset(_SIZES) - {"C64", "C128"}  # number types; safetensors knows more, of half a byte and less
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "ComplexFloatStorage": "C64", "ComplexDoubleStorage": "C128", "UntypedStorage": "U8",
}  # fmt: skip
_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL", "complex64": "C64", "complex128": "C128",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_CALLABLE = frozenset({
    "collections OrderedDict", "torch Size", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter", "torch.nn.parameter Parameter",
})  # fmt: skip
_PUSHED = frozenset({
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES",
    "SHORT_BINBYTES",
})  # fmt: skip
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple,
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """A tensor that is not loaded. dtype: as safetensors names it ("F16", "BF16", "I64", ...)."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class _Global:
    name: str  # module and name, a space between


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    numbers: int

    @property
    def size(self) -> int:
        return self.numbers * _SIZES[self.dtype]


def scan_zip(path: Path) -> object:
    """The content of a PyTorch zip archive, with a ``TensorInfo`` for each tensor.

    Raises:
        UnreadableError: DAMAGED, CODE, ARCHIVE (no PyTorch file) or TOO_MUCH.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            pickles = [member for member in members if member.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise UnreadableError(Reason.ARCHIVE)
            _check_members(members, path.stat().st_size)
            if pickles[0].file_size > _MAX_PICKLE:
                raise _too_much(f"{pickles[0].file_size:,} bytes of keys")
            with archive.open(pickles[0]) as stream:
                scan = _Scan()
                content = scan.run(stream)
    except (*DAMAGED_ZIP, OSError) as error:
        raise DamagedFileError(error) from error
    folder = pickles[0].filename.removesuffix("data.pkl")
    sizes = {member.filename: member.file_size for member in members}
    for storage in scan.storages.values():
        if sizes.get(f"{folder}data/{storage.key}", -1) < storage.size:
            raise DamagedFileError(f"storage {storage.key} is not whole")
    return content


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > _MAX_MEMBERS:
        raise _too_much(f"{len(members):,} members")
    packed = [one for one in members if one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1]
    if packed:
        unpacked = sum(member.file_size for member in packed)
        raise _too_much(f"{len(packed)} of its members are compressed, which PyTorch does not do: {unpacked:,} bytes")
    if sum(member.file_size for member in members) > size:
        raise _too_much("its members overlap")


def scan_legacy(path: Path) -> object:
    """The content of a legacy PyTorch file, with a ``TensorInfo`` for each tensor.

    Raises:
        UnreadableError: DAMAGED, CODE or TOO_MUCH.
    """
    with path.open("rb") as file:
        if _Scan().run(file) != _LEGACY_MAGIC or _Scan().run(file) != _LEGACY_VERSION:
            raise DamagedFileError("not PyTorch's pickle")
        _Scan().run(file)  # of the machine it was saved on
        scan = _Scan()
        content = scan.run(file)
        keys = _Scan().run(file)
        rest = path.stat().st_size - file.tell()
    if not isinstance(keys, list) or {str(key) for key in keys} != scan.storages.keys() or len(set(keys)) != len(keys):
        raise DamagedFileError("its storages are not those of its tensors")
    if sum(8 + storage.size for storage in scan.storages.values()) > rest:
        raise DamagedFileError("ends within its tensors")
    return content


class _Bounded:
    """A stream that reserves no memory for what a file only says it has."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.tell = stream, stream.tell

    def read(self, count: int) -> bytes:
        if count > _MAX_PICKLE:
            raise _too_much(f"a name of {count:,} bytes")
        return self._stream.read(count)

    def readline(self) -> bytes:
        return self._stream.readline(_MAX_LINE)


class _Scan:
    """A pickle machine that knows tensors, dictionaries, lists, names and numbers, and calls nothing."""

    def __init__(self) -> None:
        self.storages: dict[str, _Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> Any:
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], _Bounded(stream)))):
                if count > _MAX_OPCODES:
                    raise _too_much(f"more than {_MAX_OPCODES:,} opcodes")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except (ValueError, LookupError, UnicodeError, OverflowError, TypeError, AttributeError) as error:
            raise DamagedFileError(error) from error
        raise DamagedFileError("ends within its pickle")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _PUSHED:
            stack.append(argument)
        elif name in _MADE:
            stack.append(_MADE[name]())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self._put_tuple(int(name[-1]))
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._since_mark()
            _as(list, stack[-1]).extend(items)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _put(_as(dict, stack[-1]), [(key, value)])
        elif name == "SETITEMS":
            items = self._since_mark()
            _put(_as(dict, stack[-1]), zip(items[::2], items[1::2], strict=True))
        elif name == "GLOBAL":
            stack.append(_known_global(argument))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":  # attributes such as a state dict's _metadata
            stack.pop()
            if not isinstance(stack[-1], (dict, TensorInfo)):
                raise CodeInFileError(f"state for a {type(stack[-1]).__name__}")
        elif name not in ("PROTO", "FRAME"):
            raise CodeInFileError(f"opcode {name}")

    def _put_tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise DamagedFileError("an empty stack")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _storage(self, pid: Any) -> _Storage:
        """Of ("storage", class, key, device, numbers), in legacy files with a view, which is None."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or pid[5:] not in ((), (None,)):
            raise CodeInFileError("a persistent object that is not a storage")
        kind, key, numbers = pid[1], pid[2], pid[4]
        if not isinstance(kind, _Global) or kind.name.split()[-1] not in _STORAGES or not isinstance(key, (str, int)):
            raise CodeInFileError("a storage of an unknown kind")
        storage = _Storage(str(key), _STORAGES[kind.name.split()[-1]], _whole(numbers))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise DamagedFileError(f"storage {storage.key} has two sizes")
        return storage


def _known_global(name: str) -> _Global:
    module, _, inner = name.partition(" ")
    known = name in _CALLABLE or (module == "torch" and (inner in _STORAGES or inner in _DTYPES))
    if not known and not (module == "torch.storage" and inner in _STORAGES):
        raise CodeInFileError(name)
    return _Global(name)


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or not isinstance(arguments, tuple):
        raise CodeInFileError("a call of something that is not a function")
    name = function.name.split()[-1]
    if name == "OrderedDict":
        found: dict[Any, Any] = {}
        if arguments:
            _put(found, ((key, value) for key, value in _as(list, arguments[0])))
        return found
    if name == "Size":
        return tuple(_whole(side) for side in arguments[0])
    if name in ("_rebuild_parameter", "Parameter"):
        return _as(TensorInfo, arguments[0])
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
        storage = _as(_Storage, arguments[0])
        return _tensor(storage, storage.dtype, *arguments[1:4])
    if name == "_rebuild_tensor_v3":
        dtype = _DTYPES.get(_as(_Global, arguments[6]).name.split()[-1], "")
        return _tensor(_as(_Storage, arguments[0]), dtype, *arguments[1:4])
    raise CodeInFileError(f"a call of {function.name}")


def _tensor(storage: _Storage, dtype: str, offset: Any, shape: Any, stride: Any) -> TensorInfo:
    if dtype not in _SIZES:
        raise CodeInFileError("a tensor of an unknown kind")
    shape, stride = (tuple(_whole(side) for side in _as(tuple, value)) for value in (shape, stride))
    if len(shape) > _MAX_SIDES:
        raise _too_much(f"a tensor of {len(shape):,} sides")
    count, held = math.prod(shape), storage.size // _SIZES[dtype]
    last = _whole(offset) + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if count and last >= held:
        raise DamagedFileError("a tensor reaches beyond its storage")
    if count > max(held, _MAX_EXPANDED):
        raise _too_much(f"{count:,} numbers out of {held:,}")
    return TensorInfo(shape, dtype)


def _put(target: dict[Any, Any], items: Iterable[tuple[Any, Any]]) -> None:
    for key, value in items:
        # Hashing a nested tuple can take for ever, and so can a dictionary of large integers with one hash.
        if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < 1 << 48):
            raise CodeInFileError(f"a key that is a {type(key).__name__}")
        target[key] = value


def _as(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise CodeInFileError(f"a {type(value).__name__} for a {kind.__name__}")
    return value


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 1 << 48:
        raise _too_much(f"a size of {str(number)[:20]}") if isinstance(number, int) else DamagedFileError("no size")
    return number


def _too_much(detail: str) -> UnreadableError:
    return UnreadableError(Reason.TOO_MUCH, detail)
