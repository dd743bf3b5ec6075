"""From a request's body to parameters, for every form that clients of the API send (docs/facts/astria.md 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .brackets import MalformedRequestError, Nested, nest
from .file import File

if TYPE_CHECKING:
    from aiohttp import web

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def read_params(request: web.BaseRequest) -> dict[str, Nested]:
    """The nested parameters of a multipart, urlencoded or JSON body; {} without a body.

    The server's ``client_max_size`` limits the body; a larger one raises aiohttp's HTTPRequestEntityTooLarge.

    Raises:
        MalformedRequestError: it is none of these, or damaged.
    """
    if not request.can_read_body:
        return {}
    if request.content_type == "application/json":
        return _read_json(await request.read())
    if request.content_type not in _FORMS:
        raise MalformedRequestError(
            f"A body of type {request.content_type} cannot be read: send multipart/form-data, "
            "application/x-www-form-urlencoded or application/json."
        )
    return nest(await _read_form(request))


def _read_json(body: bytes) -> dict[str, Nested]:
    try:
        values = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(values, Mapping):
        raise MalformedRequestError("The JSON body is not an object.")
    # Some clients use the form's names in JSON: {"tune[title]": "x"}.
    return nest(values.items())


async def _read_form(request: web.BaseRequest) -> list[tuple[str, Nested]]:
    try:
        return [(name, _form_value(name, value)) for name, value in (await request.post()).items()]
    except (
        ValueError,
        AssertionError,
        LookupError,
    ) as error:  # aiohttp's reader raises these, depending on its version
        raise MalformedRequestError(f"The form cannot be read: {error}.") from None


def _form_value(name: str, value: str | bytes | bytearray | web.FileField) -> Nested:
    from aiohttp.web import FileField

    if isinstance(value, FileField):
        with value.file as file:
            return File(file.read(), value.filename, value.content_type)
    if isinstance(value, str):
        return value
    # A part without a file name that is not text: an untouched file input of a browser, or raw bytes.
    return File(bytes(value), name) if value else ""
