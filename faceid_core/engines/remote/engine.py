"""The remote engine, and what the node FaceID Remote Prompt does: a prompt goes out, its pictures come back."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from ...astria.client import AstriaClient
from ...astria.errors import AstriaError, NotFoundError, ResultError, ValidationError
from ...astria.images import fetch_images
from ...astria.polling import PollPolicy, wait_for_images
from ...astria.retry import RetryPolicy
from ...astria.settings import AstriaSettings
from ...astria.wire.objects import MC_PER_USD, RemotePrompt
from ...errors import FaceIDError
from ...prompts import Prompt
from ...tunes.refs import tunes_by_ref
from ...tunes.store import TuneStore
from ..engine import Cancelled, Drawn, OnProgress, Picture, report
from ..lora_tags import refuse_remote_strengths
from .journal import DamagedNoteError, Journal, Pending, journal_key
from .ordering import ordered
from .remote_tunes import REALISTIC_VISION, forget_deleted, remote_refs, with_refs

_LOOK_AT_CANCEL = 0.2  # seconds between two looks
_WAIT_FOR_BALANCE = 10.0  # seconds


@dataclass(frozen=True, eq=False)
class RemoteDrawn:
    """What came back: image files in the API's order, its answer with the tags as they were written here, and notes.

    forget: to be called once the pictures are where they stay. Until then the same prompt fetches them again, also
    after a kill, and pays nothing.
    """

    images: tuple[bytes, ...]
    prompt: RemotePrompt
    notes: tuple[str, ...]
    forget: Callable[[], None] = field(repr=False)


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
        drawn: list[Drawn] = []

        async def work() -> None:
            on_step = partial(report, on_progress, cancel)
            async with AstriaClient(self.settings, self.retrying) as client:
                made = await draw_remotely(
                    client, prompt, store, self.journal, self.base_tune_id, on_step, self.polling
                )
                # One picture is what its prompt's seed draws. Of several, only the API knows which seed drew which.
                seed = made.prompt.seed if prompt.num_images == 1 else None
                pictures = tuple(Picture(pixels(image), seed) for image in made.images)
                notes = [f"remote prompt {made.prompt.id}", *await money_notes(client, made.prompt), *made.notes]
                drawn.append(Drawn(pictures, (*notes, *_batch_seed_note(prompt, made.prompt)), made.forget))

        asyncio.run(_unless_cancelled(work(), cancel, drawn))
        return drawn[0]


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

    A call that is cut off at any moment and made again goes on with what was sent, as long as ``journal`` is kept, up
    to the call of ``forget``. Calls for the same prompt at the same time, in other processes too, share one order.

    Raises:
        PromptError: a tag names no tune, or has a strength that the API cannot read; points at it.
        AstriaError: the API refused, failed, or could not be reached.
        DamagedNoteError: the note of an earlier order cannot be read, and may be of a paid one.
        AllowanceError: the owner of the key allows no more orders today.
        FaceIDError: an order cannot be noted; the message says what was not sent.
    """
    refuse_remote_strengths(prompt)
    key = journal_key(client.base_url, base_tune_id, prompt)
    journal.check()
    seen = _under_way(client, journal, key, prompt)
    uploading = _staged(on_progress, "uploading photos")
    refs = await remote_refs(client, store, prompt.text, uploading, journal, base_tune_id)
    try:
        made = await ordered(client, _there(prompt, refs), journal, key, base_tune_id, seen)
    except (NotFoundError, ValidationError) as error:
        if not await forget_deleted(client, store, prompt.parsed):
            raise _explained(error, base_tune_id) from None
        uploading = _staged(on_progress, "uploading photos again")
        refs = await remote_refs(client, store, prompt.text, uploading, journal, base_tune_id)
        made = await ordered(client, _there(prompt, refs), journal, key, base_tune_id)
    number = made if isinstance(made, int) else made.id
    try:
        done = await wait_for_images(client, made, _following(on_progress), polling)
    except (ResultError, NotFoundError):
        journal.finish(key, number)  # it has ended: another try is another prompt
        raise
    fetched = await fetch_images(client, done.images[: prompt.num_images], _staged(on_progress, "downloading"))
    images, notes = _usable(fetched, journal, key, number)
    told = dataclasses.replace(done, text=_as_written(done.text, _there(prompt, refs).text, prompt.text, refs))
    said = (*notes, *_odd_notes(done, prompt.num_images), *_doubts(store, prompt))
    return RemoteDrawn(images, told, said, partial(journal.finish, key, number))


def _under_way(client: AstriaClient, journal: Journal, key: str, prompt: Prompt) -> Pending | None:
    """The order of another call at this moment; without one, AllowanceError before people are uploaded for nothing."""
    with suppress(DamagedNoteError):
        if pending := journal.find(key):
            return pending
        journal.allowance(client.per_day).check(prompt.num_images)
    return None


def _usable(
    fetched: list[bytes | ResultError], journal: Journal, key: str, number: int
) -> tuple[tuple[bytes, ...], list[str]]:
    """The images that came, and notes on those that are gone for good.

    Raises:
        ResultError: one may still come, or none is left.
    """
    images = tuple(image for image in fetched if isinstance(image, bytes))
    faults = [fault for fault in fetched if isinstance(fault, ResultError)]
    for fault in faults:
        if not fault.is_gone:
            raise fault.with_advice(
                f"It is paid for and stays at the API for 30 days: run the same prompt again to fetch prompt {number}; "
                "another seed orders a new picture."
            )
    if faults and not images:
        journal.finish(key, number)
        raise faults[0]
    return images, [str(fault) for fault in faults]


def _as_written(answer: str | None, sent: str, written: str, refs: dict[str, str]) -> str:
    """The answer's text with the tags as the user wrote them; as it is, where our grammar does not know it."""
    if answer is None or answer == sent:
        return written
    try:
        return with_refs(answer, {remote: ref for ref, remote in refs.items()})
    except FaceIDError:
        return answer  # decoration: the pictures are here


def _doubts(store: TuneStore, prompt: Prompt) -> Iterator[str]:
    """What to know of the photos that the people were uploaded from."""
    for tune in {tune.id: tune for tune in tunes_by_ref(store, prompt.parsed).values()}.values():
        yield from (f"{tune.title}: {note}" for note in tune.notes)


def _odd_notes(done: RemotePrompt, ordered_images: int) -> list[str]:
    """What a person should know of an answer that has pictures."""
    notes = [] if not done.user_error else [f"the API says: {done.user_error}"]
    if len(done.images) > ordered_images:
        notes.append(f"the API names {len(done.images)} pictures; the {ordered_images} that were ordered are here")
    if len(done.images) < ordered_images:
        notes.append(f"the API drew {len(done.images)} of {ordered_images} pictures")
    return notes


async def money_notes(client: AstriaClient, prompt: RemotePrompt) -> tuple[str, ...]:
    """What the prompt cost and what is left, as far as the API says."""
    notes = [] if prompt.cost_mc is None else [f"cost ${prompt.cost_mc / MC_PER_USD:.3f}"]
    try:
        balance = (await asyncio.wait_for(client.account(), _WAIT_FOR_BALANCE)).balance_usd
    except (AstriaError, asyncio.TimeoutError, ArithmeticError):
        balance = None  # nice to know, no reason to fail or to wait long: the pictures are here
    return tuple(notes if balance is None else [*notes, f"${balance:.2f} left"])


def _batch_seed_note(asked: Prompt, made: RemotePrompt) -> list[str]:
    """The seed of a batch that was ordered without one: its pictures have no seed that could say so."""
    if asked.seed is not None or asked.num_images == 1 or made.seed is None:
        return []
    return [f"seed {made.seed} draws these {asked.num_images} pictures again, together"]


def pixels(image: bytes) -> np.ndarray:
    """[H, W, 3] uint8 RGB of an image file."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as picture:
        return np.array(picture.convert("RGB"))


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


async def _unless_cancelled(work: Coroutine[Any, Any, None], cancel: Event | None, drawn: list[Drawn]) -> None:
    """Runs ``work``, which is stopped soon after ``cancel`` is set. Raises Cancelled, unless the pictures are here."""
    task = asyncio.ensure_future(work)
    while cancel is not None and not task.done():
        await asyncio.wait({task}, timeout=_LOOK_AT_CANCEL)
        if cancel.is_set() and not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() or drawn:
                break
            raise Cancelled("Stopped. What was sent goes on at the remote side; the same prompt will find it again.")
    if not (drawn and task.done()):
        await task
