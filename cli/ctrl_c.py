"""Whether Ctrl-C was pressed, told apart from the error it may have become."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noticing_ctrl_c() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed since.

    The KeyboardInterrupt alone does not: compiled code that calls Python, such as safetensors while it makes a tensor,
    may drop it and raise an error of its own. Python's handler stays in place, since asyncio looks for it.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield lambda: False
        return
    heard, told = socket.socketpair()
    with heard, told:
        heard.setblocking(False)
        told.setblocking(False)  # as Python asks for
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield lambda: _was_pressed(heard)
        finally:
            signal.set_wakeup_fd(before)


def _was_pressed(heard: socket.socket) -> bool:
    try:
        return signal.SIGINT in heard.recv(4096)  # one byte a signal
    except BlockingIOError:
        return False
