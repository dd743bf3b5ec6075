"""One job in ComfyUI's queue, from its posting to its record.

What the websocket tells is for showing progress only; that a job has ended, and how, is read in ComfyUI's history. So
a socket that drops costs nothing but the progress bar until it is back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from ...errors import AdapterError, FaceIDError, FacePackError, MissingDependencyError, NoFaceError, PhotoError
from ...prompts import PromptError
from ...said import Said, said_in
from ...tunes.errors import TuneError, TuneNotFoundError
from ..engine import Cancelled
from .client import ComfyUI, ComfyUIError, UnreachableError, new_id
from .graph import Job, Stage

Tell = Callable[[str, int, int], None]

WAITING = "waiting in the queue"
_TICK = 0.1  # seconds between two looks at the websocket's messages, and at whether the caller stops the job
_LOOK = 1.0  # seconds between two looks at queue and history while the websocket says nothing ...
_LOOK_LISTENING = 5.0  # ... and while it does
_FAILED_LOOKS = 4  # in a row, until ComfyUI is given up

_OURS = (
    AdapterError,
    FaceIDError,
    FacePackError,
    MissingDependencyError,
    NoFaceError,
    PhotoError,
    PromptError,
    TuneError,
    TuneNotFoundError,
)


async def run_job(
    comfyui: ComfyUI, job: Job, tell: Tell, job_id: str | None = None
) -> tuple[dict[str, Any], tuple[Said | None, ...]]:
    """Queue a job and follow it. Returns the record of its result node and what each speaker said, None for nothing.

    A ``job_id`` that ComfyUI has already, sent by somebody who is gone, is followed only.

    However this ends before the job does (``tell`` raises, the task is cancelled), the job is stopped in ComfyUI.

    Raises:
        FaceIDError: the error of the node of ours that failed, in its own words.
        ComfyUIError: ComfyUI refuses the graph, another node fails, or ComfyUI or the job is gone.
        Cancelled: somebody stopped the job in ComfyUI.
    """
    progress = Progress(job, job_id)
    async with _listening(comfyui, progress):
        try:
            if job_id is None or not await _is_there(comfyui, job_id):
                await comfyui.queue(job.graph, progress.job_id, progress.client_id)
            entry = await _until_ended(comfyui, progress, tell)
        except BaseException:
            with suppress(ComfyUIError):
                await comfyui.stop(progress.job_id)
            raise
    raise_failure(entry["status"], comfyui.address)
    tell(*progress.done())
    return entry["outputs"][job.result], tuple(said_in(entry["outputs"].get(node)) for node in job.speakers)


class Progress:
    """What is known of a job that runs."""

    def __init__(self, job: Job, job_id: str | None = None) -> None:
        self.job_id = job_id or new_id()
        self.client_id = new_id()
        self.listening = False
        self.started = False
        self.ended = False
        self.ahead = self.most_ahead = 0
        self._job = job
        self._nodes: dict[str, dict[str, Any]] = {}
        self._cached: set[str] = set()

    def now(self) -> tuple[str, int, int]:
        """(stage, done, total) for people."""
        if not self.started:
            return WAITING, self.most_ahead - self.ahead, self.most_ahead
        stages = self._job.stages
        stage = next((stage for stage in reversed(stages) if self._nodes.keys() & set(stage.nodes)), stages[0])
        if len(stage.nodes) > 1:
            return stage.name, sum(self._is_finished(node) for node in stage.nodes), len(stage.nodes)
        total = self._total(stage)
        done = int(self._nodes.get(stage.nodes[0], {}).get("value", 0))
        return stage.name, min(done, total), total

    def done(self) -> tuple[str, int, int]:
        """The last of ``now``."""
        stage = self._job.stages[-1]
        return stage.name, self._total(stage), self._total(stage)

    def _total(self, stage: Stage) -> int:
        """How far the progress of a single node's stage goes."""
        if stage.total is not None:
            return stage.total
        return int(self._nodes.get(stage.nodes[0], {}).get("max", 1))

    def in_queue(self, place: int) -> None:
        self.started = self.started or place == 0
        self.ahead = place
        self.most_ahead = max(self.most_ahead, place)

    def hear(self, message: aiohttp.WSMessage) -> None:
        """Take in one message of the websocket."""
        if message.type is aiohttp.WSMsgType.TEXT:
            told = json.loads(message.data)
            if told.get("data", {}).get("prompt_id") == self.job_id:
                self._hear_event(told["type"], told["data"])

    def _hear_event(self, kind: str, data: dict[str, Any]) -> None:
        self.started = True
        if kind == "progress_state":
            self._nodes = data["nodes"]
        elif kind == "execution_cached":
            self._cached = set(data["nodes"])
        elif kind == "executing" and data["node"] is None:
            self.ended = True

    def _is_finished(self, node: str) -> bool:
        return node in self._cached or self._nodes.get(node, {}).get("state") == "finished"


async def _is_there(comfyui: ComfyUI, job_id: str) -> bool:
    return await comfyui.place(job_id) is not None or await comfyui.history(job_id) is not None


async def _until_ended(comfyui: ComfyUI, progress: Progress, tell: Tell) -> dict[str, Any]:
    """The job's entry in the history, once it is there."""
    clock = asyncio.get_running_loop().time
    failures, next_look = 0, 0.0
    while True:
        if (progress.ended and not failures) or clock() >= next_look:
            try:
                entry = await _look(comfyui, progress)
                failures = 0
            except UnreachableError as error:
                entry, failures = None, failures + 1
                if failures == _FAILED_LOOKS:
                    raise UnreachableError(_gone_silent(comfyui, progress, error)) from error
            if entry is not None:
                return entry
            calm = progress.listening and progress.started and not failures
            next_look = clock() + (_LOOK_LISTENING if calm else _LOOK)
        tell(*progress.now())  # also when nothing changed: this is where the caller stops us
        await asyncio.sleep(_TICK)


async def _look(comfyui: ComfyUI, progress: Progress) -> dict[str, Any] | None:
    place = await comfyui.place(progress.job_id)
    if place is not None:
        progress.in_queue(place)
        return None
    # A job goes from the queue into the history in one move, so this order misses none.
    entry = await comfyui.history(progress.job_id)
    if entry is None:
        raise ComfyUIError(
            f"{comfyui.address} no longer knows the job: it was taken out of the queue there, or ComfyUI was "
            "restarted. Try again."
        )
    return entry


def _gone_silent(comfyui: ComfyUI, progress: Progress, error: UnreachableError) -> str:
    return (
        f"{comfyui.address} stopped answering while {progress.now()[0]}. Look into its log for why it ended, start it "
        f"again and repeat. ({error.__cause__ or error})"
    )


@asynccontextmanager
async def _listening(comfyui: ComfyUI, progress: Progress) -> AsyncIterator[None]:
    """The websocket is open, if it can be, before the job is queued, and opened again whenever it drops."""
    opened = asyncio.Event()
    task = asyncio.create_task(_listen(comfyui, progress, opened))
    try:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(opened.wait(), _LOOK_LISTENING)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(comfyui: ComfyUI, progress: Progress, opened: asyncio.Event) -> None:
    while True:
        with suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
            async with comfyui.listen(progress.client_id) as socket:
                progress.listening = True
                opened.set()
                async for message in socket:
                    progress.hear(message)
        progress.listening = False
        opened.set()
        await asyncio.sleep(_LOOK)


def raise_failure(status: dict[str, Any], address: str) -> None:
    """Raise what a job that did not succeed failed with."""
    if status["status_str"] == "success":
        return
    messages = dict(status["messages"])
    if "execution_interrupted" in messages:
        raise Cancelled(f"The job was stopped in ComfyUI ({address}).")
    failed = messages.get("execution_error")
    if failed is None:
        raise ComfyUIError(f"{address} ended the job without saying why. Look into its log.")
    message = failed["exception_message"].strip()
    kind = failed["exception_type"].rpartition(".")[2]
    ours = _our_errors() if failed["node_type"].startswith("FaceID") else {}
    if kind in ours:
        raise ours[kind](message)
    raise ComfyUIError(f"{address} failed in {failed['node_type']}: {kind}: {message}")


def _our_errors() -> dict[str, type[FaceIDError]]:
    """The errors of our nodes by name."""
    from ...retouch import RetouchError  # imports torch, which sending a prompt does not need

    return {kind.__name__: kind for kind in (*_OURS, RetouchError)}
