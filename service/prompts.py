"""The routes of prompts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from aiohttp import web

from ..faceid_core.astria.wire.objects_json import prompt_json
from ..faceid_core.astria.wire.prompt_request import read_prompt
from ..faceid_core.jobs.answers import prompt_object
from ..faceid_core.jobs.fields import prompt_from_json
from ..faceid_core.jobs.job import Job
from ..faceid_core.jobs.listing import JobFilter, job_of, list_jobs
from .answers import json_answer
from .door import owner, poster
from .params import PROMPT_FIELDS, body_of, ignore, with_pictures
from .requests import base_url, is_true, number_of, page_of
from .routes import PROMPT
from .state import service_of

_OF_PACKS = ("pack_id", "base_pack_id", "order_id")


async def post_prompt(request: web.Request) -> web.Response:
    """``POST /tunes/:id/prompts``: queued when the answer leaves."""
    params = await body_of(request, PROMPT)
    service = service_of(request)
    prompt = await with_pictures(request, read_prompt(params))
    tune_id = int(request.match_info["tune_id"])
    return _promised(request, await asyncio.to_thread(service.desk.take_prompt, tune_id, prompt, poster(request)))


async def duplicate_prompt(request: web.Request) -> web.Response:
    """``POST /prompts/:id/duplicate``: the same again, with what the body changes."""
    service, job = service_of(request), await _mine(request)
    params = await body_of(request, PROMPT)
    drawn = await asyncio.to_thread(prompt_from_json, job.fields, service.store.blobs.get)
    prompt = read_prompt(params, replace(drawn, text=job.text))
    prompt = await with_pictures(request, prompt)
    return _promised(request, await asyncio.to_thread(service.desk.take_again, job, drawn, prompt, poster(request)))


def _promised(request: web.Request, job: Job) -> web.Response:
    service_of(request).wake()
    return json_answer(_written(request, job), 201)


async def like_prompt(request: web.Request) -> web.Response:
    return await _liked(request, True, 201)


async def unlike_prompt(request: web.Request) -> web.Response:
    return await _liked(request, False, 204)


async def _liked(request: web.Request, is_liked: bool, status: int) -> web.Response:
    job = await _mine(request)
    await asyncio.to_thread(service_of(request).jobs.like, job.id, is_liked)
    return web.Response(status=status)


async def list_prompts(request: web.Request) -> web.Response:
    service, page = service_of(request), page_of(request, "prompts")
    which = filter_of(request, service.clock())
    if which is None:
        return json_answer([])
    found = await asyncio.to_thread(
        list_jobs,
        service.store.database,
        owner(request),
        limit=page.limit,
        before_id=page.before_id,
        offset=page.offset,
        which=which,
    )
    return json_answer([_written(request, job) for job in found])


def filter_of(request: web.Request, now: datetime) -> JobFilter | None:
    """What the address asks for; None where nothing here can be so: a video, a pack, what no API posted."""
    given = request.query
    if (
        any(given.get(name) for name in _OF_PACKS)
        or is_true(request, "is_video")
        or is_true(request, "is_api") is False
    ):
        return None
    tune_id = request.match_info.get("tune_id")
    return JobFilter(
        text=given.get("text") or None,
        tune_id=number_of(request, "tune_id") if tune_id is None else int(tune_id),
        orig_prompt_id=number_of(request, "orig_prompt_id"),
        is_liked=is_true(request, "liked"),
        since=now.replace(hour=0, minute=0, second=0, microsecond=0) if is_true(request, "today") else None,
    )


async def get_prompt(request: web.Request) -> web.Response:
    return json_answer(_written(request, await _mine(request)))


async def patch_prompt(request: web.Request) -> web.Response:
    """The prompt as it is: what clients change of it (packs, workspaces) is not here, and named as ignored."""
    job = await _mine(request)
    params = await body_of(request, PROMPT)
    given = params.get(PROMPT, params)
    ignore(request, PROMPT, [name for name in given if name in PROMPT_FIELDS] if isinstance(given, Mapping) else [])
    return json_answer(_written(request, job))


async def delete_prompt(request: web.Request) -> web.Response:
    job = await _mine(request)
    await asyncio.to_thread(service_of(request).jobs.delete, job.id)
    return json_answer({"message": f"Prompt {job.id} is deleted."})


async def _mine(request: web.Request) -> Job:
    job_id = int(request.match_info["prompt_id"])
    found = await asyncio.to_thread(job_of, service_of(request).store.database, job_id, owner(request))
    if found is None:
        raise web.HTTPNotFound
    return found


def _written(request: web.Request, job: Job) -> dict[str, object]:
    return prompt_json(prompt_object(job, base_url(request, service_of(request).settings)))
