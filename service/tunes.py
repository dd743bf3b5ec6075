"""The routes of tunes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from ..faceid_core.astria.wire.bodies import read_params
from ..faceid_core.astria.wire.objects_json import tune_json
from ..faceid_core.astria.wire.tune_request import TuneRequest, read_tune
from ..faceid_core.jobs import api_tunes
from ..faceid_core.jobs.answers import tune_object
from ..faceid_core.jobs.api_tunes import ApiTune
from ..faceid_core.tunes.create import create_tune
from ..faceid_core.tunes.errors import TuneError
from .answers import json_answer
from .door import owner
from .requests import base_url, page_of
from .state import Service, service_of

_FILTERS = ("title", "name", "model_type", "branch")


async def post_tune(request: web.Request) -> web.Response:
    """``POST /tunes``: a FaceID tune is ready in the answer."""
    service = service_of(request)
    wanted = read_tune(await read_params(request))
    made = await asyncio.to_thread(_create, service, wanted, owner(request))
    return json_answer(_written(request, made), 201)


def _create(service: Service, wanted: TuneRequest, whose: int) -> ApiTune:
    store, settings = service.store, service.settings
    if wanted.model_type != "faceid" and not settings.trained_as_faceid:
        raise TuneError(
            f"tune[model_type] is {wanted.model_type!r}: only faceid is possible here, nothing is trained.",
            "tune[model_type]",
        )
    if settings.is_idempotent and (known := api_tunes.tune_titled(store, wanted.title, whose)):
        return known
    if not wanted.images:
        raise TuneError("tune[images] is empty: send at least one photo of the person.", "tune[images]")
    tune = create_tune(
        store,
        [file.data for file in wanted.images],
        api_tunes.free_title(store, wanted.title),
        wanted.name,
        service.pack,
        is_api=True,
        token=wanted.token,
        base_tune_id=wanted.base_tune_id,
        branch=wanted.branch or "sd15",
        steps=wanted.steps,
        face_crop=wanted.face_crop,
        training_face_correct=wanted.training_face_correct,
        callback=wanted.callback,
    )
    characteristics = dict(wanted.characteristics)
    api_tunes.own(
        store,
        tune.id,
        owner=whose,
        title=wanted.title,
        model_type=wanted.model_type,
        characteristics=characteristics,
    )
    return ApiTune(tune, wanted.title, wanted.model_type, characteristics)


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
    wanted = read_tune(await read_params(request))
    changes = {name: getattr(wanted, name) for name in ("name",) if getattr(wanted, name)}
    if changes:
        await asyncio.to_thread(service.store.update, tune.tune.id, **changes)
    if wanted.title:
        await asyncio.to_thread(api_tunes.retitle, service.store, tune.tune.id, wanted.title)
    return json_answer(_written(request, await _mine(request)))


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
    photos = [photo_name(tune, number) for number in range(len(tune.tune.photos))]
    url = base_url(request, service_of(request).settings)
    return tune_json(tune_object(tune.tune, url, photos, tune.title, tune.model_type))


def photo_name(tune: ApiTune, number: int) -> str:
    """A photo's address: only who has the photo, or was told, knows its sha256."""
    return f"tune-{tune.tune.id}-{number}-{tune.tune.photos[number].sha256}"
