"""What every request needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..faceid_core.astria.base_models import BaseModel
from ..faceid_core.jobs.posting import Desk
from ..faceid_core.jobs.queue import Jobs
from .settings import ServiceSettings

if TYPE_CHECKING:
    from ..faceid_core.faces import FacePack
    from ..faceid_core.tunes.store import TuneStore


@dataclass(frozen=True)
class Service:
    """The store, the jobs, and what the operator chose."""

    store: TuneStore
    jobs: Jobs
    pack: FacePack
    base_models: tuple[BaseModel, ...]
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    wake: Callable[[], None] = lambda: None  # called when a prompt was posted: a worker in this process looks at once

    @property
    def desk(self) -> Desk:
        ids = tuple(model.id for model in self.base_models)
        return Desk(self.store, self.jobs, self.pack, ids, self.settings.rules, self.clock)


KEY = web.AppKey("service", Service)
IGNORED: web.AppKey[Any] = web.AppKey("ignored", deque)  # names of parameters of no meaning here, the last ones
PREFIX = web.AppKey("prefix", str)  # where a host has mounted the application: "" or "/faceid"


def service_of(request: web.Request) -> Service:
    return request.app[KEY]
