"""The routes of tunes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from ..faceid_core.astria.wire.file import File
from ..faceid_core.astria.wire.objects_json import tune_json
from ..faceid_core.astria.wire.tune_request import TuneRequest, read_tune
from ..faceid_core.faces import find_faces
from ..faceid_core.faces.photo import read_photo
from ..faceid_core.jobs import api_tunes
from ..faceid_core.jobs.answers import photo_names, tune_object
from ..faceid_core.jobs.api_tunes import ApiTune
from ..faceid_core.jobs.posting import FACEID
from ..faceid_core.tunes.errors import TuneError
from ..faceid_core.tunes.one_by_one import OneByOne
from .answers import json_answer
from .door import is_local, owner, poster
from .fetch import fetch_pictures
from .params import body_of, pack_prompt, with_pictures
from .requests import base_url, page_of
from .routes import FILE, TUNE
from .state import Service, service_of

_FILTERS = ("title", "name", "model_type", "branch")


async def post_tune(request: web.Request) -> web.Response:
    """``POST /tunes``: a FaceID tune is ready in the answer; one that the API trains is so a moment later."""
    service = service_of(request)
    params = await body_of(request, TUNE)
    return await _taken(request, service, read_tune(params))


async def post_pack_tune(request: web.Request) -> web.Response:
    """``POST /p/:slug/tunes``: as a tune, with one portrait, since there are no packs here."""
    service = service_of(request)
    params = await body_of(request, TUNE)
    wanted = read_tune(params)
    return await _taken(request, service, replace(wanted, prompts=wanted.prompts or (pack_prompt(params, wanted),)))


async def _taken(request: web.Request, service: Service, wanted: TuneRequest) -> web.Response:
    fetched = await fetch_pictures(service.settings, wanted.image_urls, "tune[image_urls]", is_local=is_local(request))
    files = [*wanted.images, *fetched]
    photos = OneByOne(len(files), lambda index: files[index].data)
    prompts = tuple([await with_pictures(request, each) for each in wanted.prompts])
    wanted = replace(wanted, prompts=prompts)
    made, is_new = await service.in_photo_room(service.desk.take_tune, wanted, photos, poster(request))
    service.wake()
    answer = _written(request, made)
    if is_new and made.model_type != FACEID:
        answer |= {"trained_at": None, "expires_at": None}
    return json_answer(answer, 201)


async def list_tunes(request: web.Request) -> web.Response:
    service, page = service_of(request), page_of(request, "tunes")
    found = await asyncio.to_thread(
        api_tunes.list_tunes,
        service.store,
        owner(request),
        limit=page.limit,
        before_id=page.before_id,
        offset=page.offset,
        filters=_filters(request),
    )
    return json_answer([_written(request, tune) for tune in found])


async def get_tune(request: web.Request) -> web.Response:
    return json_answer(_written(request, await _mine(request)))


async def patch_tune(request: web.Request) -> web.Response:
    """Title and name; what else clients send (``auto_extend``) has no meaning here."""
    service, tune = service_of(request), await _mine(request)
    wanted = read_tune(await body_of(request, TUNE))
    changes = {name: getattr(wanted, name) for name in ("name",) if getattr(wanted, name)}
    if changes:
        await asyncio.to_thread(service.store.update, tune.tune.id, **changes)
    if wanted.title:
        await asyncio.to_thread(api_tunes.retitle, service.store, tune.tune.id, wanted.title)
    return json_answer(_written(request, await _mine(request)))


async def inspect_image(request: web.Request) -> web.Response:
    """``POST /images/inspect``: what can be said of a photo here: how many faces it shows."""
    params = await body_of(request, FILE)
    file = params.get("file")
    if not isinstance(file, File):
        raise TuneError("file is missing: send a photo.", "file")
    service = service_of(request)
    found = await service.in_photo_room(_faces_in, service, file.data)
    return json_answer({"name": params.get("name"), "faces": found, "selfie": None, "blurry": None})


def _faces_in(service: Service, data: bytes) -> int:
    return len(find_faces([read_photo(data)], service.pack).photos[0].faces)


async def delete_tune(request: web.Request) -> web.Response:
    tune = await _mine(request)
    await asyncio.to_thread(service_of(request).store.delete, tune.tune.id)
    return json_answer({"message": f"Tune {tune.tune.id} is deleted."})


async def _mine(request: web.Request) -> ApiTune:
    tune_id = int(request.match_info["tune_id"])
    found = await asyncio.to_thread(api_tunes.tune_of, service_of(request).store, tune_id, owner(request))
    if found is None:
        raise web.HTTPNotFound
    return found


def _filters(request: web.Request) -> dict[str, Sequence[str]]:
    given = {name: [*request.query.getall(name, []), *request.query.getall(f"{name}[]", [])] for name in _FILTERS}
    return {name: kept for name, values in given.items() if (kept := [value for value in values if value])}


def _written(request: web.Request, tune: ApiTune) -> dict[str, object]:
    url = base_url(request, service_of(request).settings)
    return tune_json(tune_object(tune.tune, url, photo_names(tune.tune), tune.title, tune.model_type))
