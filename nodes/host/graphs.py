"""What waits for the end of the graph that runs: only then its pictures are saved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfy_execution.utils import get_executing_context

_LOOK = 0.5  # seconds between two looks

_waiting: list[tuple[str, Callable[[], None]]] = []  # (id of the graph in ComfyUI's queue, what is then done)
_alone = threading.Lock()


def when_done(act: Callable[[], None]) -> None:
    """Call ``act`` after the graph that runs now has succeeded; at once without a server, and never if it fails."""
    running = get_executing_context()
    if running is None or _queue() is None:
        act()
        return
    with _alone:
        _waiting.append((running.prompt_id, act))
        if len(_waiting) == 1:
            threading.Thread(target=_watch, name="faceid-graphs", daemon=True).start()


def settle() -> None:
    """Do now what waits for graphs that have ended."""
    with _alone:
        ended = [(graph, act) for graph, act in _waiting if not _is_running(graph)]
        _waiting[:] = [entry for entry in _waiting if entry not in ended]
    for graph, act in ended:
        if _has_succeeded(graph):
            act()


def _watch() -> None:
    while True:
        time.sleep(_LOOK)
        settle()
        with _alone:
            if not _waiting:
                return


def _queue():  # type: ignore[no-untyped-def]  # ComfyUI has no types
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)  # absent when nodes run without a server
    return getattr(server, "prompt_queue", None)


def _is_running(graph: str) -> bool:
    queue = _queue()
    with queue.mutex:
        return any(item[1] == graph for item in queue.currently_running.values())


def _has_succeeded(graph: str) -> bool:
    """Also when somebody has cleared its record."""
    record = _queue().get_history(prompt_id=graph).get(graph)
    return record is None or (record["status"] or {}).get("status_str") != "error"
