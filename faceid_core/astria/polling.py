"""Waiting for a prompt's images: ask, never faster than the stated rate, until they are ready."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, retry_if_result, stop_before_delay

from .client import AstriaClient
from .errors import Again, AstriaError, DeadlineError, ResultError
from .settings import is_this_machine
from .wire.objects import RemotePrompt

_MOST_FAULTS = 8  # in a row; with the waits between them some minutes
_MOST_ENDED = 3  # answers that say it has ended, without an image


@dataclass(frozen=True)
class PollPolicy:
    """Seconds. ``interval`` is the stated rate: the least time between an answer and the next request for one prompt.

    The API answers tight polling with 429; it advises 5 s and some jitter (docs/facts/astria.md 17, item 9).
    """

    interval: float = 5.0
    growth: float = 1.15  # of the interval, each time
    longest: float = 20.0
    jitter: float = 0.2  # at most this part of the wait is added at random
    deadline: float = 1800.0  # for the whole wait

    def wait(self, asked: int) -> float:
        """The wait before the next request, after ``asked`` requests."""
        wait = min(self.interval * self.growth ** min(asked, 100), max(self.longest, self.interval))
        return wait * (1 + random.uniform(0, self.jitter))


HERE = PollPolicy(interval=0.5, growth=1.05, longest=1.0, jitter=0.0)  # a server on this machine: nobody's limit


def pace(base_url: str) -> PollPolicy:
    """How fast a server is asked: one on this machine every 0.5 to 1 s."""
    return HERE if is_this_machine(urlsplit(base_url).hostname or "") else PollPolicy()


async def wait_for_images(
    client: AstriaClient,
    prompt: RemotePrompt | int,
    on_progress: Callable[[RemotePrompt], None] | None = None,
    policy: PollPolicy | None = None,
) -> RemotePrompt:
    """The prompt when its images are ready. Give its id alone to resume: the first request is then sent at once.

    ``on_progress`` gets every answer; its ``state`` says how far it is. Cancelling the task stops the wait, not the
    drawing. After a failed connection the next request follows at the same pace.

    Raises:
        DeadlineError: not ready in ``policy.deadline`` seconds; the prompt continues.
        ResultError: it failed (``user_error``, word for word), or ended without an image.
        NotFoundError: it was deleted.
        AstriaError: another refusal, or the API failed several times in a row.
    """
    policy = policy or pace(client.base_url)
    if isinstance(prompt, RemotePrompt):
        if prompt.state in ("done", "failed"):
            return _finished(prompt)
        await asyncio.sleep(policy.wait(0))
    watch = _Watch(client, prompt if isinstance(prompt, int) else prompt.id, on_progress, policy)
    asking = AsyncRetrying(
        retry=retry_if_exception(watch.bears) | retry_if_result(watch.goes_on),
        wait=watch.wait,
        stop=stop_before_delay(policy.deadline),
        retry_error_callback=watch.give_up,
    )
    return _finished(await asking(watch.ask))


class _Watch:
    """The wait for one prompt: the answers so far."""

    def __init__(
        self,
        client: AstriaClient,
        prompt_id: int,
        on_progress: Callable[[RemotePrompt], None] | None,
        policy: PollPolicy,
    ) -> None:
        self.client, self.prompt_id, self.on_progress, self.policy = client, prompt_id, on_progress, policy
        self.faults = 0  # in a row
        self.ended = 0

    async def ask(self) -> RemotePrompt:
        try:
            prompt = await self.client.get_prompt_once(self.prompt_id)
        except AstriaError as error:
            self.faults += 1
            if error.again is Again.NEVER or self.faults < _MOST_FAULTS:
                raise
            fault = error
        else:
            self.faults = 0
            self.ended += prompt.state == "ended"
            if self.on_progress:
                self.on_progress(prompt)
            return prompt
        raise fault.with_advice(f"{_MOST_FAULTS} times in a row. {_goes_on(self.prompt_id)}")

    def bears(self, error: BaseException) -> bool:
        return isinstance(error, AstriaError) and error.again is not Again.NEVER and self.faults < _MOST_FAULTS

    def goes_on(self, prompt: RemotePrompt) -> bool:
        # Images may appear a moment after the end.
        return prompt.state in ("queued", "running") or (prompt.state == "ended" and self.ended < _MOST_ENDED)

    def wait(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        asked_for = getattr(fault, "retry_after", None) or 0
        return max(self.policy.wait(state.attempt_number), asked_for)

    def give_up(self, state: RetryCallState) -> RemotePrompt:
        minutes = self.policy.deadline / 60
        raise DeadlineError(
            f"Prompt {self.prompt_id} has no images after {minutes:.3g} minutes. {_goes_on(self.prompt_id)}",
            self.prompt_id,
        )


def _finished(prompt: RemotePrompt) -> RemotePrompt:
    if prompt.state == "failed":
        raise ResultError(
            f"The remote API could not draw prompt {prompt.id}: {prompt.user_error}",
            messages=(prompt.user_error or "",),
        )
    if prompt.state == "ended":
        raise ResultError(
            f"Prompt {prompt.id} ended with 0 images and without a reason. Run it again with another seed, and look at "
            "it on the API's site."
        )
    return prompt


def _goes_on(prompt_id: int) -> str:
    return f"It continues on the remote API and is paid for: wait for prompt {prompt_id} again, do not send a new one."
