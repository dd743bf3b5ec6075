"""From a request's body to parameters, for every form that clients of the API send (docs/facts/astria.md 3).

Everything is bounded while it is read: bytes, files, parts, text, the shape of JSON. Nothing is decompressed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qsl

from ...tunes.errors import TuneStorageError
from .brackets import MalformedRequestError, Nested, nest
from .file import file_of, spool

if TYPE_CHECKING:
    from aiohttp import BodyPartReader, web

_JSON, _URLENCODED, _MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
_MB = 1024**2
_PLAIN_ENCODINGS = ("", "binary", "7bit", "8bit")


class BodyTooLargeError(MalformedRequestError):
    """A body, or one of its parts, is larger than the limits; the HTTP status is 413."""


@dataclass(frozen=True)
class BodyLimits:
    """What a body may have. Sizes are in bytes.

    Attributes:
        body: all of it.
        file: one uploaded file.
        files: how many of them.
        parts: parameters, files included.
        text: one parameter that is no file.
        texts: all of them together.
        json_values: commas and brackets of JSON: each may become an object in memory.
    """

    body: int = 256 * _MB
    file: int = 64 * _MB
    files: int = 64
    parts: int = 2000
    text: int = 1 * _MB
    texts: int = 16 * _MB
    json_values: int = 100_000


async def read_params(request: web.BaseRequest, limits: BodyLimits | None = None) -> dict[str, Nested]:
    """The nested parameters of a multipart, urlencoded or JSON body; {} without a body.

    Raises:
        BodyTooLargeError: it goes beyond ``limits``.
        MalformedRequestError: it is none of these, or damaged.
    """
    limits = limits or BodyLimits()
    if not request.can_read_body:
        return {}
    if (request.content_length or 0) > limits.body:
        raise BodyTooLargeError(f"The body has {request.content_length} bytes: at most {limits.body} are read.")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise MalformedRequestError(f"The body is encoded as {encoding[:40]!r}: send it as it is.")
    if request.content_type == _JSON:
        return _read_json(await _read_all(request, limits.body), limits)
    if request.content_type == _URLENCODED:
        return nest(_read_urlencoded(await _read_all(request, limits.parts * _MB // 100), limits))
    if request.content_type == _MULTIPART:
        return nest([pair async for pair in _read_multipart(request, limits)])
    raise MalformedRequestError(
        f"A body of type {request.content_type[:80]} cannot be read: send multipart/form-data, "
        "application/x-www-form-urlencoded or application/json."
    )


async def _read_all(request: web.BaseRequest, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise BodyTooLargeError(f"The body has more than {limit} bytes. Send photos as multipart/form-data.")
    return bytes(body)


def _read_json(body: bytes, limits: BodyLimits) -> dict[str, Nested]:
    if sum(map(body.count, (b",", b"[", b"{"))) > limits.json_values:
        raise BodyTooLargeError(f"The JSON body has more than {limits.json_values} values.")
    try:
        values = json.loads(body, parse_constant=_no_number) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(values, Mapping):
        raise MalformedRequestError("The JSON body is not an object.")
    # Some clients use the form's names in JSON: {"tune[title]": "x"}.
    return nest(values.items())


def _no_number(name: str) -> Nested:
    raise ValueError(f"{name} is no JSON number")


def _read_urlencoded(body: bytes, limits: BodyLimits) -> list[tuple[str, Nested]]:
    try:
        found = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=limits.parts, errors="strict")
    except ValueError as error:
        raise MalformedRequestError(f"The form cannot be read: {error}.") from None
    return list(found)


async def _read_multipart(request: web.BaseRequest, limits: BodyLimits) -> AsyncIterator[tuple[str, Nested]]:
    from aiohttp import BodyPartReader, ClientPayloadError
    from aiohttp.http_exceptions import HttpProcessingError

    parts = files = size = texts = 0
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                raise MalformedRequestError("The form has a form inside: send each parameter as a part of its own.")
            parts += 1
            if part.name is None:
                raise MalformedRequestError("The form cannot be read: a part has no name.")
            if parts > limits.parts:
                raise BodyTooLargeError(f"The form has more than {limits.parts} parts.")
            is_file = part.filename is not None
            files += is_file
            if files > limits.files:
                raise BodyTooLargeError(f"More than {limits.files} files: send fewer photos.")
            is_kept = is_file or _is_binary(part)
            data, length = await _read_part(part, limits.file if is_kept else limits.text)
            size += length
            texts += 0 if is_kept else length
            if size > limits.body:
                raise BodyTooLargeError(f"The body has more than {limits.body} bytes: send fewer or smaller photos.")
            if texts > limits.texts:
                raise BodyTooLargeError(f"The form has more than {limits.texts} bytes beside its files.")
            yield part.name, _form_value(part, data, length)
    except MalformedRequestError:
        raise
    except (
        ValueError,
        AssertionError,
        LookupError,
        EOFError,
        RuntimeError,
        ClientPayloadError,
        HttpProcessingError,
    ) as error:  # aiohttp's reader raises these, depending on its version
        raise MalformedRequestError(f"The form cannot be read: {str(error)[:200]}.") from None


async def _read_part(part: BodyPartReader, limit: int) -> tuple[IO[bytes], int]:
    """What the part holds, on the disk where it is large, and how many bytes."""
    encoding = part.headers.get("Content-Transfer-Encoding", "").strip().lower()
    if encoding not in _PLAIN_ENCODINGS or "Content-Encoding" in part.headers:
        raise MalformedRequestError(f"The part {str(part.name)[:80]!r} is encoded: send its bytes as they are.")
    data, length = spool(), 0
    while chunk := await part.read_chunk(2**18):
        length += len(chunk)
        if length > limit:
            raise BodyTooLargeError(f"{str(part.name)[:80]} has more than {limit} bytes.")
        try:
            data.write(chunk)
        except OSError as error:
            raise TuneStorageError(f"An upload cannot be kept in the temporary folder: {error.strerror}.") from error
    return data, length


def _is_binary(part: BodyPartReader) -> bool:
    kind = part.headers.get("Content-Type", "text/plain").strip().lower()
    return not kind.startswith("text/")


def _form_value(part: BodyPartReader, data: IO[bytes], length: int) -> Nested:
    """Text, or a file; a part without a file name that is not text is an untouched file input, or raw bytes."""
    name = str(part.name)
    kind = part.headers.get("Content-Type", "")
    if part.filename is not None:
        return file_of(data, part.filename, kind or "application/octet-stream")
    if _is_binary(part):
        return file_of(data, name) if length else ""
    data.seek(0)
    return data.read().decode(part.get_charset(default="utf-8"))
