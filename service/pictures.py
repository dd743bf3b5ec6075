"""Finished pictures, and the photos of tunes, at addresses that nobody guesses."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from ..faceid_core.jobs.queue import stored_picture
from ..faceid_core.tunes.errors import TuneError
from .state import Service, service_of

_PHOTO = re.compile(r"tune-(\d{1,18})-(\d{1,4})-([0-9a-f]{64})")
_SHOWN = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")  # others are downloaded, not shown


async def get_picture(request: web.Request) -> web.StreamResponse:
    found = await asyncio.to_thread(_find, service_of(request), request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    data, media_type, sha256 = found
    headers = {
        "ETag": f'"{sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "bytes",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if media_type not in _SHOWN:
        headers["Content-Disposition"] = "attachment"
    if any(tag.value in (sha256, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return _part(request, data, media_type, headers)


def _part(request: web.Request, data: bytes, media_type: str, headers: dict[str, str]) -> web.Response:
    """The whole picture, or the range that is asked for."""
    try:
        wanted = request.http_range
    except ValueError:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    start, stop, _ = wanted.indices(len(data)) if wanted.start or wanted.stop else (0, len(data), 1)
    if wanted.start is not None and wanted.start >= len(data):
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    status = 200
    if "Range" in request.headers and (wanted.start is not None or wanted.stop is not None):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(body=data[start:stop], status=status, content_type=media_type, headers=headers)


def _find(service: Service, name: str) -> tuple[bytes, str, str] | None:
    """(bytes, media type, sha256) of a picture or photo."""
    try:
        if photo := _PHOTO.fullmatch(name):
            kept = service.store.find_id(int(photo[1]))
            wanted = [each for each in kept.photos if each.sha256 == photo[3]] if kept else []
            return (service.store.blobs.get(photo[3]), wanted[0].media_type, photo[3]) if wanted else None
        with service.store.database.reading() as connection:
            picture = stored_picture(connection, name)
        if picture is None:
            return None
        return service.store.blobs.get(picture.sha256), picture.media_type, picture.sha256
    except TuneError:  # its file is gone
        return None
