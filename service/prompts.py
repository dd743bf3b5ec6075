"""The routes of prompts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from ..faceid_core.astria.wire.bodies import read_params
from ..faceid_core.astria.wire.objects_json import prompt_json
from ..faceid_core.astria.wire.prompt_request import read_prompt
from ..faceid_core.jobs import api_tunes
from ..faceid_core.jobs.answers import prompt_object
from ..faceid_core.jobs.job import Job
from ..faceid_core.jobs.listing import job_of, list_jobs
from ..faceid_core.prompts import Prompt
from ..faceid_core.prompts.errors import error_at
from .answers import json_answer, refusal
from .door import owner
from .requests import base_url, page_of
from .state import Service, service_of

NOT_A_CHECKPOINT = "model_type=faceid is not supported. Use a checkpoint instead"


async def post_prompt(request: web.Request) -> web.Response:
    """``POST /tunes/:id/prompts``: queued when the answer leaves."""
    service, whose = service_of(request), owner(request)
    tune_id = int(request.match_info["tune_id"])
    base = await asyncio.to_thread(_base_of, service, tune_id, whose)
    if isinstance(base, str):
        return refusal(422, base)
    prompt = read_prompt(await read_params(request))
    job = await asyncio.to_thread(_post, service, prompt, base, whose, base_url(request, service.settings))
    return json_answer(_written(request, job), 201)


def _base_of(service: Service, tune_id: int, whose: int) -> int | str:
    """The base model to draw with, or the API's sentence for a tune that is none."""
    known = {model.id for model in service.base_models}
    if tune_id in known:
        return tune_id
    tune = api_tunes.tune_of(service.store, tune_id, whose)
    if tune is not None:
        base = tune.tune.base_tune_id
        return NOT_A_CHECKPOINT if service.settings.is_strict or base is None else base
    if service.settings.needs_known_base:
        raise web.HTTPNotFound
    return tune_id


def _post(service: Service, prompt: Prompt, base: int, whose: int, url: str) -> Job:
    own = _with_ids(service, prompt, whose)
    return service.jobs.post(own, tune_id=base, base_url=url, owner=whose, text=prompt.text)


def _with_ids(service: Service, prompt: Prompt, whose: int) -> Prompt:
    """The prompt with every face tag by number, and only those of tunes that the owner has. Raises PromptError."""
    text, shift = prompt.text, 0
    for tag in prompt.parsed.faces:
        found = None if tag.tune_id is None else api_tunes.tune_of(service.store, tag.tune_id, whose)
        found = found or api_tunes.tune_titled(service.store, tag.ref, whose)
        if found is None:
            raise error_at(prompt.text, tag.start, f"there is no tune {tag.ref!r}", "GET /tunes lists yours.")
        new = f"<faceid:{found.tune.id}:{tag.strength:g}>"
        text = text[: tag.start + shift] + new + text[tag.end + shift :]
        shift += len(new) - (tag.end - tag.start)
    return replace(prompt, text=text)


async def list_prompts(request: web.Request) -> web.Response:
    service, page = service_of(request), page_of(request, "prompts")
    filters: dict[str, object] = {}
    if "tune_id" in request.match_info:
        filters["tune_id"] = int(request.match_info["tune_id"])
    found = await asyncio.to_thread(
        list_jobs,
        service.store.database,
        owner(request),
        limit=page.limit,
        before_id=page.before_id,
        offset=page.offset,
        filters=filters,
    )
    return json_answer([_written(request, job) for job in found])


async def get_prompt(request: web.Request) -> web.Response:
    return json_answer(_written(request, await _mine(request)))


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
