"""Parameters as the body of a request: multipart, urlencoded or JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .brackets import MalformedRequestError, Nested, Pairs, Plain, Scalar, nest
from .file import File
from .scalars import as_text

if TYPE_CHECKING:
    import aiohttp


def multipart(pairs: Pairs) -> aiohttp.FormData:
    """``multipart/form-data``, which every sample of the API uses. It can be sent once: make a new one for each try."""
    import aiohttp

    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, value in pairs:
        if isinstance(value, File):
            form.add_field(name, value.data, filename=value.filename, content_type=value.media_type)
        elif value is not None:
            form.add_field(name, as_text(value))
    return form


def urlencoded(pairs: Pairs) -> bytes:
    """``application/x-www-form-urlencoded``. Raises MalformedRequestError for a file, which it cannot contain."""
    plain = ((name, _no_file(name, value)) for name, value in pairs)
    return urlencode([(name, as_text(value)) for name, value in plain if value is not None]).encode()


def json_body(pairs: Pairs) -> bytes:
    """``application/json``; a prompt's input image is sent as its ``_base64`` parameter, other files are refused."""
    return json.dumps(nest(_json_pairs(pairs)), ensure_ascii=False).encode()


def _json_pairs(pairs: Pairs) -> Iterable[tuple[str, Nested]]:
    for name, value in pairs:
        if isinstance(value, File) and name.endswith("[input_image]"):
            data = base64.b64encode(value.data).decode()
            yield name[:-1] + "_base64]", f"data:{value.media_type};base64,{data}"
        else:
            yield name, _no_file(name, value)


def _no_file(name: str, value: Scalar) -> Plain:
    if isinstance(value, File):
        raise MalformedRequestError(f"{name} is a file: send it as multipart/form-data.")
    return value
