"""How the service is: for people, for whoever watches over it, and for whoever scales it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from ..faceid_core.errors import FaceIDError
from ..faceid_core.jobs import api_tunes
from ..faceid_core.jobs.answers import photo_names, picture_url
from ..faceid_core.jobs.listing import count_by_state, list_jobs, oldest_wait
from .answers import json_answer, later
from .door import owner
from .requests import base_url
from .state import IGNORED, service_of

_PAGE = Path(__file__).with_name("status.html")
_SHOWN = 12


async def get_status(request: web.Request) -> web.Response:
    """The queue, the newest tunes and prompts, and parameters that had no meaning here."""
    service, whose = service_of(request), owner(request)
    database, url = service.store.database, base_url(request, service.settings)
    counts, people, jobs = await asyncio.gather(
        asyncio.to_thread(count_by_state, database),
        asyncio.to_thread(api_tunes.list_tunes, service.store, whose, limit=_SHOWN),
        asyncio.to_thread(list_jobs, database, whose, limit=_SHOWN),
    )
    return json_answer(
        {
            "queue": counts,
            "tunes": [
                {"id": each.tune.id, "title": each.title, "photo": f"{url}/images/{photo_names(each.tune)[0]}"}
                for each in people
                if each.tune.photos
            ],
            "prompts": [
                {
                    "id": job.id,
                    "text": job.text,
                    "state": job.state,
                    "images": [picture_url(picture, url) for picture in job.pictures],
                    "user_error": job.user_error,
                    "notes": list(job.notes),
                }
                for job in jobs
            ],
            "ignored": list(request.app[IGNORED]),
        }
    )


async def get_page(request: web.Request) -> web.StreamResponse:
    """The status page: what ``/status`` answers, for people."""
    page = await asyncio.to_thread(_PAGE.read_text, "utf-8")
    policy = (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self'; connect-src 'self'"
    )
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


async def get_health(request: web.Request) -> web.Response:
    """The process answers."""
    return json_answer({"status": "ok"})


async def get_ready(request: web.Request) -> web.Response:
    """The database answers, too; else 503."""
    try:
        await asyncio.to_thread(count_by_state, service_of(request).store.database)
    except FaceIDError:
        return later(503)
    return json_answer({"status": "ready"})


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus' text format: what to scale workers by."""
    service = service_of(request)
    counts = await asyncio.to_thread(count_by_state, service.store.database)
    waiting = await asyncio.to_thread(oldest_wait, service.store.database, service.clock())
    lines = [
        "# HELP faceid_prompts Prompts by state.",
        "# TYPE faceid_prompts gauge",
        *(f'faceid_prompts{{state="{state}"}} {count}' for state, count in counts.items()),
        "# HELP faceid_queue_wait_seconds How long the oldest queued prompt has waited.",
        "# TYPE faceid_queue_wait_seconds gauge",
        f"faceid_queue_wait_seconds {waiting:.3f}",
    ]
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")
