"""Create exactly once: after a lost answer, the client looks for the work before it sends it again.

A POST whose answer is lost (a 5xx, a reset, a timeout, half an answer) may have been done, or may still be done. To
send it again would create, and charge, a second one. So the client looks for the work, at once and then at growing
intervals until the server has had its full time (RetryPolicy.settle), and sends again only what still does not exist.
If the search fails as well, nothing is sent, and OutcomeUnknownError says so. The same after a 2xx whose body cannot be
read: the server said yes, so what is not found is not sent again.

The work is recognised by its title (tunes), or by text and seed (prompts). It must be newer than our call, by its id or
else by the server's own clock, and must not be the answer to another call of this process.
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

_LOOKS = (
    1 / 8,
    1 / 8,
    1 / 4,
    1 / 2,
)  # parts of the time to settle, between one search and the next; together the whole time


class Claims:
    """Ids that already are the answer to a call; shared by all clients of a process, and bounded."""

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
    """The one object that ``send`` creates, also when its answer is lost: ``find`` looks for it.

    Raises:
        OutcomeUnknownError: the answer was lost and ``find`` failed.
        AstriaError: the API refused, or failed ``policy.attempts`` times; then nothing was created.
    """
    async for attempt in policy.retrying(_wait_unless_looked(policy)):
        with attempt:
            return await _send_or_find(send, find, what, policy, attempt.retry_state.attempt_number)
    raise AssertionError("tenacity ends with a return or an exception")


async def _send_or_find(
    send: Callable[[], Awaitable[T]],
    find: Callable[[], Awaitable[T | None]],
    what: str,
    policy: RetryPolicy,
    attempt: int,
) -> T:
    try:
        return await send()
    except AstriaError as error:
        if error.again is not Again.UNSURE:
            raise
        lost = error
    settle = policy.settle_after(lost, attempt)
    _log.info("%s Checking whether %s was created, for %.1f s at most.", lost, what, settle)
    found = await _look(find, settle, what, lost)
    if found is None and lost.status is not None and 200 <= lost.status < 300:
        raise OutcomeUnknownError(
            f"{lost} It said yes, and {what} is not found; it is not sent again, so that it is not paid twice: check "
            "the API's site before you repeat it.",
            status=lost.status,
        )
    if found is None:
        raise lost.with_advice(f"Checked afterwards: {what} was not created, and nothing is charged.")
    return found


async def look(find: Callable[[], Awaitable[T | None]], settle: float) -> T | None:
    """What ``find`` finds, asked at once and then at growing intervals for ``settle`` seconds. Raises AstriaError."""
    looking = AsyncRetrying(
        retry=retry_if_result(lambda found: found is None),
        stop=stop_after_attempt(1 + len(_LOOKS)),
        wait=wait_chain(*(wait_fixed(part * settle) for part in _LOOKS)),
        retry_error_callback=lambda state: None,
    )
    return await looking(find)


async def _look(find: Callable[[], Awaitable[T | None]], settle: float, what: str, lost: AstriaError) -> T | None:
    try:
        return await look(find, settle)
    except AstriaError as error:
        fault = error
    raise OutcomeUnknownError(
        f"{lost} {what[0].upper()}{what[1:]} may have been created nevertheless; searching for it failed ({fault}) "
        "It is not sent again, so that it is not paid twice: check the API's site before you repeat it.",
        status=lost.status,
    )


def _wait_unless_looked(policy: RetryPolicy) -> Callable[[AstriaError, int], float]:
    """No wait: the search has already taken the time."""
    return lambda error, attempt: 0.0 if error.again is Again.UNSURE else policy.wait_after(error, attempt)
