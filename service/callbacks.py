"""Sends what the outbox holds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime

import aiohttp
from yarl import URL

from ..faceid_core.errors import FaceIDError, MissingDependencyError
from ..faceid_core.jobs.outbox import Delivery, arrived, due, not_arrived, origin_of
from .fetch import guarded_session
from .state import Service

SECRET_VARIABLE = "FACEID_CALLBACK_SECRET"
_TIMEOUT = 10  # seconds
_LOOK = 1.0  # seconds between two looks
_AT_ONCE, _TO_ONE = 32, 4  # deliveries under way; to one receiver, but for those that are taken in the same look

log = logging.getLogger("faceid.service")


async def send_callbacks(service: Service) -> None:
    """Until it is cancelled. A receiver that never answers delays its own callbacks only."""
    sending: dict[asyncio.Task[None], str] = {}
    try:
        while True:
            found = await _due(service, sending.values()) if len(sending) <= _AT_ONCE - _TO_ONE else ()
            for delivery in found:
                sending[asyncio.create_task(_send(service, delivery))] = origin_of(delivery.url)
            if not found:
                await _pause(sending)
            for task in [task for task in sending if task.done()]:
                del sending[task]
    finally:
        for task in sending:
            task.cancel()


async def _due(service: Service, origins: Iterable[str]) -> tuple[Delivery, ...]:
    busy = [origin for origin, count in Counter(origins).items() if count >= _TO_ONE]
    try:
        return await asyncio.to_thread(due, service.store.database, service.clock(), _TO_ONE, busy)
    except FaceIDError as error:  # the database is away: it may come back
        log.warning("%s", error)
        return ()


async def _pause(sending: Collection[asyncio.Task[None]]) -> None:
    """Until one of them has ended, or it is time to look again."""
    if sending:
        await asyncio.wait(sending, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(_LOOK)


async def _send(service: Service, delivery: Delivery) -> None:
    try:
        problem = await _problem(service, delivery)
        now = service.clock()
        if problem is None:
            await asyncio.to_thread(arrived, service.store.database, delivery, now)
        else:
            log.info("callback %s to %s: %s", delivery.delivery_id, origin_of(delivery.url), problem)
            await asyncio.to_thread(not_arrived, service.store.database, delivery, problem, now)
    except FaceIDError as error:  # it is sent again, once another sender may
        log.warning("%s", error)


async def _problem(service: Service, delivery: Delivery) -> str | None:
    """Why it did not arrive."""
    body = json.dumps(delivery.body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-FaceID-Delivery": delivery.delivery_id}
    if service.settings.callback_secret:
        headers |= signature(service.settings.callback_secret, delivery.delivery_id, service.clock(), body)
    try:
        async with guarded_session(service.settings, is_local=delivery.is_local, seconds=_TIMEOUT) as session:
            # The query holds the client's own secret and ids: it goes as it came.
            url = URL(delivery.url, encoded=True)
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                with suppress(aiohttp.ClientError):
                    await answer.content.read(1024)
                return None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
        return str(error) or type(error).__name__


def signature(secret: str, delivery_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks, by which a receiver knows who sends.

    Raises:
        MissingDependencyError: standardwebhooks is not installed.
        FaceIDError: the secret is not one.
    """
    try:
        from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook
    except ImportError as error:
        raise MissingDependencyError("Signed callbacks need a package: pip install standardwebhooks.") from error
    try:
        signed = Webhook(secret).sign(delivery_id, now, body.decode())
    except (ValueError, RuntimeError, EmptyWebhookSecretError) as error:
        raise FaceIDError(f"{SECRET_VARIABLE} is no secret of Standard Webhooks: whsec_ and base64.") from error
    moment = str(int(now.timestamp()))
    return {"webhook-id": delivery_id, "webhook-timestamp": moment, "webhook-signature": signed}
