"""What tests of the ComfyUI engine draw, and what they ask the ComfyUI they draw in."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
from faceid_tunes.faceid_core.engines.engine import Drawn
from faceid_tunes.faceid_core.prompts import Prompt

from .comfyui import ComfyUIServer

SIZE = 64
LONG = 50  # steps of a job that is still running whenever a test looks

Told = list[tuple[str, int, int]]


def small(text: str, **fields: Any) -> Prompt:
    return Prompt(text, **{"w": SIZE, "h": SIZE, "steps": 1, "seed": 7} | fields)


def difference(one: Drawn, other: Drawn) -> float:
    """Mean over the first pictures, of 255."""
    first, second = (drawn.pictures[0].pixels.astype(int) for drawn in (one, other))
    return float(np.abs(first - second).mean())


def queue_lengths(comfyui: ComfyUIServer) -> tuple[int, int]:
    """Jobs that run, jobs that wait."""
    queue = _asked(comfyui, "/queue")
    return len(queue["queue_running"]), len(queue["queue_pending"])


def last_end(comfyui: ComfyUIServer) -> str:
    """How the last job ended, by ComfyUI's name of the event."""
    (entry,) = _asked(comfyui, "/history?max_items=1").values()
    return entry["status"]["messages"][-1][0]


def interrupt_at(wanted: str) -> Callable[[str, int, int], None]:
    def on_progress(stage: str, *_: int) -> None:
        if stage == wanted:
            raise KeyboardInterrupt

    return on_progress


def _asked(comfyui: ComfyUIServer, path: str) -> Any:
    with urllib.request.urlopen(comfyui.url + path, timeout=30) as answer:
        return json.load(answer)
