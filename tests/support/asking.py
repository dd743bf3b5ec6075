"""A client that does not wait, for tests against fake_astria.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faceid_tunes.faceid_core.astria.client import AstriaClient
from faceid_tunes.faceid_core.astria.creation import Claims
from faceid_tunes.faceid_core.astria.polling import PollPolicy
from faceid_tunes.faceid_core.astria.retry import RetryPolicy
from faceid_tunes.faceid_core.astria.secret import Secret
from faceid_tunes.faceid_core.astria.settings import AstriaSettings
from faceid_tunes.faceid_core.engines.engine import Drawn
from faceid_tunes.faceid_core.engines.remote import AstriaEngine

from .fake_astria import KEY, FakeAstria

T = TypeVar("T")


class Delivering(AstriaEngine):
    """Its pictures are where they stay as soon as they are drawn."""

    def draw(self, prompt, store, on_progress=None, cancel=None) -> Drawn:
        drawn = super().draw(prompt, store, on_progress, cancel)
        drawn.delivered()
        return drawn


QUICK = RetryPolicy(
    first_wait=0.001,
    longest_wait=0.002,
    settle=0.05,
    settle_after_500=0.05,
    settle_after_504=0.05,
    read_timeout=0.3,
    total_timeout=5,
)
QUICK_POLLS = PollPolicy(interval=0.001, longest=0.002, deadline=5)


def ask(url: str | FakeAstria, use: Callable[[AstriaClient], Awaitable[T]], policy: RetryPolicy = QUICK) -> T:
    """What ``use`` returns, given an open client; nothing is left running afterwards."""

    async def main() -> T:
        address = url if isinstance(url, str) else url.url
        async with AstriaClient(AstriaSettings(Secret(KEY), address), policy, Claims()) as client:
            result = await use(client)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return result

    return asyncio.run(main())
