"""Progress bars, status lines and interrupts."""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import comfy.model_management as model_management
import comfy.utils

from ...faceid_core.errors import printable
from ...faceid_core.said import WARNINGS

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

log = logging.getLogger(__name__)

WARNED = "faceid_tunes.warned"  # event for web/js/said.js
_LOOK_FOR_INTERRUPT = 0.25  # seconds between two looks while waiting for the remote API


def bar(total: int) -> Callable[[int, int], None]:
    """A callback ``(done, total)`` that moves the node's progress bar and raises when the user interrupts."""
    shown = comfy.utils.ProgressBar(total)

    def update(done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        shown.update_absolute(done, total)

    return update


def stage_bar(node_id: str | None) -> Callable[[str, int, int], None]:
    """A callback ``(stage, done, total)`` that moves the node's bar and shows the stage under it."""
    shown = ""

    def update(stage: str, done: int, total: int) -> None:
        nonlocal shown
        model_management.throw_exception_if_processing_interrupted()
        comfy.utils.ProgressBar(total).update_absolute(done, total)
        if stage != shown:
            shown = stage
            status(node_id, stage)

    return update


def preview(picture: np.ndarray) -> None:
    """Show a picture ([H, W, 3] uint8 RGB) in the node that runs, where the editor shows previews."""
    from PIL import Image

    comfy.utils.ProgressBar(1).update_absolute(1, preview=("JPEG", Image.fromarray(picture), max(picture.shape)))


def status(node_id: str | None, text: str) -> None:
    """Show ``text`` under a node while it runs, and in the log. What it says when it is done: ``said.output``."""
    text = printable(text)
    log.info("%s", text)
    if node_id is not None and (server := _server()) is not None:
        server.send_progress_text(html.escape(text, quote=False), node_id)  # shown as HTML: a tag would vanish


def warn_sampling_node(node_id: str, sentence: str) -> None:
    """Show a warning in another extension's node, whose output is not ours, and in the log."""
    sentence = printable(sentence)
    log.warning("%s", sentence)
    if (server := _server()) is not None:
        server.send_sync(WARNED, {"node": node_id, WARNINGS: [sentence]}, server.client_id)


def _server() -> Any:
    """ComfyUI's server; None when nodes run without one."""
    from server import PromptServer

    return getattr(PromptServer, "instance", None)


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when the user interrupts ComfyUI."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_FOR_INTERRUPT)
            if task.done():
                break  # what is here is not thrown away: it may be paid for
            model_management.throw_exception_if_processing_interrupted()
    finally:
        task.cancel()
        await asyncio.wait({task})
    return task.result()
