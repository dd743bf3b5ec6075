"""The remote engine, and what the node FaceID Remote Prompt does: a prompt goes out, its pictures come back."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

import numpy as np

from ...astria.client import AstriaClient, draw_seed
from ...astria.errors import AstriaError, NotFoundError, OutcomeUnknownError, ResultError, ValidationError
from ...astria.images import download_images
from ...astria.polling import PollPolicy, wait_for_images
from ...astria.retry import RetryPolicy
from ...astria.settings import AstriaSettings
from ...astria.wire.objects import MC_PER_USD, RemotePrompt
from ...prompts import Prompt
from ...tunes.store import TuneStore
from ..engine import Cancelled, Drawn, OnProgress, Picture, report
from .journal import Journal, Pending, journal_key
from .remote_tunes import forget_deleted, remote_refs, with_refs

REALISTIC_VISION = 690204  # Realistic Vision v5.1, the base tune of the FaceID page

_LOOK_AT_CANCEL = 0.2  # seconds between two looks
_WAIT_FOR_BALANCE = 10.0  # seconds

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RemoteDrawn:
    """What came back: image files in the API's order, and its answer with the tags as they were written here."""

    images: tuple[bytes, ...]
    prompt: RemotePrompt


@dataclass(frozen=True)
class AstriaEngine:
    """Draws on the remote side. ``polling`` and ``retrying``: how patiently."""

    settings: AstriaSettings
    journal: Journal
    base_tune_id: int = REALISTIC_VISION
    polling: PollPolicy | None = None
    retrying: RetryPolicy | None = None

    @property
    def name(self) -> str:
        return f"the remote API at {self.settings.base_url}"

    def draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress | None = None, cancel: Event | None = None
    ) -> Drawn:
        """See ``Engine.draw``; the work on the remote side goes on when cancelled, and is found again by the next call.

        Raises:
            AstriaError: the API refused, failed, or could not be reached.
        """
        work = self._draw(prompt, store, partial(report, on_progress, cancel))
        drawn, notes = asyncio.run(_unless_cancelled(work, cancel))
        # One picture is what its prompt's seed draws. Of several, only the API knows which seed drew which.
        seed = drawn.prompt.seed if prompt.num_images == 1 else None
        pictures = tuple(Picture(pixels(image), seed) for image in drawn.images)
        return Drawn(pictures, (*notes, *_batch_seed_note(prompt, drawn.prompt)))

    async def _draw(
        self, prompt: Prompt, store: TuneStore, on_progress: OnProgress
    ) -> tuple[RemoteDrawn, tuple[str, ...]]:
        async with AstriaClient(self.settings, self.retrying) as client:
            drawn = await draw_remotely(
                client, prompt, store, self.journal, self.base_tune_id, on_progress, self.polling
            )
            return drawn, (f"remote prompt {drawn.prompt.id}", *await money_notes(client, drawn.prompt))


async def draw_remotely(
    client: AstriaClient,
    prompt: Prompt,
    store: TuneStore,
    journal: Journal,
    base_tune_id: int = REALISTIC_VISION,
    on_progress: OnProgress | None = None,
    polling: PollPolicy | None = None,
) -> RemoteDrawn:
    """Upload the people that are not there yet, send the prompt unless it is on its way already, wait, download.

    A call that is cut off at any moment and made again goes on with what was sent, as long as ``journal`` is kept.

    Raises:
        PromptError: a tag names no tune; points at it.
        AstriaError: the API refused, failed, or could not be reached.
    """
    key = journal_key(client.base_url, base_tune_id, prompt)
    refs = await remote_refs(client, store, prompt.text, _staged(on_progress, "uploading photos"))
    try:
        made = await _sent(client, _there(prompt, refs), journal, key, base_tune_id)
    except (NotFoundError, ValidationError) as error:
        if not await forget_deleted(client, store, prompt.parsed):
            raise _explained(error, base_tune_id) from None
        refs = await remote_refs(client, store, prompt.text, _staged(on_progress, "uploading photos again"))
        made = await _sent(client, _there(prompt, refs), journal, key, base_tune_id)
    try:
        done = await wait_for_images(client, made, _following(on_progress), polling)
        images = await download_images(client, done.images, _staged(on_progress, "downloading"))
    except (ResultError, NotFoundError):
        journal.finish(key)  # it has ended: another try is another prompt
        raise
    journal.finish(key)
    written = {remote: ref for ref, remote in refs.items()}
    return RemoteDrawn(tuple(images), dataclasses.replace(done, text=with_refs(done.text or prompt.text, written)))


async def money_notes(client: AstriaClient, prompt: RemotePrompt) -> tuple[str, ...]:
    """What the prompt cost and what is left, as far as the API says."""
    notes = [] if prompt.cost_mc is None else [f"cost ${prompt.cost_mc / MC_PER_USD:.3f}"]
    try:
        balance = (await asyncio.wait_for(client.account(), _WAIT_FOR_BALANCE)).balance_usd
    except (AstriaError, asyncio.TimeoutError):
        balance = None  # nice to know, no reason to fail or to wait long: the pictures are here
    return tuple(notes if balance is None else [*notes, f"${balance:.2f} left"])


def _batch_seed_note(asked: Prompt, made: RemotePrompt) -> list[str]:
    """The seed of a batch that was asked for without one: no picture of it has a seed of its own to say so."""
    if asked.seed is not None or asked.num_images == 1 or made.seed is None:
        return []
    return [f"seed {made.seed} draws these {asked.num_images} pictures again, together"]


def pixels(image: bytes) -> np.ndarray:
    """[H, W, 3] uint8 RGB of an image file."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as picture:
        return np.array(picture.convert("RGB"))


async def _sent(
    client: AstriaClient, prompt: Prompt, journal: Journal, key: str, base_tune_id: int
) -> RemotePrompt | int:
    """The prompt on the remote side: sent now, or its id when it is on its way since an earlier call."""
    pending = journal.find(key)
    if pending is None:
        pending = journal.begin(key, draw_seed() if prompt.seed is None else prompt.seed)
    elif pending.prompt_id is not None:
        return pending.prompt_id
    elif found := await client.find_prompt(base_tune_id, prompt.text, pending.seed, pending.began):
        journal.sent(key, pending, found.id)
        return found
    return await _send(client, dataclasses.replace(prompt, seed=pending.seed), journal, key, pending, base_tune_id)


async def _send(
    client: AstriaClient, prompt: Prompt, journal: Journal, key: str, pending: Pending, base_tune_id: int
) -> RemotePrompt:
    try:
        made = await client.create_prompt(base_tune_id, prompt)
    except OutcomeUnknownError:
        raise
    except AstriaError:
        journal.finish(key)  # refused, or looked up and not there
        raise
    journal.sent(key, pending, made.id)
    return made


def _there(prompt: Prompt, refs: dict[str, str]) -> Prompt:
    return dataclasses.replace(prompt, text=with_refs(prompt.text, refs))


def _explained(error: AstriaError, base_tune_id: int) -> AstriaError:
    if not isinstance(error, NotFoundError):
        return error
    return error.with_advice(
        f"base_tune_id is {base_tune_id}: use a base model of the API's gallery, such as {REALISTIC_VISION} "
        "(Realistic Vision v5.1)."
    )


def _staged(on_progress: OnProgress | None, stage: str) -> Callable[[int, int], None] | None:
    return partial(on_progress, stage) if on_progress else None


def _following(on_progress: OnProgress | None) -> Callable[[RemotePrompt], None] | None:
    """Tells the state of the prompt after each question: nothing more is known of its progress."""
    if on_progress is None:
        return None
    stages = {"queued": ("waiting in the remote queue", 0), "running": ("drawing remotely", 0)}

    def told(prompt: RemotePrompt) -> None:
        stage, done = stages.get(prompt.state, ("drawing remotely", 1))
        on_progress(stage, done, 1)

    return told


async def _unless_cancelled(work: Coroutine[Any, Any, T], cancel: Event | None) -> T:
    """The result of ``work``, which is stopped soon after ``cancel`` is set. Raises Cancelled."""
    task = asyncio.ensure_future(work)
    while cancel is not None and not task.done():
        await asyncio.wait({task}, timeout=_LOOK_AT_CANCEL)
        if cancel.is_set() and not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise Cancelled("Stopped. What was sent goes on at the remote side; the same prompt will find it again.")
    return await task
