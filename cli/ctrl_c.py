"""Whether Ctrl-C was pressed, also when it appears as another error."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noticing_ctrl_c() -> Iterator[Callable[[], bool]]:
    """A function that returns whether Ctrl-C has been pressed since this call.

    The KeyboardInterrupt alone does not show it: compiled code that calls Python, such as safetensors while it makes a
    tensor, may drop it and raise its own error. Python's handler stays in place, because asyncio checks for it.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield lambda: False
        return
    heard, told = socket.socketpair()
    with heard, told:
        heard.setblocking(False)
        told.setblocking(False)  # as Python requires
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield lambda: _was_pressed(heard)
        finally:
            signal.set_wakeup_fd(before)


def _was_pressed(heard: socket.socket) -> bool:
    try:
        return signal.SIGINT in heard.recv(4096)  # one byte per signal
    except BlockingIOError:
        return False
