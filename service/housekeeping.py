"""Forgets what its time is over for: tunes, prompts and their pictures, callbacks that have arrived."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from ..faceid_core.errors import FaceIDError
from ..faceid_core.jobs.outbox import forget_ended
from .callbacks import send_callbacks
from .state import Service

_EVERY = 600.0  # seconds
_DELIVERIES_KEPT = timedelta(days=1)

log = logging.getLogger("faceid.service")


def tidy(service: Service) -> int:
    """Once; returns how much was forgotten.

    What fails, away or damaged, is told in the log and keeps nothing else from being forgotten.
    """
    before = service.clock() - _DELIVERIES_KEPT
    forgotten = 0
    for forget in (
        lambda: service.store.purge().tunes,
        service.jobs.purge,
        lambda: forget_ended(service.store.database, before),
    ):
        try:
            forgotten += forget()
        except FaceIDError as error:
            log.warning("%s", error)
    return forgotten


async def tend(service: Service) -> None:
    """Send callbacks and keep tidy, until it is cancelled."""
    await asyncio.gather(send_callbacks(service), keep_tidy(service))


async def keep_tidy(service: Service) -> None:
    """Until it is cancelled; at once, and then every ten minutes."""
    while True:
        await asyncio.to_thread(tidy, service)
        await asyncio.sleep(_EVERY)
