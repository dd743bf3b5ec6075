"""Create exactly once: after a lost answer the work is looked up before it is sent again.

A POST whose answer is lost (a 5xx, a reset, a timeout, half an answer) may have been done, or may be done yet. Sending
it again would make, and charge, a second one. So it is looked up, at once and then at growing intervals until the
server has had the time it may take (RetryPolicy.settle), and only what is still not there is sent again. When looking
fails as well nothing is sent, and OutcomeUnknownError says so.

What was made is recognised by its title (tunes), or text and seed (prompts), by having been made after we began, and
by not being the answer to another call of this process.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_chain, wait_fixed

from .errors import Again, AstriaError, OutcomeUnknownError
from .retry import RetryPolicy

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LOOKS = (1 / 8, 1 / 8, 1 / 4, 1 / 2)  # of the time to settle, between one look and the next; together all of it


class Claims:
    """Ids that are the answer to some call already; shared by all clients of a process, and bounded."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._ids: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, base_url: str, kind: str, number: int) -> None:
        with self._lock:
            self._ids[base_url, kind, number] = None
            while len(self._ids) > self._most:
                self._ids.popitem(last=False)

    def __contains__(self, claim: tuple[str, str, int]) -> bool:
        with self._lock:
            return claim in self._ids


async def create_once(
    send: Callable[[], Awaitable[T]], find: Callable[[], Awaitable[T | None]], what: str, policy: RetryPolicy
) -> T:
    """The one object that ``send`` makes, whatever happens on the way; ``find`` looks for it.

    Raises:
        OutcomeUnknownError: the answer was lost and ``find`` failed.
        AstriaError: the API refused, or could not do it in ``policy.attempts``; then nothing was made.
    """
    async for attempt in policy.retrying(_wait_unless_looked(policy)):
        with attempt:
            return await _send_or_find(send, find, what, policy, attempt.retry_state.attempt_number)
    raise AssertionError("tenacity ends with a return or an exception")


async def _send_or_find(send, find, what: str, policy: RetryPolicy, attempt: int):
    try:
        return await send()
    except AstriaError as error:
        if error.again is not Again.UNSURE:
            raise
        lost = error
    settle = policy.settle_after(lost, attempt)
    _log.info("%s Looking whether %s was made, for %.1f s at most.", lost, what, settle)
    found = await _look(find, settle, what, lost)
    if found is None:
        raise lost.with_advice(f"It was looked up since: {what} was not made, and nothing is charged.")
    return found


async def _look(find: Callable[[], Awaitable[T | None]], settle: float, what: str, lost: AstriaError) -> T | None:
    looking = AsyncRetrying(
        retry=retry_if_result(lambda found: found is None),
        stop=stop_after_attempt(1 + len(_LOOKS)),
        wait=wait_chain(*(wait_fixed(part * settle) for part in _LOOKS)),
        retry_error_callback=lambda state: None,
    )
    try:
        return await looking(find)
    except AstriaError as error:
        fault = error
    raise OutcomeUnknownError(
        f"{lost} {what[0].upper()}{what[1:]} may have been made all the same; looking for it failed too ({fault}) "
        "It is not sent again, so that it is not paid twice: look on the API's site before you repeat it.",
        status=lost.status,
    )


def _wait_unless_looked(policy: RetryPolicy) -> Callable[[AstriaError, int], float]:
    """Looking has taken the time already."""
    return lambda error, attempt: 0.0 if error.again is Again.UNSURE else policy.wait_after(error, attempt)
