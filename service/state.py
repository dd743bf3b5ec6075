"""What every request needs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from .settings import ServiceSettings

if TYPE_CHECKING:
    from ..faceid_core.astria.base_models import BaseModel
    from ..faceid_core.faces import FacePack
    from ..faceid_core.jobs.posting import Desk
    from ..faceid_core.jobs.queue import Jobs
    from ..faceid_core.tunes.store import TuneStore

_LOOKING = max(1, (os.cpu_count() or 2) - 1)  # photos looked at at once: one core stays for who posts and polls

Found = TypeVar("Found")


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
    _photo_room: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_LOOKING, "faceid-photos"), repr=False
    )

    async def in_photo_room(self, do: Callable[..., Found], *arguments: Any) -> Found:
        """What ``do`` returns: work with faces, which costs a second. It waits its turn, no other request does."""
        return await asyncio.get_running_loop().run_in_executor(self._photo_room, do, *arguments)

    @property
    def desk(self) -> Desk:
        from ..faceid_core.jobs.posting import Desk

        ids = tuple(model.id for model in self.base_models)
        return Desk(self.store, self.jobs, self.pack, ids, self.settings.rules, self.clock)


class Source:
    """The service, made at the first request: a ComfyUI where nobody asks opens no database."""

    def __init__(self, make: Callable[[], Service]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Service | None = None

    async def ready(self) -> Service:
        """Raises FaceIDError when it cannot be made; the next request tries again."""
        return self._made if self._made is not None else await asyncio.to_thread(self._once)

    def get(self) -> Service:
        """After ``ready``."""
        assert self._made is not None
        return self._made

    def _once(self) -> Service:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


KEY = web.AppKey("service", Source)
IGNORED: web.AppKey[Any] = web.AppKey("ignored", deque)  # names of parameters of no meaning here, the last ones
OPEN: web.AppKey[Any] = web.AppKey("open", set)  # the handlers that need no token
PREFIX = web.AppKey("prefix", str)  # where a host has mounted the application: "" or "/faceid"


def service_of(request: web.Request) -> Service:
    return request.app[KEY].get()
