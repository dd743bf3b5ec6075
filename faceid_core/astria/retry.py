"""How often a request is sent, and the wait between attempts.

The API's own rules (docs/facts/astria.md 10): after a 500 wait, starting at 30 s; after a 504 the work was
probably done, wait 60 s; after a 429 as long as Retry-After says; a 422 is never sent again. All other waits are
exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from .errors import Again, AstriaError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """Waits and timeouts, in seconds. ``attempts`` counts the first sending too."""

    attempts: int = 5
    first_wait: float = 1.0  # at most; doubles
    longest_wait: float = 60.0
    longest_retry_after: float = 300.0  # if the API asks for more, the error is raised instead
    settle: float = 30.0  # the time the server may still work on a request whose answer was lost: its own limit
    settle_after_500: float = 30.0  # doubles
    settle_after_504: float = 60.0

    connect_timeout: float = 15.0
    read_timeout: float = 60.0  # without a byte; the server's own limit is 30
    total_timeout: float = 300.0  # of one request, upload of photos included

    def wait_after(self, error: AstriaError, attempt: int) -> float:
        """The wait before a request is sent again that was not done, or is safe to repeat; ``attempt`` is from 1."""
        backoff = random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)))
        return max(backoff, error.retry_after or 0)

    def settle_after(self, error: AstriaError, attempt: int) -> float:
        """How long to search for work whose answer was lost before it counts as not done."""
        if error.status == 500:
            return self.settle_after_500 * 2 ** (attempt - 1)
        return self.settle_after_504 if error.status == 504 else self.settle

    def unsettled(self, now: datetime | None, sent: datetime | None) -> float:
        """Seconds in which the server may still do what was sent at ``sent``; both by its clock, or unknown."""
        limit = max(self.settle, self.settle_after_504)
        if now is None or sent is None:
            return limit
        return min(limit, max(0.0, limit - (now - sent).total_seconds()))

    def may_try_again(self, error: BaseException) -> bool:
        if not isinstance(error, AstriaError) or error.again is Again.NEVER:
            return False
        return (error.retry_after or 0) <= self.longest_retry_after

    def retrying(self, wait: Callable[[AstriaError, int], float] | None = None) -> AsyncRetrying:
        """Calls again as often as the policy says; raises the last error unchanged."""
        wait = wait or self.wait_after
        return AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            retry=retry_if_exception(self.may_try_again),
            wait=lambda state: wait(failure(state), state.attempt_number),
            before_sleep=_tell,
            reraise=True,
        )


def failure(state: RetryCallState) -> AstriaError:
    """What the attempt before a wait ended with; only an AstriaError is waited after."""
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, AstriaError)
    return error


def _tell(state: RetryCallState) -> None:
    _log.info("%s Trying again in %.1f s.", failure(state), state.upcoming_sleep)
