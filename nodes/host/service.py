"""The API's routes below ``/faceid`` of this ComfyUI: http://127.0.0.1:8188/faceid is a base URL for its clients.

Nothing of it is loaded before somebody asks, or a prompt from before a restart waits. Jobs go through ComfyUI's own
queue, as those of the graph editor do.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from comfy.cli_args import args
from server import PromptServer

from ...service.app import make_app
from ...service.settings import ServiceSettings
from .storage import base_models, tune_store, tunes_home

if TYPE_CHECKING:
    from ...faceid_core.engines.engine import Engine
    from ...faceid_core.jobs.job import Job
    from ...service.state import Service

PREFIX = "/faceid"
log = logging.getLogger(__name__)


def mount_service() -> None:
    """Add the routes; called while ComfyUI loads its nodes, before it listens."""
    server = PromptServer.instance
    if server is None or os.environ.get("FACEID_SERVICE", "on").lower() in ("off", "0", "false"):
        return
    app = make_app(_started_service, PREFIX)
    app.on_startup.append(_resume)
    app.on_cleanup.append(_stop)
    server.app.add_subapp(PREFIX, app)


def _started_service() -> Service:
    """The service with a worker that draws here, and a task that sends callbacks. Raises FaceIDError."""
    from ...faceid_core.faces.packs import find_pack
    from ...faceid_core.jobs.queue import Jobs
    from ...service.background import Background
    from ...service.state import Service
    from ...service.worker import Worker
    from .folders import insightface_roots

    store = tune_store()
    jobs = Jobs(store)
    worker = Worker(jobs, store, _engine_for, name=f"ComfyUI {os.getpid()}")
    settings = ServiceSettings(closed_ports=(args.port,))
    service = Service(store, jobs, find_pack("auto", insightface_roots()), base_models(), settings, wake=worker.wake)
    background = Background(service, [worker])
    background.start()
    _stopping.append(background.stop)
    return service


_stopping: list[Callable[[], None]] = []  # what ends what was started


async def _resume(app: web.Application) -> None:
    """Prompts of before a restart are drawn although nobody asks again."""
    from ...service.state import KEY

    try:
        if _has_unfinished_prompts(tunes_home() / "tunes.sqlite3"):
            await app[KEY].ready()
    except Exception as error:  # ComfyUI would not start
        log.error("Prompts from before the restart wait until somebody asks for %s: %s", PREFIX, error)


def _has_unfinished_prompts(database: Path) -> bool:
    """Looked up without SQLAlchemy, which takes a second to load."""
    if "FACEID_TUNES_DATABASE_URL" in os.environ:
        return True
    if not database.exists():
        return False
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        query = "SELECT 1 FROM faceid_prompts WHERE state IN ('queued', 'running') LIMIT 1"
        return connection.execute(query).fetchone() is not None
    return False


async def _stop(app: web.Application) -> None:
    while _stopping:
        _stopping.pop()()


def _engine_for(job: Job) -> Engine:
    """This ComfyUI itself, over HTTP: its queue orders the job among those of the graph editor."""
    import folder_paths

    from ...faceid_core.engines.comfyui import ComfyModels, ComfyUIEngine
    from ...faceid_core.engines.comfyui.models import preferred_adapter
    from .folders import adapter_names

    there = folder_paths.get_filename_list("checkpoints")
    asked_first = sorted(base_models(), key=lambda model: model.id != job.tune_id)
    checkpoint = next(filter(None, (model.installed(there) for model in asked_first)), None)
    scheme = "https" if args.tls_keyfile else "http"
    job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"faceid prompt {job.id} attempt {job.attempt}"))
    url = f"{scheme}://127.0.0.1:{args.port}"
    adapter = preferred_adapter(adapter_names(), folder_paths.get_filename_list("clip_vision"))
    return ComfyUIEngine(url, ComfyModels(checkpoint, adapter), shares_store=True, job_id=job_id)
